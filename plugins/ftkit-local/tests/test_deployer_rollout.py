"""The rollout over the local deployer: real servers that start, crash, answer wrongly, and are rolled back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ftkit_local.deployer import LocalDeployer

from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Endpoint
from ftkit.contracts.settings import Rollout
from ftkit.errors import BundleError, DeployError
from ftkit.events import DeploymentChanged, Event, TrafficMoved
from ftkit.stages.rollout import roll_out
from ftkit.testing.bundles import GOOD, toy_bundle, toy_record

Make = Callable[..., LocalDeployer]
QUICK = Rollout(bake=0.3, poll=0.05)


@pytest.fixture
def deployer(endpoint_named: Make, tmp_path: Path) -> LocalDeployer:
    """An endpoint where `old` has all the traffic."""
    deployer = endpoint_named()
    roll_out(deployer, toy_bundle(tmp_path / "old"), "old", Rollout(bake=0, poll=0.05), lambda _: None)
    return deployer


def assert_as_before(deployer: LocalDeployer) -> None:
    described = deployer.describe()
    assert isinstance(described, Endpoint)
    assert described.traffic == {"old": 100}
    assert [each.name for each in described.deployments] == ["old"]
    assert deployer.invoke({"data": [{"text": GOOD}]}) == ["good"]
    assert sorted(path.name for path in deployer.folder.deployments.iterdir()) == ["old"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"load": "die"}, "killed by SIGKILL, as the system does when memory runs out"),
        ({"load": "exit"}, "exit code 7"),
        ({"load": "raise"}, "RuntimeError: no such weights"),
        ({"answers": 1}, "the model has answered 1 of"),
    ],
)
def test_a_bundle_that_cannot_be_served_changes_nothing_and_the_error_holds_its_log(
    deployer: LocalDeployer, endpoint_unruly: Callable[..., Bundle], behaviour: dict[str, object], message: str
) -> None:
    with pytest.raises(DeployError) as caught:
        roll_out(deployer, endpoint_unruly("new", **behaviour), "new", QUICK, lambda _: None)
    assert message in str(caught.value)
    assert "its log ends:\n  | " in str(caught.value)
    if behaviour.get("load") == "die":
        assert "about to be killed" in str(caught.value)
    assert_as_before(deployer)
    assert deployer.logs("new"), "the log is kept"


@pytest.mark.parametrize("shared", [True, False], ids=["both copies", "the endpoint's copy"])
def test_a_byte_that_changes_in_a_bundle_after_its_deployment_has_begun_is_told_as_that(
    deployer: LocalDeployer, tmp_path: Path, shared: bool
) -> None:
    bundle = toy_bundle(tmp_path / "new")

    def change(event: Event) -> None:
        if getattr(event, "step", "") == "created":
            weights = deployer.folder.bundle("new") / "model" / "weights.npy"
            content = bytearray(weights.read_bytes())
            content[200] ^= 1
            if not shared:
                weights.unlink()  # it is the bundle's own file under another name
            weights.write_bytes(content)

    with pytest.raises(BundleError if shared else DeployError) as caught:
        roll_out(deployer, bundle, "new", QUICK, change)
    first = caught.value.what.splitlines()[0]
    assert "changed since it was written: model/weights.npy" in first
    assert ("was changed after its deployment had begun" in first) is shared
    assert "Traceback" not in caught.value.what
    assert_as_before(deployer)


def test_the_error_names_a_backbone_that_is_not_installed(deployer: LocalDeployer, tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "new", use="no-such-backbone")
    with pytest.raises(DeployError, match="no backbone named 'no-such-backbone' is installed"):
        roll_out(deployer, bundle, "new", QUICK, lambda _: None)
    assert_as_before(deployer)


def test_a_canary_takes_over_step_by_step(deployer: LocalDeployer, tmp_path: Path) -> None:
    events: list[Event] = []
    bundle = toy_bundle(tmp_path / "new", ("poor", "fine"))
    endpoint = roll_out(deployer, bundle, "new", Rollout(canary=(10, 50), bake=0.1, poll=0.05), events.append)
    moves = [dict(each.shares) for each in events if isinstance(each, TrafficMoved)]
    assert moves == [{"old": 90, "new": 10}, {"old": 50, "new": 50}, {"new": 100}]
    assert [each.name for each in endpoint.deployments] == ["new"]
    assert deployer.invoke({"data": [{"text": GOOD}]}) == ["fine"]


def test_a_model_that_dies_while_it_bakes_is_rolled_back(
    deployer: LocalDeployer, endpoint_unruly: Callable[..., Bundle]
) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, TrafficMoved) and event.shares == {"new": 100}:
            answer = deployer.invoke({"data": [{"text": "die"}]})
            assert answer in (["good"], ["bad"]), "the one before answers in its place"

    with pytest.raises(DeployError, match="did not stay healthy"):
        roll_out(deployer, endpoint_unruly("new"), "new", Rollout(bake=2, poll=0.02), kill)
    assert_as_before(deployer)


CLIENT = """
import sys
from pathlib import Path
from ftkit.bundle import bundle
from ftkit.contracts.settings import Rollout
from ftkit.stages.rollout import roll_out
from ftkit_local.deployer import LocalDeployer

