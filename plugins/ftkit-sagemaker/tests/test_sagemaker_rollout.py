"""Rollouts to SageMaker when something goes wrong: what is said, what is left, and what goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ftkit_sagemaker import SageMaker, session

from ftkit.bundle.bundle import Bundle
from ftkit.contracts.settings import Rollout
from ftkit.errors import BundleError, DeployError
from ftkit.events import Event
from ftkit.stages import rollout
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import GOOD, toy_bundle
from tests.aws.messages import Answer, answer, refusal, s3_refusal

if TYPE_CHECKING:
    from tests.aws.aws import Aws

Make = Callable[..., SageMaker]
QUICK = Rollout(bake=0.0, poll=0.05)
GREAT = {"data": [{"text": GOOD}]}
ME = "arn:aws:sts::123456789012:assumed-role/ci/run"


@pytest.fixture
def blue(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "blue")


@pytest.fixture
def green(blue: Bundle, tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "green", ("poor", "fine"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits between its attempts; here it need not."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


def left(aws: Aws) -> list[str]:
    """Models, configurations and endpoints that there are."""
    from moto.sagemaker.models import sagemaker_backends

    from tests.aws.aws import ACCOUNT, REGION

    there = sagemaker_backends[ACCOUNT][REGION]
    return [*there._models, *there.endpoint_configs, *there.endpoints]


def live(deployer: SageMaker, bundle: Bundle, name: str = "blue") -> None:
    assert roll_out(deployer, bundle, name, QUICK, lambda _: None).traffic == {name: 100}


def as_it_was(deployer: SageMaker, aws: Aws) -> None:
    """Blue has all the traffic and answers, and nothing of green is left."""
    described = deployer.describe()
    assert described is not None
    assert [(each.name, each.traffic) for each in described.deployments] == [("blue", 100)]
    assert deployer.invoke(GREAT) == ["good"]
    assert len(left(aws)) == 3, "a model, a configuration and the endpoint"


# --------------------------------------------------------------------------------- nothing is begun

DENIED = (
    f"User: {ME} is not authorized to perform: sagemaker:CreateModel on resource: "
    "arn:aws:sagemaker:eu-central-1:123456789012:model/m because no identity-based policy allows it"
)
PASS_ROLE = (
    f"User: {ME} is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/ftkit "
    "because no identity-based policy allows the iam:PassRole action"
)
REFUSED = [
    (
        "DescribeEndpoint",
        refusal(400, "ExpiredTokenException", "The security token included in the request is expired"),
        "have expired",
        "aws sso login",
    ),
    (
        "DescribeEndpoint",
        refusal(400, "UnrecognizedClientException", "The security token included in the request is invalid."),
        "does not know the credentials",
        "Sign in",
    ),
    (
        "CreateModel",
        refusal(400, "AccessDeniedException", DENIED),
        "does not allow this",
        f"Allow {ME} the action sagemaker:CreateModel on arn:aws:sagemaker:eu-central-1",
    ),
    (
        "CreateModel",
        refusal(400, "AccessDeniedException", PASS_ROLE),
        "does not allow this",
        "iam:PassRole on arn:aws:iam::123456789012:role/ftkit in IAM. It lets SageMaker take on deploy.role",
    ),
    (
        "CreateModel",
        refusal(400, "ValidationException", "Could not assume role arn:aws:iam::123456789012:role/ftkit."),
        "may not take on the role",
        "trust sagemaker.amazonaws.com",
    ),
    ("PUT /ftkit-models", s3_refusal(403, "AccessDenied", "Access Denied"), "does not allow this", "s3:PutObject"),
    (
        "CreateEndpoint$",
        refusal(
            400,
            "ResourceLimitExceeded",
            "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances",
        ),
        "quota",
        "Service Quotas",
    ),
]


@pytest.mark.parametrize(
    ("label", "refused", "what", "hint"), REFUSED, ids=[f"{each[0]} {each[2]}" for each in REFUSED]
)
def test_what_aws_refuses_says_what_helps_and_leaves_nothing(
    sagemaker: Make, blue: Bundle, aws: Aws, impatient: None, label: str, refused: Answer, what: str, hint: str
) -> None:
    aws.fail(label, refused, times=9)
    with pytest.raises(DeployError) as caught:
        roll_out(sagemaker(), blue, "blue", QUICK, lambda _: None)
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert left(aws) == []


def test_without_credentials_or_region_it_says_so(sagemaker: Make, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for variable, what in (("AWS_ACCESS_KEY_ID", "no AWS credentials"), ("AWS_DEFAULT_REGION", "no AWS region")):
            with monkeypatch.context() as patch:
                patch.delenv(variable)
                if variable == "AWS_ACCESS_KEY_ID":
                    patch.delenv("AWS_SECRET_ACCESS_KEY")
                session.forget()
                with pytest.raises(DeployError, match=what) as caught:
                    sagemaker().prepare()
                assert caught.value.hint
    finally:
        session.forget()


def test_a_run_learns_before_it_trains_what_cannot_be_deployed(sagemaker: Make, aws: Aws) -> None:
    from ftkit.contracts import Foreseeing, capable
    from ftkit.testing.toys import ToyReviews

    data = ToyReviews().load(7, lambda _: None)
    assert capable(sagemaker(), Foreseeing)
    sagemaker().foresee(data)
    with pytest.raises(DeployError, match="s3://nobodys-bucket"):
        sagemaker(bucket="nobodys-bucket").foresee(data)
    with pytest.raises(DeployError, match="in us-east-1, the endpoint in eu-central-1"):
        sagemaker(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/ftkit:1").foresee(data)
    aws.make_bucket("elsewhere", "us-west-2")
    with pytest.raises(DeployError, match="the bucket is in us-west-2"):
        sagemaker(bucket="elsewhere").foresee(data)
    assert left(aws) == []


def test_an_endpoint_of_somebody_else_is_left_alone(sagemaker: Make, blue: Bundle, aws: Aws) -> None:
    live(sagemaker(), blue)
    client = session.client("sagemaker", "", "")
    client.delete_tags(
        ResourceArn=client.describe_endpoint(EndpointName="kit-endpoint")["EndpointArn"], TagKeys=["ftkit"]
    )
    with pytest.raises(DeployError, match="ftkit did not make"):
        sagemaker().prepare()


def test_an_endpoint_that_somebody_keeps_changing_is_waited_for_and_then_told(
    sagemaker: Make, blue: Bundle, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = {
        "EndpointName": "kit-endpoint",
        "EndpointArn": "a",
        "EndpointConfigName": "c",
        "EndpointStatus": "Updating",
    }
    aws.fail("DescribeEndpoint$", answer({**changing, "CreationTime": 1, "LastModifiedTime": 1}), times=99)
    monkeypatch.setattr(SageMaker, "ready_timeout", 0.2)
    with pytest.raises(DeployError, match=r"changing the endpoint for 0\.2 s: it is Updating") as caught:
        sagemaker().prepare()
    assert "goes on" in caught.value.hint


# ------------------------------------------------------------------------------- a variant that fails


def test_a_first_variant_without_machines_says_why_and_leaves_nothing(sagemaker: Make, blue: Bundle, aws: Aws) -> None:
    aws.hosting.failing.append("Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity.")
    with pytest.raises(DeployError, match="InsufficientInstanceCapacity") as caught:
        roll_out(sagemaker(), blue, "blue", QUICK, lambda _: None)
    assert "another instance_type" in str(caught.value)
    assert left(aws) == []
    live(sagemaker(), blue)


def test_a_variant_that_cannot_load_shows_its_log_and_the_traffic_stays(
    sagemaker: Make, blue: Bundle, aws: Aws, tmp_path: Path
) -> None:
    deployer = sagemaker()
    live(deployer, blue)
    broken = toy_bundle(tmp_path / "broken", beside={"weights.npy": "no weights"})
    with pytest.raises(DeployError, match="failed to start") as caught:
        roll_out(deployer, broken, "green", QUICK, lambda _: None)
    assert "the toy model cannot be read" in caught.value.what
    assert "its log ends" in caught.value.what
    as_it_was(deployer, aws)


def test_what_the_model_refuses_is_told_as_its_server_says_it(sagemaker: Make, blue: Bundle) -> None:
    deployer = sagemaker(max_rows=2)
    live(deployer, blue)
    with pytest.raises(DeployError, match=r"422: data\[0\].text is missing"):
        deployer.invoke({"data": [{"txt": GOOD}]})
    with pytest.raises(DeployError, match="413"):
        deployer.invoke({"data": [{"text": GOOD}] * 3})


# ------------------------------------------------------------------------------- what passes by itself

CHANGES = (
    "PUT /ftkit-models",
    *(
        f"SageMaker.{each}$"
        for each in (
            "CreateModel",
            "CreateEndpointConfig",
            "UpdateEndpoint",
            "UpdateEndpointWeightsAndCapacities",
            "DeleteModel",
            "DeleteEndpointConfig",
        )
    ),
)


@pytest.mark.parametrize("fault", ["throttled", "failing", "lost", "cut"])
def test_what_passes_by_itself_stops_no_rollout(
    sagemaker: Make, blue: Bundle, green: Bundle, aws: Aws, impatient: None, fault: str
) -> None:
    deployer = sagemaker()
    create = aws.fail("CreateEndpoint$", **_passing(fault, ""))
    live(deployer, blue)
    struck = [create, *(aws.fail(label, **_passing(fault, label)) for label in CHANGES)]
    live(deployer, green, "green")
    assert [each.struck for each in struck] == [1] * len(struck)
    assert len(left(aws)) == 3


def _passing(fault: str, label: str) -> dict[str, Any]:
    if fault in ("lost", "cut"):
        return {"cut": {"lost": "answer", "cut": "request"}[fault]}
    make = s3_refusal if label.startswith("PUT") else refusal
    if fault == "throttled":
        return {
            "answer": make(503, "SlowDown", "Please reduce")
            if make is s3_refusal
            else make(400, "ThrottlingException", "Rate exceeded")
        }
    return {"answer": make(500, "InternalFailure", "An internal error")}


def test_a_network_that_stays_cut_is_told_and_the_next_rollout_goes_on(
    sagemaker: Make, blue: Bundle, green: Bundle, aws: Aws, impatient: None
) -> None:
    deployer = sagemaker()
    live(deployer, blue)
    fault = aws.fail("PUT /ftkit-models", cut="request", times=99)
    with pytest.raises(DeployError, match="cannot be reached"):
        roll_out(deployer, green, "green", QUICK, lambda _: None)
    as_it_was(deployer, aws)
    aws.faults.remove(fault)
    live(deployer, green, "green")


# ----------------------------------------------------------------------------------------- interrupted


class Killed(KeyboardInterrupt):
    """The end of the process that rolls out."""


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends the next rollout after so many calls that change something, without a rollback; 0 lets it live."""
    from botocore.client import BaseClient

    call, state = BaseClient._make_api_call, {"left": 0}

    def carried_out(client: Any, operation: str, arguments: Any) -> Any:
        result = call(client, operation, arguments)
        if operation.startswith(("Create", "Update", "Delete")) and state["left"]:
            state["left"] -= 1
            if not state["left"]:
                raise Killed
        return result

    monkeypatch.setattr(BaseClient, "_make_api_call", carried_out)
    monkeypatch.setattr(rollout, "_roll_back", lambda step, before, error: error)
    return lambda calls: state.update(left=calls)


