"""What runs on Serve for an endpoint: its proxies, the router, an application for each deployment."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.encoders.process_environment import process_environment
from ftkit.errors import DeployError
from ftkit_ray.serve import cluster, shares
from ftkit_ray.serve.replica import Replica
from ftkit_ray.serve.router import Router, application

if TYPE_CHECKING:
    from ftkit_ray.serve.options import ServeOptions

ONGOING = 1000
"""Requests that one replica or router has at a time: how many texts wait is limited by ftkit's own batcher."""
CONSTRUCTIONS = 1
"""How often Serve begins a replica that cannot load its bundle: the bundle will not change."""


_starting = threading.Lock()
"""Serve's client cannot begin two applications at once."""


def serving(deployer: ServeOptions, begin: bool = True) -> Any:
    """Ray's module `serve` with its proxies running; None where they do not and must not begin. Raises: DeployError."""
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    if not _runs():
        if not begin:
            return None
        place = "HeadOnly" if deployer.host in ("127.0.0.1", "localhost", "::1") else "EveryNode"
        serve.start(proxy_location=place, http_options={"host": deployer.host, "port": deployer.port})
    return serve


def check_proxy(deployer: ServeOptions) -> None:
    """Raises: DeployError when Serve's proxies are not where the recipe says."""
    url = f"{deployer.url.removesuffix(f'/{deployer.endpoint}/score')}/-/healthz"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10):
            return
    except (urllib.error.URLError, OSError) as error:
        raise DeployError(
            f"Serve does not answer at {url}: {getattr(error, 'reason', error)}",
            deployer.endpoint,
            "If Serve of this cluster was started on another host or port, set deploy.host and deploy.port to them.",
        ) from error


def start_router(deployer: ServeOptions) -> None:
    """Begin the application of the endpoint, and wait until it answers."""
    from ray import serve

    decorator: Any = serve.deployment
    router = decorator(Router).options(
        name="router",
        num_replicas=deployer.routers,
        max_ongoing_requests=ONGOING,
        health_check_period_s=5,
        ray_actor_options={"num_cpus": 0, "runtime_env": {"env_vars": dict(deployer.environment)}},
    )
    bound = router.bind(deployer.endpoint, deployer.files, deployer.request_timeout)
    with _starting:
        serve.run(bound, name=application(deployer.endpoint), route_prefix=f"/{deployer.endpoint}")
    check_proxy(deployer)


def start_deployment(deployer: ServeOptions, deployment: str) -> None:
    """Begin the application of a deployment; returns before it is ready."""
    scale: dict[str, Any] = {"num_replicas": deployer.replicas}
    if deployer.max_replicas is not None:
        scale = {"autoscaling_config": {"min_replicas": deployer.replicas, "max_replicas": deployer.max_replicas}}
    variables = {**process_environment(max(1, round(deployer.cpus)), serving=True), **deployer.environment}
    with _starting:
        _begin(deployer, deployment, scale, variables)


def _begin(deployer: ServeOptions, deployment: str, scale: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    from ray import serve
    from ray.serve.api import RunTarget

    decorator: Any = serve.deployment
    replica = decorator(Replica).options(
        name="model",
        max_ongoing_requests=ONGOING,
        graceful_shutdown_timeout_s=deployer.request_timeout,
        graceful_shutdown_wait_loop_s=0.2,
        max_constructor_retry_count=CONSTRUCTIONS,
        ray_actor_options={
            "num_cpus": deployer.cpus,
            "num_gpus": deployer.gpus,
            "runtime_env": {"env_vars": dict(variables)},
        },
        **scale,
    )
    bound = replica.bind(deployer.endpoint, deployment, deployer.files, deployer.engine, asdict(deployer.limits))
    target = RunTarget(target=bound, name=application(deployer.endpoint, deployment), route_prefix=None)
    serve.run_many([target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)


def check_room(deployer: ServeOptions) -> None:
    """Raises: DeployError when no node could ever hold a replica: Serve would wait for one for ever."""
    import ray

    wanted = {"CPU": deployer.cpus, "GPU": deployer.gpus}
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if not any(all(node["Resources"].get(name, 0) >= count for name, count in wanted.items()) for node in nodes):
        most = {name: max((node["Resources"].get(name, 0) for node in nodes), default=0) for name in wanted}
        raise DeployError(
            f"no node of the cluster has {deployer.cpus:g} cores and {deployer.gpus:g} GPUs; the most are {most['CPU']:g} and {most['GPU']:g}",
            deployer.endpoint,
            "Lower deploy.cpus or deploy.gpus, or add a node.",
        )


def check_storage(folder: Path) -> None:
    """Raises: DeployError when a node does not see this folder."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if len(nodes) < 2:
        return
    name = f".seen-{secrets.token_hex(8)}"
    (folder / name).touch()
    try:
        for node in nodes:
            here: Any = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task: Any = ray.remote(num_cpus=0, scheduling_strategy=here)
            seen = task(_exists).remote(str(folder / name))
            if not ray.get(seen, timeout=60):
                raise DeployError(
                    f"the node {node['NodeManagerAddress']} does not see the endpoint's files",
                    str(folder),
                    "Set deploy.storage to a folder that every node of the cluster sees.",
                )
    finally:
        (folder / name).unlink(missing_ok=True)


def stop(deployer: ServeOptions) -> None:
    """Take down all applications of the endpoint, and what served it alone."""
    from ray import serve

    names = [
        name
        for name in serve.status().applications
        if name == deployer.endpoint or name.startswith(f"{deployer.endpoint}.")
    ]
    for name in sorted(names):  # the router first: it takes no request any more
        serve.delete(name)
    shares.forget(deployer.endpoint)
    if deployer.address is None and not serve.status().applications:
        cluster.end()


def _exists(path: str) -> bool:
    return Path(path).exists()


def _runs() -> bool:
    """Whether Serve runs on the cluster."""
    import ray

    with contextlib.suppress(ValueError):
        return ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve") is not None
    return False
