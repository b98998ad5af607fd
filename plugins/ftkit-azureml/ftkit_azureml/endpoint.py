"""The deployer `managed-endpoint`: a managed online endpoint of Azure Machine Learning."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ftkit.bundle import Bundle, cleared
from ftkit.contracts import Data, Deployment, Endpoint, Health
from ftkit.errors import DeployError, PluginError
from ftkit.record import AUTO, NATIVE
from ftkit.served import DEPLOYMENT, ENDPOINT
from ftkit_azureml import assets, operations, refusals
from ftkit_azureml.scoring import IMAGE, SCRIPT, Needs, limits, needs
from ftkit_azureml.workspace import InWorkspace

BUNDLE = "ftkit.bundle"
"""Tag of a deployment with the hash of its bundle."""
TELEMETRY = re.compile(
    r"APPLICATIONINSIGHTS_CONNECTION_STRING|OTEL_(SDK_DISABLED|(TRACES|LOGS)_EXPORTER|EXPORTER_OTLP_\w+)"
)
"""Variables that say where telemetry goes."""
AUDIENCE = "https://ml.azure.com"
"""Whom a caller's token must be for, where an endpoint takes tokens."""

_STARTING = ("Creating", "Updating", "Scaling")
_GOING = ("Deleting",)
_PAUSE = 1.0
"""Seconds between two looks at something that somebody else has begun."""
_PROBE = 10
"""Seconds between two probes, and before the first."""


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
        if self.startup_timeout < _PROBE or self.probe_timeout <= 0:
            raise ValueError(f"startup_timeout must be at least {_PROBE} seconds and probe_timeout above 0")
        if not 0 <= self.mirror <= 50:
            raise ValueError("mirror must be from 0 to 50: Azure copies no more than half of the traffic")
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.instance_type):
            raise ValueError(f"instance_type must be a size such as Standard_DS3_v2, not {self.instance_type!r}")

    # ------------------------------------------------------------------------------------ the six verbs

    def prepare(self) -> Endpoint:
        """Make sure the endpoint exists, leaving deployments and traffic as they are."""
        with self.opened(DeployError, self.endpoint) as client:
            from azure.ai.ml.entities import ManagedOnlineEndpoint

            found = self._settled(client)
            if found is None or found.provisioning_state == "Failed":
                wanted = ManagedOnlineEndpoint(
                    name=self.endpoint, auth_mode=self.auth.replace("-", "_"), tags={"ftkit": "", **self.tags}
                )
                client.online_endpoints.begin_create_or_update(wanted).result()
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
        needed = self._needs(opened)
        with self.opened(DeployError, f"{self.endpoint}/{deployment}") as client:
            if self._at_rest(client, deployment, _GOING) is not None:
                raise DeployError(
                    f"there is a deployment {deployment!r} already", self.endpoint, "Delete it, or choose another name."
                )
            model = assets.model(client, opened)
            environment = assets.environment(client, needed.environment)
            with tempfile.TemporaryDirectory(prefix="ftkit-azureml-") as folder:
                code = Path(folder) / "code"
                needed.write_code(code)
                wanted = self._wanted(deployment, opened, model, environment, code)
                operations.forget(self._key(deployment))
                poller = client.online_deployments.begin_create_or_update(wanted, skip_script_validation=True)
            operations.remember(self._key(deployment), poller)

    def health(self, deployment: str) -> Health:
        """How the deployment is doing now; one that failed brings the end of its container's log."""
        with self.opened(DeployError, f"{self.endpoint}/{deployment}") as client:
            failed = operations.failure(self._key(deployment))
            found = self._get(client, deployment)
            if found is None and not failed:
                if operations.is_running(self._key(deployment)):
                    return Health("starting", "Azure has been asked for it")
                raise self._unknown(client, deployment)
            state = str(getattr(found.provisioning_state, "value", found.provisioning_state)) if found else "Failed"
            if state in _STARTING and not failed:
                last = self._log(client, deployment, 1)
                return Health("starting", f"Azure is {state.lower()} it" + (f"; its log: {last}" if last else ""))
            if state == "Succeeded" and not failed:
                return Health("ready")
            if not failed and operations.is_running(self._key(deployment)):
                # Whoever began it is told the reason a moment after everybody can see the state.
                return Health("starting", f"Azure says {state.lower()}, and has yet to say why")
            log = self._log(client, deployment, 100) if found is not None else ""
            return Health("failed", failed or f"Azure says {state}", log)

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request as any caller would, over HTTPS."""
        import requests

        # The SDK's own `invoke` keeps the deployment's name for later calls that name none.
        with self.opened(DeployError, self.endpoint) as client:
            found = self._found(client)
            if found is None or not found.scoring_uri:
                raise DeployError("there is no endpoint of this name", self.endpoint, "`ftkit run RECIPE` makes one.")
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._secret(client)}"}
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
        with self.opened(DeployError, self.endpoint) as client:
            known = [each.name for each in self._deployments(client)]
            if unknown := sorted(set(shares) - set(known)):
                raise self._unknown(client, unknown[0])
            if sum(shares.values()) not in ((0, 100) if not shares else (100,)) or min(shares.values(), default=0) < 0:
                raise DeployError(f"the shares must sum to 100, not {sum(shares.values())}", self.endpoint)
            self._route(client, {name: share for name, share in shares.items() if share}, {})

    def delete(self, deployment: str) -> None:
        """Remove a deployment once its requests in flight are answered; one that is gone already is fine."""
        with self.opened(DeployError, f"{self.endpoint}/{deployment}") as client:
            found = self._found(client)
            if found is None:
                return
            if (found.mirror_traffic or {}).get(deployment):
                self._route(client, found.traffic or {}, {})
            # Azure lets nobody remove what it is still working on.
            if self._at_rest(client, deployment, (*_STARTING, *_GOING)) is not None:
                client.online_deployments.begin_delete(deployment, self.endpoint).result()
            operations.forget(self._key(deployment))

    # ------------------------------------------------------------------------------------ the others

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        with self.opened(DeployError, self.endpoint) as client:
            found = self._found(client)
            if found is None or found.provisioning_state in _GOING:
                return None
            traffic = found.traffic or {}
            deployments = tuple(
                Deployment(
                    each.name,
                    int(traffic.get(each.name, 0)),
                    _state(each.provisioning_state),
                    (each.tags or {}).get(BUNDLE, ""),
                )
                for each in self._deployments(client)
            )
            return Endpoint(self.endpoint, found.scoring_uri or "", "", deployments, key_command=self._key_command)

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of the container's log."""
        with self.opened(DeployError, f"{self.endpoint}/{deployment}") as client:
            if self._get(client, deployment) is None:
                raise self._unknown(client, deployment)
            return self._log(client, deployment, lines)

    def stop(self) -> None:
        """Delete the endpoint with all its deployments; the models stay in the workspace."""
        with self.opened(DeployError, self.endpoint) as client:
            if self._found(client) is not None:
                client.online_endpoints.begin_delete(self.endpoint).result()

    def mirror_to(self, deployment: str | None) -> None:
        """Send a deployment copies of `mirror` percent of the live traffic; None ends that."""
        with self.opened(DeployError, self.endpoint) as client:
            found = self._found(client)
            if found is None:
                raise DeployError("there is no endpoint of this name", self.endpoint)
            self._route(client, found.traffic or {}, {deployment: self.mirror} if deployment else {})

    @classmethod
    def package(cls, bundle: Bundle, folder: Path, engine: str = NATIVE) -> None:
        """Write what a deployment by hand needs: code, environment, the bundle, and files for the `az` command."""
        from ftkit_azureml import package

        package.write(bundle, needs(bundle, IMAGE, engine=engine), folder, engine)

    # ------------------------------------------------------------------------------------ what they share

    @property
    def local(self) -> bool:
        """With telemetry only the machine of the command can deploy: its environment alone says where telemetry goes."""
        return self.telemetry

    def foresee(self, data: Data) -> None:
        """See before any training that telemetry has somewhere to go. Raises: PluginError."""
        if self.telemetry:
            self._telemetry()

    def _needs(self, bundle: Bundle) -> Needs:
        if not self.telemetry:
            return needs(bundle, self.image, self.indexes, self.engine)
        sent_by = (
            "ftkit-appinsights[otlp]" if any("OTLP" in name for name in self._telemetry()) else "ftkit-appinsights"
        )
        return needs(bundle, self.image, self.indexes, self.engine, [sent_by])

    def _telemetry(self) -> dict[str, str]:
        """Where telemetry goes, as the environment of this process says. Raises: PluginError when it does not."""
        found = {name: value for name, value in os.environ.items() if value and TELEMETRY.fullmatch(name)}
        if not any("CONNECTION" in name or "ENDPOINT" in name for name in found):
            raise PluginError(
                "telemetry is asked for, but nothing says where it goes",
                where="deploy.telemetry",
                mend="Set APPLICATIONINSIGHTS_CONNECTION_STRING, or OTEL_EXPORTER_OTLP_ENDPOINT, where you deploy.",
            )
        return found

    def _wanted(self, deployment: str, bundle: Bundle, model: str, environment: str, code: Path) -> Any:
        from azure.ai.ml.entities import (
            CodeConfiguration,
            ManagedOnlineDeployment,
            OnlineRequestSettings,
            ProbeSettings,
        )

        record = bundle.record
        probe = ProbeSettings(
            initial_delay=_PROBE,
            period=_PROBE,
            timeout=math.ceil(self.probe_timeout),
            success_threshold=1,
            failure_threshold=math.ceil(self.startup_timeout / _PROBE),
        )
        return ManagedOnlineDeployment(
            name=deployment,
            endpoint_name=self.endpoint,
            model=model,
            environment=environment,
            code_configuration=CodeConfiguration(code=str(code), scoring_script=SCRIPT),
            instance_type=self.instance_type,
            instance_count=self.instance_count,
            request_settings=OnlineRequestSettings(
                request_timeout_ms=round(self.request_timeout * 1000),
                max_concurrent_requests_per_instance=self.concurrency,
                max_queue_wait_ms=round(self.request_timeout * 1000),
            ),
            liveness_probe=probe,
            readiness_probe=probe,
            environment_variables={
                **self.environment_variables,
                **(self._telemetry() if self.telemetry else {}),
                ENDPOINT: self.endpoint,
                DEPLOYMENT: deployment,
                "FTKIT_ENGINE": self.engine,
                "FTKIT_LIMITS": limits(self.max_rows, self.max_batch, self.max_waiting),
                "GUNICORN_CMD_ARGS": f"--threads {self.concurrency}",
                "HF_HUB_OFFLINE": "1",
            },
            tags={**self.tags, BUNDLE: bundle.hash, "ftkit.record": record.digest if record else ""},
        )

    def _key(self, deployment: str) -> tuple[Any, ...]:
        return (self.place, self.endpoint, deployment)

    def _found(self, client: Any) -> Any | None:
        """The endpoint, or None. Raises: what the SDK raises."""
        return assets.existing(lambda: client.online_endpoints.get(self.endpoint))

    def _settled(self, client: Any) -> Any | None:
        """The endpoint once nobody is working on it: an interrupted run may have asked for it, or for its end."""
        return self._waited(lambda: self._found(client), (*_STARTING, *_GOING))

    def _at_rest(self, client: Any, deployment: str, busy: Collection[str]) -> Any | None:
        """The deployment, or None, once it is in none of these states."""
        return self._waited(lambda: self._get(client, deployment), busy)

    def _waited(self, look: Callable[[], Any | None], busy: Collection[str]) -> Any | None:
        ends = time.monotonic() + self.ready_timeout
        while (found := look()) is not None and found.provisioning_state in busy:
            if time.monotonic() > ends:
                said = f"Azure has been {found.provisioning_state.lower()} it for {self.ready_timeout:g} s"
                raise DeployError(said, found.name, "Look at it in Azure's studio; delete it there if need be.")
            time.sleep(_PAUSE)
        return found

    def _get(self, client: Any, deployment: str) -> Any | None:
        return assets.existing(lambda: client.online_deployments.get(deployment, self.endpoint))

    def _deployments(self, client: Any) -> list[Any]:
        found = assets.existing(lambda: list(client.online_deployments.list(self.endpoint)))
        return [each for each in found or () if each.provisioning_state not in _GOING]

    def _route(self, client: Any, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        found = self._settled(client)
        if found is None:
            raise DeployError("there is no endpoint of this name", self.endpoint)
        found.traffic = dict(traffic)
        found.mirror_traffic = dict(mirror)
        client.online_endpoints.begin_create_or_update(found).result()

    def _log(self, client: Any, deployment: str, lines: int) -> str:
        """The end of the container's log; before it runs, of what brings the model to it."""
        if lines < 1:
            return ""
        for container in ("inference-server", "storage-initializer"):
            try:
                said = client.online_deployments.get_logs(deployment, self.endpoint, lines, container_type=container)
            except Exception as error:  # there is no log before there is a container
                if not getattr(error, "status_code", None):
                    raise
                continue
            if said.strip():
                return refusals.clean("\n".join(said.rstrip("\n").splitlines()[-lines:]))
        return ""

    def _secret(self, client: Any) -> str:
        if self.auth == "key":
            return str(client.online_endpoints.get_keys(self.endpoint).primary_key)
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
            what, where, mend = said["error"], said["where"], said["mend"]
        except (ValueError, LookupError, TypeError):
            what, where, mend = answer.text.strip()[:300] or answer.reason, "", ""
        status = answer.headers.get("ms-azureml-model-error-statuscode", answer.status_code)
        place = where or (f"{self.endpoint}/{deployment}" if deployment else self.endpoint)
        return DeployError(f"the endpoint answered {status}: {refusals.clean(str(what))}", place, mend)

    def _unknown(self, client: Any, deployment: str) -> DeployError:
        known = ", ".join(each.name for each in self._deployments(client))
        return DeployError(f"there is no deployment {deployment!r}", self.endpoint, f"There are: {known or 'none'}.")


def check_name(name: str, what: str) -> None:
    """Raises: ValueError for a name that Azure would not take. Source: Azure Machine Learning, limits of online endpoints."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]", name):
        raise ValueError(
            f"{what} must be 3 to 32 letters, digits and hyphens, a letter first and no hyphen last, not {name!r}"
        )


def _state(state: str) -> str:
    """A state of Azure's in the words of ftkit."""
    return {"Succeeded": "ready", "Creating": "starting", "Updating": "starting"}.get(state, state.lower())