def tell(event):
    print(getattr(event, "shares", ""), flush=True)

roll_out(LocalDeployer(endpoint="kit", threads=1), bundle.verify(Path(sys.argv[1])), "new", Rollout(bake=60, poll=0.05), tell)
"""


def test_an_interrupt_at_the_keyboard_puts_everything_back(deployer: LocalDeployer, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLIENT, str(toy_bundle(tmp_path / "new").folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert any(line == "{'new': 100}\n" for line in client.stdout)
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=120)
    assert client.returncode == -signal.SIGINT
    assert errors.endswith("KeyboardInterrupt\n")
    assert_as_before(deployer)


def test_the_same_rollout_again_keeps_what_is_live(deployer: LocalDeployer, tmp_path: Path) -> None:
    events: list[Event] = []
    roll_out(deployer, bundles.verify(tmp_path / "old"), "old", QUICK, events.append)
    assert [each.step for each in events if isinstance(each, DeploymentChanged)][-1] == "was live already"
    assert_as_before(deployer)


def test_a_real_encoder_is_served_as_it_was_tested(endpoint_named: Make, tmp_path: Path) -> None:
    pytest.importorskip("ftkit_quickstart", reason="the quickstart's encoder is not installed")
    from ftkit_quickstart.minilm import packaged

    from ftkit.encoders import checkpoint
    from ftkit.encoders.inference.classifier import EncoderClassifier
    from ftkit.encoders.tokenization import Tokenizer

    saved = checkpoint.read(packaged())
    classes = ("business", "sport", "tech")
    classifier = EncoderClassifier(saved.model(classes), Tokenizer(saved.tokenizer, saved.limit), 128)
    classifier.save(tmp_path / "model")
    bundle = bundles.write(
        tmp_path / "bundle",
        model=tmp_path / "model",
        classes=classes,
        backbone={"use": "minilm"},
        recipe='name = "real"\n',
        card="# Real\n",
        sample_texts=["The match ended two to one.", "Shares fell on Monday."],
        about={"run": "real"},
    )
    records.write(bundle.folder, toy_record(bundle.hash))
    deployer = endpoint_named(max_batch=8)
    endpoint = roll_out(deployer, bundle, "real", QUICK, lambda _: None)
    assert endpoint.deployments[0].bundle_hash == bundle.hash
    texts = ["The match ended two to one.", "Shares fell on Monday. " * 200, "", "\ud83d \U0001f600 \x00", "short"]
    expected = bundle.probabilities(["\ufffd \U0001f600 \x00" if "\ud83d" in text else text for text in texts])
    answer = deployer.invoke({"data": [{"text": text} for text in texts], "scores": True})
    for row, probabilities in zip(answer, expected, strict=True):
        assert row["scores"] == pytest.approx(dict(zip(classes, probabilities, strict=True)), abs=1e-4)
    assert json.loads(json.dumps(answer)) == answer
