"""The deployer `sagemaker`: a real-time endpoint of Amazon SageMaker."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import cleared
from ftkit.contracts import NATIVE, Data, Deployment, Endpoint, Health, Measures
from ftkit.errors import DeployError
from ftkit_sagemaker import artifact, logs, measuring, models, refusals, session
from ftkit_sagemaker.hosting import BUSY, Hosting, Variant, shares_of, slug
from ftkit_sagemaker.options import SageMakerOptions, check_name

LOG_LINES = 100


@dataclass(frozen=True, kw_only=True)
class SageMaker(SageMakerOptions):
    """A real-time endpoint of Amazon SageMaker: a production variant for each deployment."""

    name: ClassVar[str] = "sagemaker"
    ready_timeout: ClassVar[float] = 3600.0
    """Machines take some minutes to start, and SageMaker gives up after an hour."""
    poll: ClassVar[float] = 10.0
    """AWS throttles clients that ask too often."""
    delay: ClassVar[float] = measuring.DELAY

    # ------------------------------------------------------------------------------------ the six verbs

    def prepare(self) -> Endpoint:
        """Ensure that the endpoint may be used; SageMaker has none without variants, so the first `create` makes it."""
        with self._hosting() as hosting:
            endpoint = hosting.settled()
            if endpoint is not None and not hosting.is_ours(endpoint):
                raise DeployError(
                    "there is an endpoint of this name that ftkit did not make",
                    self.endpoint,
                    "Choose another name, or give it the tag `ftkit`: its variants are then taken for deployments.",
                )
            return self._described(hosting, endpoint) or Endpoint(self.endpoint, self._url)

    def create(self, deployment: str, bundle: Path) -> None:
        """Begin a deployment that gets no traffic: the bundle goes to S3, and SageMaker starts machines for a new variant."""
        try:
            check_name(deployment, "deployment")
        except ValueError as error:
            raise DeployError(str(error), self.endpoint) from error
        opened = cleared(bundle, self.engine)
        self._check_places()

        def added(variants: list[Variant]) -> list[Variant]:
            if any(each["VariantName"] == deployment for each in variants):
                raise DeployError(
                    f"there is a deployment {deployment!r} already", self.endpoint, "Delete it, or choose another name."
                )
            return [*variants, models.variant(self, deployment, alone=not variants)]

        with self._hosting(deployment) as hosting:
            endpoint = hosting.current()
            if endpoint and endpoint["EndpointStatus"] != "Failed":
                added(hosting.variants(endpoint))  # before anything is uploaded
            model = artifact.upload(self._client("s3"), self.bucket, self.prefix, opened)
            models.make(hosting.sagemaker, self, deployment, opened, model)
            hosting.change(added)

    def health(self, deployment: str) -> Health:
        """How the deployment is doing now; one that failed brings SageMaker's reason and the end of its log."""
        with self._hosting(deployment) as hosting:
            endpoint = hosting.current()
            status = endpoint["EndpointStatus"] if endpoint else ""
            live = {each["VariantName"] for each in endpoint.get("ProductionVariants", ())} if endpoint else set()
            if deployment in live and status not in ("Creating", "Failed", "Deleting"):
                return Health("ready")
            if models.existing_model(hosting.sagemaker, self.endpoint, deployment) is None:
                raise self._unknown(deployment, live)
            if endpoint and status in BUSY:
                pending = endpoint.get("PendingDeploymentSummary", {}).get("ProductionVariants", ())
                states = [
                    each
                    for variant in pending
                    if variant["VariantName"] == deployment
                    for each in variant.get("VariantStatus", ())
                ]
                progress = "; ".join(each.get("StatusMessage") or each["Status"] for each in states)
                return Health("starting", f"the endpoint is {status}" + (f": {progress}" if progress else ""))
            log = self._log(deployment, LOG_LINES)
            reason, hint = refusals.explain_reason((endpoint or {}).get("FailureReason", ""))
            reason = " ".join(
                filter(None, [reason or "SageMaker put the endpoint back as it was and gives no reason.", hint])
            )
            return Health("failed", logs.refused(log) or reason, log or reason)

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request as any caller would, signed, over HTTPS."""
        from botocore.exceptions import ClientError

        place = f"{self.endpoint}/{deployment}" if deployment else self.endpoint
        target = {"TargetVariant": deployment} if deployment else {}
        with self._hosting(deployment) as hosting:
            if deployment is None and not any(
                shares_of((hosting.current() or {}).get("ProductionVariants", ())).values()
            ):
                raise DeployError("no deployment has traffic", self.endpoint, "`ftkit run RECIPE` rolls one out.")
            try:
                answer = self._client("sagemaker-runtime").invoke_endpoint(
                    EndpointName=self.endpoint,
                    ContentType="application/json",
                    Accept="application/json",
                    Body=json.dumps(dict(request)).encode(),
                    **target,
                )
                body = answer["Body"].read()
            except ClientError as error:
                if refusals.code(error) == "ModelError":
                    raise _refusal(error, place) from None
                raise
        try:
            return json.loads(body)
        except ValueError as error:
            raise DeployError("the answer is no JSON", place) from error

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic and all others none, at once or not at all."""
        with self._hosting() as hosting:
            endpoint = hosting.settled()
            known = [each["VariantName"] for each in (endpoint or {}).get("ProductionVariants", ())]
            if unknown := sorted(set(shares) - set(known)):
                raise self._unknown(unknown[0], known)
            if shares and (sum(shares.values()) != 100 or min(shares.values()) < 0):
                raise DeployError(f"shares must be from 0 to 100 and sum to 100, not {dict(shares)}", self.endpoint)
            if endpoint is not None and known:
                hosting.weigh(endpoint, shares)

    def delete(self, deployment: str) -> None:
        """Remove a deployment once its requests in flight are answered; one that is gone already is fine."""
        with self._hosting(deployment) as hosting:
            endpoint = hosting.settled()
            if endpoint is not None and shares_of(endpoint.get("ProductionVariants", ())).get(deployment):
                raise DeployError(
                    f"the deployment {deployment!r} has traffic",
                    self.endpoint,
                    "Give its traffic to another one first.",
                )
            hosting.withdraw(deployment)
            models.delete(hosting.sagemaker, slug(self.endpoint, deployment))
            hosting.sweep()

    # ------------------------------------------------------------------------------------ the others

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        with self._hosting() as hosting:
            return self._described(hosting, hosting.current())

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of the newest log of the deployment's machines, in CloudWatch."""
        with self._hosting(deployment) as hosting:
            log = self._log(deployment, lines)
            if not log and models.existing_model(hosting.sagemaker, self.endpoint, deployment) is None:
                raise self._unknown(deployment)
            return log

    def stop(self) -> None:
        """Delete the endpoint with all its deployments; what lies in the bucket stays."""
        with self._hosting() as hosting:
            endpoint = hosting.settled()
            if endpoint is not None:
                names = {each["ModelName"] for each in hosting.variants(endpoint)}
                hosting.remove()
                for name in names:
                    models.delete(hosting.sagemaker, name)
            hosting.sweep()

    def measures(self, seconds: float) -> Mapping[str, Measures]:
        """What each deployment did over the last seconds, by CloudWatch: whole minutes, and none that are not complete."""
        with self._hosting() as hosting:
            names = [each["VariantName"] for each in (hosting.current() or {}).get("ProductionVariants", ())]
            return measuring.measured(self._client("cloudwatch"), self.endpoint, names, seconds, self.delay)

    @classmethod
    def package(cls, bundle: Path, folder: Path, engine: str = NATIVE) -> None:
        """Write what the container's image is built from, and what a deployment by hand needs."""
        from ftkit_sagemaker import image

        image.write(bundles.verify(bundle), folder, engine)

    def foresee(self, data: Data) -> None:
        """Ensure before any training that the account lets in and that the bucket is there. Raises: DeployError."""
        self.prepare()
        self._check_places()

    # ------------------------------------------------------------------------------------ shared

    @contextmanager
    def _hosting(self, deployment: str | None = None) -> Iterator[Hosting]:
        """The endpoint as SageMaker has it; what the SDK raises becomes an error about it, or about this deployment of it."""
        where = self.endpoint if deployment is None else f"{self.endpoint}/{deployment}"
        with session.translated(where):
            sagemaker = self._client("sagemaker")
            yield Hosting(sagemaker, self.endpoint, self.tags, self.ready_timeout, min(self.poll, 5.0))

    def _client(self, service: str) -> Any:
        return session.client(service, self.region, self.profile)

    def _check_places(self) -> None:
        """Raises: DeployError for an image or a bucket in another region than the endpoint: SageMaker takes neither."""
        with session.translated(f"s3://{self.bucket}"):
            region = self._client("sagemaker").meta.region_name
            # S3 leads the SDK to whichever region a bucket is in.
            about = self._client("s3").head_bucket(Bucket=self.bucket)
        image = re.search(r"\.ecr\.([a-z0-9-]+)\.amazonaws", self.image)
        for what, place in (("image", image and image[1]), ("bucket", about.get("BucketRegion"))):
            if place and place != region:
                raise DeployError(
                    f"the {what} is in {place}, the endpoint in {region}",
                    f"deploy.{what}",
                    f"Choose {'an' if what == 'image' else 'a'} {what} in the endpoint's region, or set deploy.region.",
                )

    def _described(self, hosting: Hosting, endpoint: Mapping[str, Any] | None) -> Endpoint | None:
        if endpoint is None or endpoint["EndpointStatus"] == "Deleting":
            return None
        status, live = endpoint["EndpointStatus"], endpoint.get("ProductionVariants", ())
        settled = {"Creating": "starting", "Failed": "failed"}.get(status, "ready")
        states = {each["VariantName"]: settled for each in live}
        for each in endpoint.get("PendingDeploymentSummary", {}).get("ProductionVariants", ()):
            states.setdefault(each["VariantName"], "starting")
        if status == "Failed":
            states |= {each["VariantName"]: "failed" for each in hosting.variants(endpoint)}
        shares = shares_of(live)
        deployments = (
            Deployment(name, shares.get(name, 0), state, models.bundle_hash(hosting.sagemaker, self.endpoint, name))
            for name, state in states.items()
        )
        region = hosting.sagemaker.meta.region_name
        command = f"aws sagemaker-runtime invoke-endpoint --region {region} --endpoint-name {self.endpoint}"
        profile = f" --profile {shlex.quote(self.profile)}" if self.profile else ""
        command += f"{profile} --content-type application/json --cli-binary-format raw-in-base64-out /dev/stdout --body"
        return Endpoint(self.endpoint, self._url, "", tuple(deployments), command=command)

    def _log(self, deployment: str, lines: int) -> str:
        return logs.last_lines(self._client("logs"), self.endpoint, deployment, lines)

    @property
    def _url(self) -> str:
        runtime = self._client("sagemaker-runtime")
        return f"{runtime.meta.endpoint_url}/endpoints/{self.endpoint}/invocations"

    def _unknown(self, deployment: str, known: Any = ()) -> DeployError:
        there = ", ".join(sorted(known)) or "none"
        return DeployError(f"there is no deployment {deployment!r}", self.endpoint, f"There are: {there}.")


def _refusal(error: Any, place: str) -> DeployError:
    """What the model's server answered instead of predictions, as its own error where it wrote one."""
    from ftkit.redaction import redacted

    response = error.response
    original = str(response.get("OriginalMessage", ""))
    try:
        body = json.loads(original)
        what, where, hint = body["error"], body["where"], body["hint"]
    except (ValueError, LookupError, TypeError):
        what, where, hint = redacted(original)[:300] or refusals.message(error), "", ""
    return DeployError(f"the endpoint answered {response.get('OriginalStatusCode', 424)}: {what}", where or place, hint)
