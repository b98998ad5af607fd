"""The deployer `managed-endpoint`: a managed online endpoint of Azure Machine Learning."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ftkit.bundle.bundle import Bundle, cleared
from ftkit.contracts import AUTO, NATIVE, Data, Deployment, Endpoint, Health
from ftkit.errors import DeployError
from ftkit_azureml import assets, blueprint, operations, refusals
from ftkit_azureml.blueprint import BUNDLE, PROBE
from ftkit_azureml.online import GOING, STARTING, Online
from ftkit_azureml.scoring import IMAGE, needs
from ftkit_azureml.workspace import InWorkspace

AUDIENCE = "https://ml.azure.com"
"""Whom a caller's token must be for, where an endpoint takes tokens."""


@dataclass(frozen=True, kw_only=True)
class ManagedEndpoint(InWorkspace):
    """A managed online endpoint of Azure Machine Learning."""

    name: ClassVar[str] = "managed-endpoint"
    ready_timeout: ClassVar[float] = 3600.0
    """Building an image takes a quarter of an hour when an environment is new, starting a machine some minutes."""
    poll: ClassVar[float] = 10.0
    """Azure counts requests, and throttles who asks too often."""

    endpoint: str
    """Name of the endpoint, unique in its region: 3 to 32 letters, digits and hyphens, a letter first."""
    auth: Literal["key", "aad-token"] = "key"
    """What callers must send: the endpoint's `key`, or a token of Microsoft Entra for https://ml.azure.com (`aad-token`)."""
    instance_type: str = "Standard_DS3_v2"
    """Size of the machines."""
    instance_count: int = 1
    """Machines of each deployment."""
    concurrency: int = 8
    """Requests that one machine works on at a time; the model computes them together."""
    request_timeout: float = 60.0
    """Seconds within which a request must be answered; Azure allows 180."""
    startup_timeout: float = 900.0
    """Seconds that a container may take from its start to its first answer before Azure starts it anew."""
    probe_timeout: float = 30.0
    """Seconds within which a probe must be answered; a server that computes a large batch answers no probe meanwhile."""
    max_rows: int = 1024
    """Texts that one request may hold."""
    max_batch: int = 32
    """Texts that are computed together at most, when several requests wait."""
    max_waiting: int = 2048
    """Texts that may wait for the model; requests beyond that get status 429."""
    engine: str = AUTO
    """Which of the bundle's engines answers: the fastest, where it serves, of those that the promotion tests passed (`auto`);
    `native`; or one that backbone.engines made and the promotion tests passed."""
    mirror: int = 0
    """Percent of the live traffic, up to 50, that a new deployment is sent copies of before it gets any; nobody waits for its answers."""
    image: str = IMAGE
    """Image that the environment is built upon; it must bring conda."""
    indexes: tuple[str, ...] = ()
    """Further package indexes for the environment, such as one that has torch for CPUs only."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the endpoint and of each deployment."""
    telemetry: bool = False
    """Send telemetry of requests to where APPLICATIONINSIGHTS_CONNECTION_STRING, or OTEL_EXPORTER_OTLP_ENDPOINT, says in the
    environment that deploys; needs ftkit-appinsights."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    """Further variables of a deployment's process, such as FTKIT_DRIFT_WINDOW. No place for secrets: a recipe goes into every bundle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name(self.endpoint, "endpoint")
        for option in ("instance_count", "concurrency", "max_rows", "max_batch", "max_waiting"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} must be at least 1")
        if not 0 < self.request_timeout <= 180:
            raise ValueError("request_timeout must be above 0 and at most 180 seconds, which is Azure's limit")
        if self.startup_timeout < PROBE or self.probe_timeout <= 0:
            raise ValueError(f"startup_timeout must be at least {PROBE} seconds and probe_timeout above 0")
        if not 0 <= self.mirror <= 50:
            raise ValueError("mirror must be from 0 to 50: Azure copies no more than half of the traffic")
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.instance_type):
            raise ValueError(f"instance_type must be a size such as Standard_DS3_v2, not {self.instance_type!r}")

    # ------------------------------------------------------------------------------------ the six verbs

    def prepare(self) -> Endpoint:
        """Make sure the endpoint exists, leaving deployments and traffic as they are."""
        with self._online() as online:
            from azure.ai.ml.entities import ManagedOnlineEndpoint

            found = online.settled()
            if found is None or found.provisioning_state == "Failed":
                wanted = ManagedOnlineEndpoint(
                    name=self.endpoint, auth_mode=self.auth.replace("-", "_"), tags={"ftkit": "", **self.tags}
                )
                online.client.online_endpoints.begin_create_or_update(wanted).result()
            elif found.auth_mode.lower() != self.auth.replace("-", "_"):
                raise DeployError(
                    f"the endpoint takes {found.auth_mode}, the recipe asks for {self.auth}",
                    self.endpoint,
                    "Azure cannot change that: set deploy.auth to what it takes, or choose another endpoint name.",
                )
        if not (described := self.describe()):
            raise DeployError("the endpoint was deleted by somebody else", self.endpoint, "Run the recipe again.")
        return described

    def create(self, deployment: str, bundle: Path) -> None:
        """Begin a deployment that gets no traffic: the bundle becomes a model of the workspace, Azure starts its machines."""
        try:
            check_name(deployment, "deployment")
        except ValueError as error:
            raise DeployError(str(error), self.endpoint) from error
        opened = cleared(bundle, self.engine)
        needed = blueprint.needed(self, opened)
        with self._online(deployment) as online:
            if online.at_rest(deployment, GOING) is not None:
                raise DeployError(
                    f"there is a deployment {deployment!r} already", self.endpoint, "Delete it, or choose another name."
                )
            model = assets.model(online.client, opened)
            environment = assets.environment(online.client, needed.environment)
            with tempfile.TemporaryDirectory(prefix="ftkit-azureml-") as folder:
                code = Path(folder) / "code"
                needed.write_code(code)
                wanted = blueprint.deployment(self, deployment, opened, model, environment, code)
                operations.forget(self._key(deployment))
                poller = online.client.online_deployments.begin_create_or_update(wanted, skip_script_validation=True)
            operations.remember(self._key(deployment), poller)

    def health(self, deployment: str) -> Health:
        """How the deployment is doing now; one that failed brings the end of its container's log."""
        with self._online(deployment) as online:
            failed = operations.failure(self._key(deployment))
            found = online.get(deployment)
            if found is None and not failed:
                if operations.is_running(self._key(deployment)):
                    return Health("starting", "Azure has been asked for it")
                raise online.unknown(deployment)
            state = str(getattr(found.provisioning_state, "value", found.provisioning_state)) if found else "Failed"
            if state in STARTING and not failed:
                last = online.log(deployment, 1)
                return Health("starting", f"Azure is {state.lower()} it" + (f"; its log: {last}" if last else ""))
            if state == "Succeeded" and not failed:
                return Health("ready")
            if not failed and operations.is_running(self._key(deployment)):
                # Whoever began it is told the reason a moment after everybody can see the state.
                return Health("starting", f"Azure says {state.lower()}, and has yet to say why")
            log = online.log(deployment, 100) if found is not None else ""
            return Health("failed", failed or f"Azure says {state}", log)

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request as any caller would, over HTTPS."""
        import requests

        # The SDK's own `invoke` keeps the deployment's name for later calls that name none.
        with self._online() as online:
            found = online.found()
            if found is None or not found.scoring_uri:
                raise DeployError("there is no endpoint of this name", self.endpoint, "`ftkit run RECIPE` makes one.")
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._secret(online)}"}
            if deployment is not None:
                headers["azureml-model-deployment"] = deployment
            answer = requests.post(
                found.scoring_uri, json.dumps(dict(request)), headers=headers, timeout=self.request_timeout + 10
            )
        if not answer.ok:
            raise self._refused(answer, deployment)
        try:
            return answer.json()
        except ValueError as error:
            raise DeployError("the answer is no JSON", found.scoring_uri) from error

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic, all others none; at once or not at all. Copies end as well."""
        with self._online() as online:
            known = [each.name for each in online.deployments()]
            if unknown := sorted(set(shares) - set(known)):
                raise online.unknown(unknown[0])
            if sum(shares.values()) not in ((0, 100) if not shares else (100,)) or min(shares.values(), default=0) < 0:
                raise DeployError(f"the shares must sum to 100, not {sum(shares.values())}", self.endpoint)
            online.route({name: share for name, share in shares.items() if share}, {})

    def delete(self, deployment: str) -> None:
        """Remove a deployment once its requests in flight are answered; one that is gone already is fine."""
        with self._online(deployment) as online:
            found = online.found()
            if found is None:
                return
            if (found.mirror_traffic or {}).get(deployment):
                online.route(found.traffic or {}, {})
            # Azure lets nobody remove what it is still working on.
            if online.at_rest(deployment, (*STARTING, *GOING)) is not None:
                online.client.online_deployments.begin_delete(deployment, self.endpoint).result()
            operations.forget(self._key(deployment))

    # ------------------------------------------------------------------------------------ the others

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        with self._online() as online:
            found = online.found()
            if found is None or found.provisioning_state in GOING:
                return None
            traffic = found.traffic or {}
            deployments = tuple(
                Deployment(
                    each.name,
                    int(traffic.get(each.name, 0)),
                    _state(each.provisioning_state),
                    (each.tags or {}).get(BUNDLE, ""),
                )
                for each in online.deployments()
            )
            return Endpoint(self.endpoint, found.scoring_uri or "", "", deployments, key_command=self._key_command)

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of the container's log."""
        with self._online(deployment) as online:
            if online.get(deployment) is None:
                raise online.unknown(deployment)
            return online.log(deployment, lines)

    def stop(self) -> None:
        """Delete the endpoint with all its deployments; the models stay in the workspace."""
        with self._online() as online:
            if online.found() is not None:
                online.client.online_endpoints.begin_delete(self.endpoint).result()

    def mirror_to(self, deployment: str | None) -> None:
        """Send a deployment copies of `mirror` percent of the live traffic; None ends that."""
        with self._online() as online:
            found = online.found()
            if found is None:
                raise DeployError("there is no endpoint of this name", self.endpoint)
            online.route(found.traffic or {}, {deployment: self.mirror} if deployment else {})

    @classmethod
    def package(cls, bundle: Path, folder: Path, engine: str = NATIVE) -> None:
        """Write what a deployment by hand needs: code, environment, the bundle, and files for the `az` command."""
        from ftkit_azureml import package

        opened = cleared(bundle, engine)
        package.write(opened, needs(opened, IMAGE, engine=engine), folder, engine)

    # ------------------------------------------------------------------------------------ what they share

    @property
    def local(self) -> bool:
        """With telemetry only the machine of the command can deploy: its environment alone says where telemetry goes."""
        return self.telemetry

    def foresee(self, data: Data) -> None:
        """See before any training that telemetry has somewhere to go. Raises: PluginError."""
        if self.telemetry:
            blueprint.telemetry()

    @contextmanager
    def _online(self, deployment: str | None = None) -> Iterator[Online]:
        """The endpoint as Azure has it; what the SDK raises becomes an error about it, or about this deployment of it."""
        where = self.endpoint if deployment is None else f"{self.endpoint}/{deployment}"
        with self.opened(DeployError, where) as client:
            yield Online(client, self.endpoint, self.ready_timeout)

    def _key(self, deployment: str) -> tuple[Any, ...]:
        return (self.place, self.endpoint, deployment)

    def _secret(self, online: Online) -> str:
        if self.auth == "key":
            return online.key()
        from ftkit_azureml.client import signed_in

        return str(signed_in(self.credential).get_token(f"{AUDIENCE}/.default").token)

    @property
    def _key_command(self) -> str:
        if self.auth == "aad-token":
            return f"az account get-access-token --resource {AUDIENCE} --query accessToken --output tsv"
        place = self.place
        return (
            f"az ml online-endpoint get-credentials --name {self.endpoint} --subscription {place.subscription} "
            f"--resource-group {place.resource_group} --workspace-name {place.name} --query primaryKey --output tsv"
        )

    def _refused(self, answer: Any, deployment: str | None) -> DeployError:
        try:
            said = answer.json()
            what, where, hint = said["error"], said["where"], said["hint"]
        except (ValueError, LookupError, TypeError):
            what, where, hint = answer.text.strip()[:300] or answer.reason, "", ""
        status = answer.headers.get("ms-azureml-model-error-statuscode", answer.status_code)
        place = where or (f"{self.endpoint}/{deployment}" if deployment else self.endpoint)
        return DeployError(f"the endpoint answered {status}: {refusals.clean(str(what))}", place, hint)


def check_name(name: str, what: str) -> None:
    """Raises: ValueError for a name that Azure would not take. Source: Azure Machine Learning, limits of online endpoints."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]", name):
        raise ValueError(
            f"{what} must be 3 to 32 letters, digits and hyphens, a letter first and no hyphen last, not {name!r}"
        )


def _state(state: str) -> str:
    """A state of Azure's in the words of ftkit."""
    return {"Succeeded": "ready", "Creating": "starting", "Updating": "starting"}.get(state, state.lower())
