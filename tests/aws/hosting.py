"""SageMaker's hosting as moto does not do it: states that last, updates that fail, containers, and invocations by weight.

moto keeps models, configurations, endpoints and tags. What is here changes its endpoints as AWS documents it:
- an endpoint is Creating or Updating until each new variant answers /ping, and refuses every change meanwhile;
- an endpoint whose first configuration fails is Failed; one whose update fails is InService with the old one and a FailureReason;
- weights take effect after a moment of Updating; deletion takes a moment.
Unlike AWS, a variant that stays in an update keeps its process.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.aws.containers import Container
from tests.aws.messages import Answer, answer, refusal

BUSY = ("Creating", "Updating", "Deleting")


class Hosting:
    """The endpoints of one account."""

    def __init__(self, account: str, folder: Path) -> None:
        self.account = account
        self.folder = folder
        self.pace = 0.05
        """Seconds that a change takes beside the start of containers."""
        self.failing: list[str] = []
        """Reasons why the next variants fail to start."""
        self.complaints: list[str] = []
        self.containers: dict[tuple[str, str], Container] = {}
        """By endpoint and variant."""
        self._ended: list[Container] = []
        self._lock = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._number = 0

    # ------------------------------------------------------------------------------------------ operations

    def before(self, region: str, operation: str, body: dict[str, Any]) -> Answer | None:
        """The answer to an operation that moto need not see; None for one that it shall answer."""
        with self._lock:
            sagemaker = self._sagemaker(region)
            if operation == "CreateModel" and body["ModelName"] in sagemaker._models:
                return _taken("model", body["ModelName"])
            if operation == "CreateEndpointConfig" and body["EndpointConfigName"] in sagemaker.endpoint_configs:
                return _taken("endpoint configuration", body["EndpointConfigName"])
            self._watch_over(sagemaker, operation, body)
            name = body.get("EndpointName", "")
            endpoint = sagemaker.endpoints.get(name)
            if operation == "CreateEndpoint" and endpoint is not None:
                return _taken("endpoint", name)
            if operation not in ("UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "DeleteEndpoint"):
                return None
            if endpoint is None:
                return refusal(400, "ValidationException", f'Could not find endpoint "{name}".')
            if endpoint.endpoint_status in BUSY:
                return refusal(400, "ValidationException", f'Cannot update in-progress endpoint "{endpoint.arn}".')
            if operation == "DeleteEndpoint":
                endpoint.endpoint_status = "Deleting"
                self._later(self._deleted, region, name)
                return answer({})
            if endpoint.endpoint_status == "Failed":
                return refusal(400, "ValidationException", f'Cannot update failed endpoint "{endpoint.arn}".')
            if operation == "UpdateEndpoint":
                config = sagemaker.endpoint_configs.get(body["EndpointConfigName"])
                if config is None:
                    what = f'Could not find endpoint configuration "{body["EndpointConfigName"]}".'
                    return refusal(400, "ValidationException", what)
                self._begin(region, endpoint, config, "Updating", bool(body.get("RetainAllVariantProperties")))
            else:
                known = {each["VariantName"] for each in endpoint.production_variants}
                wanted = {each["VariantName"]: each for each in body["DesiredWeightsAndCapacities"]}
                if not set(wanted) <= known:
                    return refusal(
                        400, "ValidationException", f"The variant names {set(wanted) - known} are not present."
                    )
                endpoint.endpoint_status, endpoint.failure_reason = "Updating", None
                for variant in endpoint.production_variants:
                    variant["DesiredWeight"] = wanted.get(variant["VariantName"], variant).get("DesiredWeight")
                self._later(self._weighed, endpoint)
            return answer({"EndpointArn": endpoint.arn})

    def after(self, region: str, operation: str, body: dict[str, Any]) -> None:
        """Begin what an operation that moto carried out entails."""
        if operation == "CreateEndpoint":
            with self._lock:
                sagemaker = self._sagemaker(region)
                endpoint = sagemaker.endpoints[body["EndpointName"]]
                self._begin(region, endpoint, sagemaker.endpoint_configs[body["EndpointConfigName"]], "Creating", False)

    def invoke(self, region: str, name: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer of the variant that is named, or whose turn it is by the weights."""
        with self._lock:
            endpoint = self._sagemaker(region).endpoints.get(name)
            variants = endpoint.production_variants if endpoint is not None else []
            if not variants or endpoint.endpoint_status in ("Creating", "Failed", "Deleting"):
                return refusal(400, "ValidationError", f"Endpoint {name} of account {self.account} not found.")
            weights = {each["VariantName"]: each["CurrentWeight"] for each in variants}
            if target and target not in weights:
                return refusal(400, "ValidationError", f"Variant {target} is not found in endpoint {name}.")
            if not target:
                (target,) = random.choices(list(weights), list(weights.values()))
            container = self.containers[name, target]
            container.begin()
        begun = time.monotonic()
        reply = container.invoke(body, headers)
        self._measure(region, name, target, reply.status_code, time.monotonic() - begun)
        if reply.status_code == 200:
            sent = {"Content-Type": reply.headers["Content-Type"], "x-Amzn-Invoked-Production-Variant": target}
            return Answer(200, reply.content, sent)
        kind = "client" if reply.status_code < 500 else "server"
        told = {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if kind == "client" else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{region}:{self.account}:log-group:/aws/sagemaker/Endpoints/{name}",
            "Message": f'Received {kind} error ({reply.status_code}) from primary with message "{reply.text}".',
            "OriginalMessage": reply.text,
            "OriginalStatusCode": reply.status_code,
        }
        return answer(told, 424, {"x-amzn-ErrorType": "ModelError"})

    # ------------------------------------------------------------------------------------------ what lasts

    def write_logs(self, region: str) -> None:
        """Bring what containers wrote to CloudWatch, as moto keeps it."""
        from moto.logs.models import logs_backends

        logs = logs_backends[self.account][region]
        with self._lock:
            for container in [*self.containers.values(), *self._ended]:
                endpoint, variant = container.folder.name.split("+")[1:]
                group, stream = f"/aws/sagemaker/Endpoints/{endpoint}", f"{variant}/i-{container.folder.name[:4]}"
                logs.ensure_log_group(group)
                if stream not in logs.groups[group].streams:
                    logs.create_log_stream(group, stream)
                lines = container.log.read_text(errors="replace").splitlines()
                now = int(time.time() * 1000)
                events = [{"timestamp": now, "message": line} for line in lines[container.shown :]]
                if events:
                    logs.put_log_events(group, stream, events)
                container.shown = len(lines)

    def close(self) -> None:
        """End all containers."""
        for thread in self._threads:
            thread.join(90)
        for container in [*self.containers.values()]:
            container.stop()
        self.containers.clear()

    def _begin(self, region: str, endpoint: Any, config: Any, status: str, retain: bool) -> None:
        wanted = [dict(each) for each in config.production_variants]
        endpoint.endpoint_status, endpoint.failure_reason = status, None
        if status == "Creating":
            endpoint.production_variants = []
        endpoint.pending_deployment_summary = {
            "EndpointConfigName": config.endpoint_config_name,
            "ProductionVariants": [
                {"VariantName": each["VariantName"], "VariantStatus": [{"Status": "Creating"}]} for each in wanted
            ],
        }
        self._later(self._changed, region, endpoint, config, wanted, retain)

    def _changed(self, region: str, endpoint: Any, config: Any, wanted: list[dict[str, Any]], retain: bool) -> None:
        """Start the containers of new variants, and end the update as they do."""
        name, started, reason = endpoint.endpoint_name, dict[str, Container](), ""
        for each in wanted:
            if (name, each["VariantName"]) in self.containers:
                continue
            variant = each["VariantName"]
            container = self._start(region, name, variant, each["ModelName"])
            started[variant] = container
            if self.failing:
                reason = self.failing.pop(0)
            elif not container.answers_ping():
                reason = (
                    f"The primary container for production variant {variant} did not pass the ping health check. "
                    "Please check CloudWatch logs for this endpoint."
                )
            if reason:
                break
        with self._lock:
            live = {each["VariantName"]: each for each in endpoint.production_variants}
            if reason:
                gone = list(started.values())
                endpoint.failure_reason = reason
                endpoint.endpoint_status = "InService" if live else "Failed"
            else:
                before = live if retain else {}
                endpoint.production_variants = [_running(each, before.get(each["VariantName"])) for each in wanted]
                endpoint.endpoint_config_name = config.endpoint_config_name
                names = {each["VariantName"] for each in wanted}
                gone = [
                    self.containers.pop(key) for key in list(self.containers) if key[0] == name and key[1] not in names
                ]
                self.containers |= {(name, variant): container for variant, container in started.items()}
                endpoint.endpoint_status = "InService"
            endpoint.pending_deployment_summary = None
            self._ended += gone
        for container in gone:
            container.stop()

    def _weighed(self, endpoint: Any) -> None:
        with self._lock:
            for variant in endpoint.production_variants:
                variant["CurrentWeight"] = variant["DesiredWeight"]
            endpoint.endpoint_status = "InService"

    def _deleted(self, region: str, name: str) -> None:
        with self._lock:
            gone = [self.containers.pop(key) for key in list(self.containers) if key[0] == name]
            self._ended += gone
        for container in gone:
            container.stop()
        with self._lock:
            self._sagemaker(region).endpoints.pop(name, None)

    def _start(self, region: str, endpoint: str, variant: str, model: str) -> Container:
        from moto.s3.models import s3_backends

        described = self._sagemaker(region)._models[model].primary_container
        bucket, _, key = described["ModelDataUrl"].removeprefix("s3://").partition("/")
        stored = s3_backends[self.account]["aws"].get_object(bucket, key)
        assert stored is not None
        with self._lock:
            self._number += 1
            folder = self.folder / f"{self._number:04}+{endpoint}+{variant}"
        folder.mkdir(parents=True)
        return Container(folder, stored.value, described["Environment"])

    def _later(self, do: Any, *arguments: Any) -> None:
        def wait() -> None:
            time.sleep(self.pace)
            do(*arguments)

        thread = threading.Thread(target=wait, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _watch_over(self, sagemaker: Any, operation: str, body: Mapping[str, Any]) -> None:
        """Complain where what an endpoint needs is deleted, which AWS allows and warns of."""
        for endpoint in sagemaker.endpoints.values():
            pending = (vars(endpoint).get("pending_deployment_summary") or {}).get("EndpointConfigName")
            used = {endpoint.endpoint_config_name, pending}
            if operation == "DeleteEndpointConfig" and body["EndpointConfigName"] in used:
                self.complaints.append(f"a configuration in use was deleted: {body['EndpointConfigName']}")
            models = {
                each["ModelName"]
                for config in used & set(sagemaker.endpoint_configs)
                for each in sagemaker.endpoint_configs[config].production_variants
            }
            if operation == "DeleteModel" and body["ModelName"] in models and endpoint.endpoint_status != "Failed":
                self.complaints.append(f"a model in use was deleted: {body['ModelName']}")

    def _measure(self, region: str, endpoint: str, variant: str, status: int, seconds: float) -> None:
        """Count a request in CloudWatch."""
        from moto.cloudwatch.models import cloudwatch_backends

        of = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        values = {
            "Invocations": 1,
            "Invocation4XXErrors": int(400 <= status < 500),
            "Invocation5XXErrors": int(status >= 500),
            "InvocationModelErrors": int(status != 200),
            **({"ModelLatency": seconds * 1e6} if status == 200 else {}),
        }
        data = [{"MetricName": name, "Value": value, "Dimensions": of} for name, value in values.items()]
        cloudwatch_backends[self.account][region].put_metric_data("AWS/SageMaker", data)

    def _sagemaker(self, region: str) -> Any:
        from moto.sagemaker.models import sagemaker_backends

        return sagemaker_backends[self.account][region]


def _running(wanted: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """A variant as an endpoint describes it: with its own weight, or with that which it had before."""
    weight = before["CurrentWeight"] if before else float(wanted.get("InitialVariantWeight", 1.0))
    count = before["CurrentInstanceCount"] if before else wanted["InitialInstanceCount"]
    return {
        "VariantName": wanted["VariantName"],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
    }


def _taken(what: str, name: str) -> Answer:
    return refusal(400, "ValidationException", f'Cannot create already existing {what} "{name}".')


def read(body: bytes) -> dict[str, Any]:
    """A request in JSON."""
    value = json.loads(body or b"{}")
    assert isinstance(value, dict)
    return value
