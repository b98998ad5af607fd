"""The deployer `managed-endpoint`: a managed online endpoint of Azure Machine Learning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit_azure.images import IMAGE
from ftkit_azure.sign_in import signed_in

from ftkit import scratch
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import cleared
from ftkit.contracts import NATIVE, Data, Deployment, Endpoint, Health, Measures
from ftkit.errors import DeployError
from ftkit_azureml import assets, blueprint, client, measuring, operations
from ftkit_azureml.assets import BUNDLE
from ftkit_azureml.online import GOING, STARTING, Online, state_of
from ftkit_azureml.options import EndpointOptions, check_name
from ftkit_azureml.scoring import needs

AUDIENCE = "https://ml.azure.com"
"""Whom a caller's token must be for, where an endpoint takes tokens."""


@dataclass(frozen=True, kw_only=True)
class ManagedEndpoint(EndpointOptions):
    """A managed online endpoint of Azure Machine Learning."""

    name: ClassVar[str] = "managed-endpoint"
    ready_timeout: ClassVar[float] = 3600.0
    """A new environment takes a quarter of an hour to build, a machine some minutes to start."""
    poll: ClassVar[float] = 10.0
    """Azure throttles clients that ask too often."""
    delay: ClassVar[float] = measuring.DELAY

    # ------------------------------------------------------------------------------------ the six verbs

    def prepare(self) -> Endpoint:
        """Ensure that the endpoint exists, leaving deployments and traffic as they are."""
        with self._online() as online:
            from azure.ai.ml.entities import ManagedOnlineEndpoint

            auth = self.auth.replace("-", "_")
            current = online.settled()
            if current is None or current.provisioning_state == "Failed":
                endpoint = ManagedOnlineEndpoint(name=self.endpoint, auth_mode=auth, tags={"ftkit": "", **self.tags})
                online.azure.online_endpoints.begin_create_or_update(endpoint).result()
            elif current.auth_mode.lower() != auth:
                raise DeployError(
                    f"the endpoint takes {current.auth_mode}, the recipe asks for {self.auth}",
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
            if online.settled_deployment(deployment, GOING) is not None:
                raise DeployError(
                    f"there is a deployment {deployment!r} already", self.endpoint, "Delete it, or choose another name."
                )
            model = assets.model(online.azure, opened)
            environment = assets.environment(online.azure, needed.environment)
            with scratch.folder() as folder:
                code = folder / "code"
                needed.write_code(code)
                description = blueprint.deployment(self, deployment, opened, model, environment, code)
                operations.forget(self._key(deployment))
                poller = online.azure.online_deployments.begin_create_or_update(
                    description, skip_script_validation=True
                )
            operations.remember(self._key(deployment), poller)

    def health(self, deployment: str) -> Health:
        """How the deployment is doing now; one that failed brings the end of its container's log."""
        with self._online(deployment) as online:
            running, reason = operations.outcome(self._key(deployment))
            current = online.deployment(deployment)
            if current is None and not reason:
                if running:
                    return Health("starting", "Azure has begun to create it")
                raise online.unknown(deployment)
            state = state_of(current) if current is not None else "Failed"
            if state in STARTING and not reason:
                last = online.log(deployment, 1)
                return Health("starting", f"Azure is {state.lower()} it" + (f"; its log: {last}" if last else ""))
            if state == "Succeeded" and not reason:
                return Health("ready")
            if running:
                # The operation ends, with the reason, a moment after the state has changed.
                return Health("starting", f"its state is {state}, and Azure has not said why yet")
            log = online.log(deployment, 100) if current is not None else ""
            return Health("failed", _refused(log) or reason or f"its state is {state}", log)

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request as any caller would, over HTTPS."""
        import requests

        # The SDK's own `invoke` keeps the deployment's name for later calls that name none.
        with self._online() as online:
            endpoint = online.current()
            if endpoint is None or not endpoint.scoring_uri:
                raise online.missing()
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._secret(online)}"}
            if deployment is not None:
                headers["azureml-model-deployment"] = deployment
            answer = requests.post(
                endpoint.scoring_uri, json.dumps(dict(request)), headers=headers, timeout=self.request_timeout + 10
            )
        if not answer.ok:
            raise self._refusal(answer, deployment)
        try:
            return answer.json()
        except ValueError as error:
            raise DeployError("the answer is no JSON", endpoint.scoring_uri) from error

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic and all others none, at once or not at all; copies end as well."""
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
            endpoint = online.current()
            if endpoint is None:
                return
            if (endpoint.mirror_traffic or {}).get(deployment):
                online.route(endpoint.traffic or {}, {})
            # Azure deletes nothing that it is still working on.
            if online.settled_deployment(deployment, (*STARTING, *GOING)) is not None:
                online.azure.online_deployments.begin_delete(deployment, self.endpoint).result()
            operations.forget(self._key(deployment))

    # ------------------------------------------------------------------------------------ the others

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        with self._online() as online:
            endpoint = online.current()
            if endpoint is None or endpoint.provisioning_state in GOING:
                return None
            traffic = endpoint.traffic or {}
            deployments = tuple(
                Deployment(
                    each.name,
                    int(traffic.get(each.name, 0)),
                    _state(state_of(each)),
                    (each.tags or {}).get(BUNDLE, ""),
                )
                for each in online.deployments()
            )
            return Endpoint(self.endpoint, endpoint.scoring_uri or "", "", deployments, key_command=self._key_command)

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of the container's log."""
        with self._online(deployment) as online:
            if online.deployment(deployment) is None:
                raise online.unknown(deployment)
            return online.log(deployment, lines)

    def stop(self) -> None:
        """Delete the endpoint with all its deployments; the models stay in the workspace."""
        with self._online() as online:
            if online.current() is not None:
                online.azure.online_endpoints.begin_delete(self.endpoint).result()

    def mirror_to(self, deployment: str | None) -> None:
        """Send a deployment copies of `mirror` percent of the live traffic; None ends that."""
        with self._online() as online:
            endpoint = online.current()
            if endpoint is None:
                raise online.missing()
            online.route(endpoint.traffic or {}, {deployment: self.mirror} if deployment else {})

    def measures(self, seconds: float) -> Mapping[str, Measures]:
        """What each deployment did over the last seconds, by the metrics of Azure Monitor: whole minutes, none of the last three."""
        with client.translated(DeployError, self.endpoint):
            place = f"{self.place.id}/onlineEndpoints/{self.endpoint}"
            return measuring.measured(signed_in(self.credential), place, seconds, self.delay)

    @classmethod
    def package(cls, bundle: Path, folder: Path, engine: str = NATIVE) -> None:
        """Write what a deployment by hand needs: code, environment, the bundle, and files for the `az` command."""
        from ftkit_azureml import package

        opened = bundles.verify(bundle)
        package.write(opened, needs(opened, IMAGE, engine=engine), folder, engine)

    # ------------------------------------------------------------------------------------ shared

    @property
    def local(self) -> bool:
        """Whether only the machine of the command can deploy: with telemetry, since its environment alone says where that goes."""
        return self.telemetry

    def foresee(self, data: Data) -> None:
        """Ensure before any training that telemetry has a destination. Raises: PluginError."""
        if self.telemetry:
            blueprint.telemetry()

    @contextmanager
    def _online(self, deployment: str | None = None) -> Iterator[Online]:
        """The endpoint as Azure has it; what the SDK raises becomes an error about it, or about this deployment of it."""
        where = self.endpoint if deployment is None else f"{self.endpoint}/{deployment}"
        with client.connected(self, DeployError, where) as azure:
            yield Online(azure, self.endpoint, self.ready_timeout)

    def _key(self, deployment: str) -> tuple[Any, ...]:
        return (self.place, self.endpoint, deployment)

    def _secret(self, online: Online) -> str:
        if self.auth == "key":
            return online.key()
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

    def _refusal(self, answer: Any, deployment: str | None) -> DeployError:
        """What the endpoint answered instead of predictions, as the error of the model's server where it wrote one."""
        from ftkit.redaction import redacted

        try:
            body = answer.json()
            what, where, hint = body["error"], body["where"], body["hint"]
        except (ValueError, LookupError, TypeError):
            what, where, hint = redacted(answer.text.strip())[:300] or answer.reason, "", ""
        status = answer.headers.get("ms-azureml-model-error-statuscode", answer.status_code)
        place = where or (f"{self.endpoint}/{deployment}" if deployment else self.endpoint)
        return DeployError(f"the endpoint answered {status}: {what}", place, hint)


def _refused(log: str) -> str:
    """Why the scoring script did not serve its bundle, by the container's log: Azure knows only that the container ended."""
    from ftkit.serving.model_host import REFUSED

    return next((after.strip() for line in log.splitlines() if (after := line.partition(f"{REFUSED}: ")[2])), "")


def _state(state: str) -> str:
    """A state of Azure's in the words of ftkit."""
    return {"Succeeded": "ready", "Creating": "starting", "Updating": "starting"}.get(state, state.lower())
