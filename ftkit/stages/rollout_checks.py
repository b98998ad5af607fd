"""Looks whether a deployer did what it returned from: by what the endpoint says of itself, and by how it answers.

An endpoint may need a moment until it shows what was done: it is asked a few times, as often as the rollout asks for health.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ftkit import files
from ftkit.bundle.bundle import Bundle, verify
from ftkit.contracts import AnswerRule, Deployer, Endpoint, Task
from ftkit.errors import BundleError, DeployError
from ftkit.plugins.calls import call
from ftkit.plugins.offers import class_title
from ftkit.plugins.titles import title
from ftkit.redaction import redacted

_TIMES = 5
"""How often the endpoint is asked again before it is believed."""


def changed(bundle: Bundle) -> BundleError | None:
    """What of a bundle is no longer as it was when its deployment began; None if nothing is."""
    manifest = bundle.folder / "manifest.json"
    try:
        if manifest.is_file() and files.sha256(manifest) != bundle.hash:
            raise BundleError("manifest.json is not as it was", str(bundle.folder), "Run the recipe again.")
        verify(bundle.folder)
    except BundleError as error:
        what = f"the bundle was changed after its deployment had begun: {error.what}"
        return BundleError(what, error.where, error.hint)
    return None


def check_created(deployer: Deployer, deployment: str, bundle_hash: str, poll: float) -> None:
    """Raises: DeployError unless the endpoint has the deployment, with this bundle and without traffic."""
    endpoint = _settled(deployer, poll, lambda now: any(each.name == deployment for each in now.deployments))
    created = next((each for each in endpoint.deployments if each.name == deployment), None)
    if created is None:
        names = ", ".join(each.name for each in endpoint.deployments) or "none"
        raise _error(
            deployer, f"reports {deployment!r} as ready, and the endpoint lists no such deployment: it has {names}"
        )
    if created.bundle_hash not in ("", bundle_hash):
        raise _error(
            deployer, f"deployed another bundle as {deployment!r}: {created.bundle_hash[:12]}, not {bundle_hash[:12]}"
        )
    if created.traffic:
        raise _error(deployer, f"gave {deployment!r} {created.traffic} % of the traffic before it was asked to")


def check_traffic(deployer: Deployer, shares: Mapping[str, int], poll: float) -> None:
    """Raises: DeployError unless the endpoint has these shares of the traffic."""
    wanted = {name: share for name, share in shares.items() if share}
    traffic = _settled(deployer, poll, lambda now: now.traffic == wanted).traffic
    if traffic != wanted:
        raise _error(deployer, f"did not move the traffic: it is {_shown(traffic)}, and was to be {_shown(wanted)}")


def remaining(deployer: Deployer, names: Iterable[str], poll: float) -> list[str]:
    """Which of these deployments are still there after they were deleted. Raises: FtkitError when the endpoint cannot be asked."""
    gone = set(names)
    if not gone:
        return []
    endpoint = _settled(deployer, poll, lambda now: not any(each.name in gone for each in now.deployments))
    return [each.name for each in endpoint.deployments if each.name in gone]


def costs(endpoint: str, deployment: str) -> str:
    """What to do about a deployment that was left behind."""
    return f"It may go on to cost money; this removes it: ftkit endpoint delete {endpoint} --deployment {deployment}"


def wrong_answer_of(bundle: Bundle, answer: Any) -> str:
    """What is wrong with a deployment's answer to the sample request of its bundle; empty if nothing is."""
    return wrong_answer(answer, bundle.sample_request, bundle.classes, bundle.task, bundle.rule)


def wrong_answer(
    answer: Any,
    request: Mapping[str, Any],
    classes: tuple[str, ...],
    task: Task = "single-label",
    rule: AnswerRule | None = None,
) -> str:
    """What is wrong with an answer to the sample request; empty if nothing is."""
    shown = _as_json(answer)
    if not isinstance(answer, list):
        return f"the answer is no list: {shown}"
    if len(answer) != len(request["data"]):
        return f"{len(request['data'])} texts were sent, {len(answer)} answers came: {shown}"
    if rule is not None and rule.abstains:
        answer = [row for row in answer if row is not None]
    labels = answer
    if task == "multi-label":
        if wrong := [row for row in answer if not isinstance(row, list)]:
            return f"{_as_json(wrong[0])} is no list of labels"
        labels = [label for row in answer for label in row]
    if unknown := [label for label in labels if not isinstance(label, str) or label not in classes]:
        return f"{_as_json(unknown[0])} is no class of the model ({', '.join(classes)})"
    return ""


def _as_json(answer: Any) -> str:
    """An answer in a sentence, whatever a deployer gives."""
    try:
        shown = redacted(json.dumps(answer, default=str, ensure_ascii=False))  # before it is cut
    except Exception:
        return class_title(answer)
    return shown if len(shown) < 300 else shown[:300] + "…"


def _settled(deployer: Deployer, poll: float, fits: Callable[[Endpoint], bool]) -> Endpoint:
    """The endpoint as soon as it fits, or as it is after a few looks; without deployments if there is none."""
    for _ in range(_TIMES):
        endpoint = call(Deployer.describe, deployer)
        if endpoint is not None and fits(endpoint):
            return endpoint
        time.sleep(poll)
    return call(Deployer.describe, deployer) or Endpoint(deployer.endpoint, "")


def _error(deployer: Deployer, what: str) -> DeployError:
    return DeployError(
        f"{title('deployers', deployer)} {what}",
        deployer.endpoint,
        "If nobody else changes this endpoint, its author can mend it: the tests of ftkit.testing.deployers show where.",
    )


def _shown(traffic: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {share} %" for name, share in traffic.items()) or "none"
