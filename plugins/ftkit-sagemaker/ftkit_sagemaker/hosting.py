"""An endpoint as SageMaker has it: looked at, waited for, given variants and weights.

A deployment is a production variant. Variants come and go with a new endpoint configuration; until an update has ended, SageMaker refuses
the next one, and an update that fails leaves the endpoint as it was. A weight is a percent of the traffic.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.errors import DeployError
from ftkit_sagemaker import refusals

BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
"""States in which SageMaker refuses changes."""
IDLE = 0.01
"""Weight of a variant where none has traffic: SageMaker divides by the sum of the weights. It rounds to 0 %."""
TAG = "ftkit"
"""Tag of the endpoints that ftkit has made."""

Variant = dict[str, Any]
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""By endpoint: its variants are read and changed by one thread of this process at a time."""


def slug(endpoint: str, deployment: str = "") -> str:
    """A name for what belongs to an endpoint, or to a deployment of it: the same each time, at most 54 characters."""
    digest = hashlib.sha256(f"{endpoint}/{deployment}".encode()).hexdigest()[:10]
    return f"{f'{endpoint}-{deployment}'[:43].strip('-')}-{digest}"


@dataclass(frozen=True)
class Hosting:
    """One endpoint of an account and region. Its methods raise what the SDK raises, and DeployError."""

    sagemaker: Any
    name: str
    tags: Mapping[str, str]
    patience: float
    """Seconds to wait for something that SageMaker is working on."""
    pause: float
    """Seconds between two looks."""

    def current(self) -> dict[str, Any] | None:
        """The endpoint, or None."""
        return existing(lambda: self.sagemaker.describe_endpoint(EndpointName=self.name))

    def settled(self) -> dict[str, Any] | None:
        """The endpoint, or None, once SageMaker has ended what it, or somebody else, began."""
        deadline = time.monotonic() + self.patience
        while (endpoint := self.current()) is not None and endpoint["EndpointStatus"] in BUSY:
            if time.monotonic() > deadline:
                raise DeployError(
                    f"SageMaker has been changing the endpoint for {self.patience:g} s: it is {endpoint['EndpointStatus']}",
                    self.name,
                    "Look at it in the SageMaker console. The same command goes on when it has ended.",
                )
            time.sleep(self.pause)
        return endpoint

    def is_ours(self, endpoint: Mapping[str, Any]) -> bool:
        """Whether ftkit made the endpoint."""
        tags = self.sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
        return any(each["Key"] == TAG for each in tags)

    def variants(self, endpoint: Mapping[str, Any]) -> list[Variant]:
        """The variants that an endpoint has, as a configuration describes them, with their weights and machines of now."""
        config = self.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        live = {each["VariantName"]: each for each in endpoint.get("ProductionVariants", ())}
        variants = []
        for each in config["ProductionVariants"]:
            now = live.get(each["VariantName"], {})
            weight, count = now.get("DesiredWeight"), now.get("DesiredInstanceCount")
            variants.append(
                {
                    **each,
                    **({"InitialVariantWeight": weight} if weight is not None else {}),
                    **({"InitialInstanceCount": count} if count else {}),
                }
            )
        return variants

    def change(self, changed: Callable[[list[Variant]], list[Variant]]) -> str:
        """Begin to give the endpoint the variants that `changed` makes of those it has, or make it; returns the configuration's name."""
        from botocore.exceptions import ClientError

        deadline = time.monotonic() + self.patience
        with _locks[self.name]:
            while True:
                endpoint = self.settled()
                if endpoint is not None and endpoint["EndpointStatus"] == "Failed":  # it can only be deleted
                    self.remove()
                    endpoint = None
                config = f"{slug(self.name)}-{secrets.token_hex(4)}"
                variants = changed(self.variants(endpoint) if endpoint else [])
                self._configure(config, variants)
                try:
                    if endpoint is None:
                        self.sagemaker.create_endpoint(
                            EndpointName=self.name, EndpointConfigName=config, Tags=tagged({TAG: "", **self.tags})
                        )
                    else:
                        self.sagemaker.update_endpoint(
                            EndpointName=self.name, EndpointConfigName=config, RetainAllVariantProperties=True
                        )
                    return config
                except ClientError as error:
                    # A call whose answer was lost is made again by the SDK, and then refused.
                    if config in configs_of(self.current()):
                        return config
                    existing(lambda: self.sagemaker.delete_endpoint_config(EndpointConfigName=config))  # noqa: B023
                    if not (refusals.is_taken(error) or refusals.is_busy(error)) or time.monotonic() > deadline:
                        raise

    def withdraw(self, deployment: str) -> None:
        """Take a variant away and wait until it is gone; the endpoint goes with the last one."""
        endpoint = self.settled()
        if endpoint is None:
            return
        names = [each["VariantName"] for each in self.variants(endpoint)]
        if deployment not in names:
            return
        if names == [deployment] or endpoint["EndpointStatus"] == "Failed":
            self.remove()
            return
        config = self.change(lambda variants: [each for each in variants if each["VariantName"] != deployment])
        after = self.settled()
        if after is not None and after["EndpointConfigName"] != config:
            what, hint = refusals.explain_reason(after.get("FailureReason", "SageMaker gives no reason"))
            raise DeployError(f"SageMaker did not remove it: {what}", f"{self.name}/{deployment}", hint)

    def weigh(self, endpoint: Mapping[str, Any], shares: Mapping[str, int]) -> None:
        """Give variants their percent of the traffic, all at once, and wait until they have it."""
        from botocore.exceptions import ClientError

        names = [each["VariantName"] for each in endpoint["ProductionVariants"]]
        weights = {name: float(shares.get(name, 0)) for name in names}
        if not any(weights.values()):
            weights[names[0]] = IDLE
        wanted = [{"VariantName": name, "DesiredWeight": weight} for name, weight in weights.items()]
        while True:
            try:
                self.sagemaker.update_endpoint_weights_and_capacities(
                    EndpointName=self.name, DesiredWeightsAndCapacities=wanted
                )
            except ClientError as error:
                if not refusals.is_busy(error):
                    raise
            after = self.settled()
            if after is None:
                raise DeployError("the endpoint was deleted by somebody else", self.name)
            weighed = {each["VariantName"]: each.get("CurrentWeight") for each in after.get("ProductionVariants", ())}
            if weighed == weights:
                return
            if set(weighed) != set(weights) or after.get("FailureReason"):
                what, hint = refusals.explain_reason(after.get("FailureReason", "its variants are others now"))
                raise DeployError(f"the traffic could not be moved: {what}", self.name, hint)

    def remove(self) -> None:
        """Delete the endpoint and wait until it is gone."""
        existing(lambda: self.sagemaker.delete_endpoint(EndpointName=self.name))
        if (endpoint := self.settled()) is not None:
            raise DeployError(
                f"SageMaker did not delete the endpoint: it is {endpoint['EndpointStatus']}",
                self.name,
                "Delete it in the SageMaker console: it may go on to cost money.",
            )

    def sweep(self) -> None:
        """Delete the endpoint's configurations that are not in use."""
        used = configs_of(self.current())
        pages = self.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=slug(self.name))
        for config in [each["EndpointConfigName"] for page in pages for each in page["EndpointConfigs"]]:
            if config not in used:
                existing(lambda name=config: self.sagemaker.delete_endpoint_config(EndpointConfigName=name))  # type: ignore[misc]  # a default binds it

    def _configure(self, config: str, variants: Sequence[Variant]) -> None:
        from botocore.exceptions import ClientError

        try:
            self.sagemaker.create_endpoint_config(
                EndpointConfigName=config, ProductionVariants=list(variants), Tags=tagged({TAG: "", **self.tags})
            )
        except ClientError as error:
            if not refusals.is_taken(error):  # its name is new: an answer was lost
                raise


def existing(call: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """What a call of the SDK returns, or None where AWS says that what it is about does not exist."""
    from botocore.exceptions import ClientError

    try:
        return call()
    except ClientError as error:
        if refusals.is_missing(error):
            return None
        raise


def configs_of(endpoint: Mapping[str, Any] | None) -> set[str]:
    """The configurations that an endpoint has, or is about to have."""
    if endpoint is None:
        return set()
    return {endpoint["EndpointConfigName"], endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName", "")}


def shares_of(variants: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Each variant's percent of the traffic, which sum to 100, or to 0 where none has any."""
    weights = {each["VariantName"]: float(each.get("CurrentWeight", 0)) for each in variants}
    total = sum(weights.values())
    if total < 0.5:
        return dict.fromkeys(weights, 0)
    exact = {name: 100 * weight / total for name, weight in weights.items()}
    shares = {name: int(share) for name, share in exact.items()}
    for name in sorted(exact, key=lambda each: shares[each] - exact[each])[: 100 - sum(shares.values())]:
        shares[name] += 1
    return shares


def tagged(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the SDK takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