def test_a_rollout_that_is_killed_after_any_change_goes_on_when_it_is_given_again(
    sagemaker: Make, blue: Bundle, green: Bundle, aws: Aws, killed_after: Callable[[int], None]
) -> None:
    deployer = sagemaker()
    live(deployer, blue)
    for calls in range(1, 30):
        name, bundle = ("green", green) if calls % 2 else ("blue", blue)
        killed_after(calls)
        try:
            live(deployer, bundle, name)
            break
        except Killed:
            assert deployer.invoke(GREAT) in (["good"], ["fine"]), "callers are answered at any time"
            killed_after(0)
            live(deployer, bundle, name)
        after = deployer.describe()
        assert after is not None
        assert [(each.name, each.traffic, each.bundle_hash) for each in after.deployments] == [(name, 100, bundle.hash)]
        assert deployer.invoke(GREAT) == [bundle.classes[1]]
    there = left(aws)
    assert len(there) <= 4, (
        "an endpoint, its configuration and its model, and at most the model of the removal that was cut off"
    )
    assert calls > 8, "model, configuration, update, weights, and the same for the removal"


# -------------------------------------------------------------------------------------------- secrets


def test_a_bundle_is_stored_once_and_one_that_changes_meanwhile_is_not(
    sagemaker: Make, blue: Bundle, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer = sagemaker()
    live(deployer, blue)
    live(deployer, blue, "again")
    assert aws.count("PUT /ftkit-models") == 1
    from ftkit_sagemaker import artifact

    pack = artifact.pack

    def spoilt(folder: Path, archive: Path) -> None:
        pack(folder, archive)
        weights = folder / "model" / "weights.npy"
        weights.write_bytes(weights.read_bytes()[:-1])

    monkeypatch.setattr(artifact, "pack", spoilt)
    with pytest.raises(BundleError, match="changed"):
        roll_out(deployer, blue, "green", QUICK, lambda _: None)
    assert aws.count("PUT /ftkit-models") == 1


def test_no_secret_is_in_events_or_errors(sagemaker: Make, blue: Bundle, aws: Aws) -> None:
    from tests.aws.aws import SECRET

    deployer = sagemaker()
    events: list[Event] = []
    roll_out(deployer, blue, "blue", QUICK, events.append)
    aws.hosting.failing.append(f"cannot read it with {SECRET}")
    with pytest.raises(DeployError, match="cannot read it with") as failed:
        roll_out(deployer, blue, "green", QUICK, events.append)
    described = deployer.describe()
    assert SECRET not in "".join(map(str, [*events, failed.value, described]))
    assert described is not None and described.command.startswith("aws sagemaker-runtime invoke-endpoint --region eu-")
