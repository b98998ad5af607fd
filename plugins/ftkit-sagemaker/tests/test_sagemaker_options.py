"""What the options of the deployer take, the container's program, the folder for its image, and the metrics of CloudWatch."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from ftkit_sagemaker import SageMaker, artifact, measuring, refusals, session
from ftkit_sagemaker.hosting import shares_of, slug

from ftkit.bundle import bundle as bundles
from ftkit.testing.bundles import GOOD, toy_bundle

if TYPE_CHECKING:
    from tests.aws.aws import Aws

OPTIONS = {
    "endpoint": "reviews",
    "image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/ftkit:1",
    "role": "arn:aws:iam::123456789012:role/ftkit",
    "bucket": "ftkit-models",
}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("endpoint", "a_b"),
        ("endpoint", "-a"),
        ("endpoint", "a" * 64),
        ("image", "ftkit image"),
        ("role", "ftkit"),
        ("bucket", "s3://ftkit"),
        ("prefix", "/ftkit"),
        ("region", "Frankfurt"),
        ("instance_type", "m5.large"),
        ("instance_count", 0),
        ("startup_timeout", 5),
        ("download_timeout", 4000),
        ("max_rows", 0),
    ],
)
def test_a_value_that_aws_would_refuse_is_refused_with_its_name(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        SageMaker(**{**OPTIONS, option: value})


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ([100.0], [100]),
        ([0.01], [0]),
        ([0.0, 0.0], [0, 0]),
        ([1.0, 1.0, 1.0], [34, 33, 33]),
        ([75.0, 25.0, 0.0], [75, 25, 0]),
        ([0.01, 100.0], [0, 100]),
    ],
)
def test_weights_are_percents_that_sum_to_a_hundred_or_to_none(weights: list[float], shares: list[int]) -> None:
    variants = [{"VariantName": str(number), "CurrentWeight": weight} for number, weight in enumerate(weights)]
    assert list(shares_of(variants).values()) == shares


def test_names_of_what_belongs_to_a_deployment_are_short_and_its_own() -> None:
    names = {slug("a-b", "c"), slug("a", "b-c"), slug("a" * 63, "b" * 63), slug("a" * 63, "b" * 62), slug("a")}
    assert len(names) == 5
    assert max(map(len, names)) <= 54


def test_the_reason_of_a_failure_comes_with_what_helps() -> None:
    reason = "The primary container for production variant blue did not pass the ping health check."
    assert refusals.explain_reason(reason) == (reason, refusals.explain_reason(reason).hint)
    assert "startup_timeout" in refusals.explain_reason(reason).hint
    assert refusals.explain_reason("") == ("", "")


# ----------------------------------------------------------------------------------------- the container


def test_the_program_answers_what_sagemaker_asks_by_ftkits_own_server(aws: Aws, tmp_path: Path) -> None:
    from tests.aws.containers import Container

    archive = tmp_path / "model.tar.gz"
    artifact.pack(toy_bundle(tmp_path / "bundle").folder, archive)
    (tmp_path / "machine").mkdir()
    container = Container(tmp_path / "machine", archive.read_bytes(), {})
    try:
        assert container.answers_ping()
        place, body = f"http://127.0.0.1:{container.port}", {"data": [{"text": GOOD}]}
        answers = {path: requests.post(f"{place}{path}", json=body, timeout=10) for path in ("/invocations", "/score")}
        assert {each.content for each in answers.values()} == {b'["good"]'}
        assert requests.get(f"{place}/invocations", timeout=10).status_code == 405
        assert requests.get(f"{place}/nowhere", timeout=10).status_code == 404
    finally:
        container.stop()
    assert container._process.returncode in (0, -15), "asked to end, it ended"


def test_a_container_whose_model_does_not_load_ends_and_says_why(aws: Aws, tmp_path: Path) -> None:
    from tests.aws.containers import Container

    archive = tmp_path / "model.tar.gz"
    artifact.pack(toy_bundle(tmp_path / "bundle", beside={"weights.npy": "no weights"}).folder, archive)
    (tmp_path / "machine").mkdir()
    container = Container(tmp_path / "machine", archive.read_bytes(), {})
    assert not container.answers_ping()
    container.stop()
    assert container._process.returncode == 1
    assert "the bundle cannot be served: " in container.log.read_text()


def test_the_folder_for_the_image_holds_what_it_is_built_from(aws: Aws, tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "bundle")
    SageMaker.package(bundle.folder, tmp_path / "out", "native")
    out = tmp_path / "out"
    assert {each.name for each in out.iterdir()} == {
        "Dockerfile",
        "README.md",
        "model.tar.gz",
        "requirements.txt",
        "sample_request.json",
        "wheels",
    }
    pins = (out / "requirements.txt").read_text().split()
    assert "ftkit-toys==1" in pins and not [each for each in pins if "==" not in each]
    assert {each.name.split("-")[0] for each in (out / "wheels").iterdir()} == {"ftkit", "ftkit_sagemaker"}
    assert 'ENTRYPOINT ["python", "-P", "-m", "ftkit_sagemaker.serve"]' in (out / "Dockerfile").read_text()
    with tarfile.open(out / "model.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert bundles.verify(tmp_path / "unpacked").hash == bundle.hash
    again = tmp_path / "again.tar.gz"
    artifact.pack(bundle.folder, again)
    assert again.read_bytes() == (out / "model.tar.gz").read_bytes(), "equal files give equal bytes"


# -------------------------------------------------------------------------------------------- CloudWatch


def test_metrics_are_whole_minutes_that_are_complete(
    sagemaker: Callable[..., SageMaker], aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time() // 60 * 60 - 30
    monkeypatch.setattr(measuring, "time", lambda: now)
    cloudwatch = session.client("cloudwatch", "", "")
    of = [{"Name": "EndpointName", "Value": "kit-endpoint"}, {"Name": "VariantName", "Value": "blue"}]
    values = {"Invocations": 10, "Invocation4XXErrors": 2, "Invocation5XXErrors": 1, "InvocationModelErrors": 4}
    for ago in range(30, 900, 60):
        at = datetime.fromtimestamp(now - ago, UTC)
        data = [
            {"MetricName": name, "Value": value, "Timestamp": at, "Dimensions": of} for name, value in values.items()
        ]
        data.append(
            {
                "MetricName": "ModelLatency",
                "Values": [100_000.0, 300_000.0],
                "Counts": [3.0, 3.0],
                "Timestamp": at,
                "Dimensions": of,
            }
        )
        cloudwatch.put_metric_data(Namespace="AWS/SageMaker", MetricData=data)
    measured = measuring.measured(cloudwatch, "kit-endpoint", ["blue", "green"], 600, measuring.DELAY)
    blue = measured["blue"]
    assert set(measured) == {"blue"}
    assert [each.begins for each in blue.windows] == [now - 570 + 60 * number for number in range(6)]
    assert blue.errors == {"500": 6, "unanswered": 6}
    assert blue.requests == 6 * (10 - 2), "what callers do wrong counts for nobody"
    assert blue.latency["mean"] == pytest.approx(0.2)
    assert measuring.measured(cloudwatch, "kit-endpoint", ["blue"], 170, measuring.DELAY) == {}


def test_what_variants_answered_is_counted(sagemaker: Callable[..., SageMaker], aws: Aws) -> None:
    deployer = sagemaker()
    assert deployer.measures(600) == {}
    assert deployer.delay == 180
