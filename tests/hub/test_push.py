"""`ftkit push`: what a hub gets is what transformers and ftkit load again, and nothing is left half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.cli import main
from ftkit.hub import transformers_form
from ftkit.testing import toys
from ftkit.testing.bundles import GOOD, toy_bundle
from tests.hub import loopback
from tests.hub.conftest import CLASSES, TEXTS, encoder_bundle
from tests.hub.loopback import Hub

PIPELINE = """
import json, sys
from transformers import pipeline
repositories, texts = json.loads(sys.stdin.read())
for repository in repositories:
    answers = pipeline("text-classification", repository)(texts, truncation=True, top_k=None)
    print(json.dumps([{each["label"]: each["score"] for each in answer} for answer in answers]))
"""


def pushed(capsys: pytest.CaptureFixture[str], bundle: Bundle, repository: str, *options: str) -> dict[str, object]:
    code = main(["push", str(bundle.folder), repository, *options, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def refused(capsys: pytest.CaptureFixture[str], bundle: Bundle, repository: str, *options: str) -> str:
    assert main(["push", str(bundle.folder), repository, *options]) != 0
    return capsys.readouterr().err


def head_of(hub: Hub, repository: str) -> tuple[dict[str, object], str]:
    _, head, body = hub.repositories[repository].files["README.md"].decode().split("---", 2)
    return yaml.safe_load(head), body


def test_transformers_loads_it_from_the_hub_and_answers_as_the_bundle(
    hub: Hub, calibrated: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    minilm = pytest.importorskip("ftkit_quickstart.minilm")
    real = encoder_bundle(tmp_path / "real", minilm.packaged(), {"use": "minilm"}, temperature=0.7)
    texts = [*TEXTS, "a ship " * 40]
    for name, bundle in {"tiny": calibrated, "minilm": real}.items():
        assert pushed(capsys, bundle, f"me/{name}")["transformers"] is True
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "cache"), "HF_TOKEN": loopback.TOKEN}
    asked = json.dumps([["me/tiny", "me/minilm"], texts])
    ran = subprocess.run(
        [sys.executable, "-c", PIPELINE], input=asked, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    for bundle, line in zip((calibrated, real), ran.stdout.strip().splitlines(), strict=True):
        answers = json.loads(line)
        assert all(each.keys() == set(CLASSES) for each in answers)
        theirs = [[each[name] for name in CLASSES] for each in answers]
        np.testing.assert_allclose(theirs, bundle.probabilities(texts), atol=1e-5)
        assert np.abs(bundle.probabilities(texts) - 0.5).max() > 0.05  # so the temperature changes them


def test_the_bundle_itself_comes_back_whole_and_may_be_deployed(
    hub: Hub, calibrated: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from huggingface_hub import snapshot_download

    result = pushed(capsys, calibrated, "me/ships")
    assert hub.repositories["me/ships"].private is True and result["private"] is True
    assert result["commit"] == hub.repositories["me/ships"].sha
    snapshot_download("me/ships", allow_patterns="ftkit/*", local_dir=tmp_path / "back")
    again = bundles.cleared(tmp_path / "back" / "ftkit")
    assert again.hash == calibrated.hash
    assert again.record == calibrated.record
    np.testing.assert_array_equal(again.probabilities(TEXTS), calibrated.probabilities(TEXTS))


def test_the_head_of_the_card_says_what_the_hub_asks_for(
    hub: Hub, calibrated: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    pushed(capsys, calibrated, "ships")
    head, body = head_of(hub, "me/ships")
    assert (head["license"], head["language"], head["base_model"]) == (
        "apache-2.0", "en", "google-bert/bert-base-cased",
    )  # fmt: skip
    assert (head["library_name"], head["pipeline_tag"]) == ("transformers", "text-classification")
    results = head["model-index"][0]["results"]
    scores = {each["dataset"]["split"]: each["metrics"] for each in results}
    assert scores == {
        "validation": [{"type": "accuracy", "value": 0.85}],
        "test": [{"type": "accuracy", "value": 0.8}],
    }
    for part in ('pipeline("text-classification", "me/ships")', "temperature", "truncation=True", "metric-floor"):
        assert part in body
    assert "PATH/TO/THIS/FOLDER" not in body


def test_a_model_that_transformers_cannot_load_is_pushed_as_a_bundle_alone(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from huggingface_hub import snapshot_download

    assert pushed(capsys, toy, "team/toy", "--public", "--licence", "mit")["transformers"] is False
    repository = hub.repositories["team/toy"]
    assert repository.private is False
    assert {each for each in repository.files if not each.startswith("ftkit/")} == {".gitattributes", "README.md"}
    head, body = head_of(hub, "team/toy")
    assert (head["library_name"], head["license"]) == ("ftkit", "mit")
    assert "transformers cannot load" in body
    snapshot_download("team/toy", local_dir=tmp_path / "back")
    assert bundles.cleared(tmp_path / "back" / "ftkit").predict(GOOD) == ["good"]


def test_a_second_push_replaces_the_first_by_one_commit_and_the_same_model_by_none(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert pushed(capsys, toy, "me/toy")["created"] is True
    assert pushed(capsys, toy, "me/toy")["changed"] is False
    assert len(hub.repositories["me/toy"].commits) == 2
    other = toy_bundle(tmp_path / "other", classes=("no", "yes"), beside={"more.txt": "1"})
    result = pushed(capsys, other, "me/toy")
    assert (result["created"], result["changed"]) == (False, True)
    assert "ftkit/model/more.txt" in hub.repositories["me/toy"].files
    pushed(capsys, toy, "me/toy")
    assert "ftkit/model/more.txt" not in hub.repositories["me/toy"].files
    assert len(hub.repositories["me/toy"].commits) == 4
    assert "bundle " + toy.hash[:12] in hub.repositories["me/toy"].commits[-1]


def test_a_rejected_model_needs_a_reason_which_is_in_the_record_that_is_pushed_alone(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rejected = toy_bundle(tmp_path / "rejected", record="failed")
    assert "was not let through. Not promoted: metric-floor failed." in refused(capsys, rejected, "me/toy")
    assert "needs a reason" in refused(capsys, rejected, "me/toy", "--override", " ")
    assert "no promotion record" in refused(capsys, toy_bundle(tmp_path / "untested", record="none"), "me/toy")
    assert "nothing to override" in refused(capsys, toy, "me/toy", "--override", "why not")
    assert hub.requests == []
    pushed(capsys, rejected, "me/toy", "--override", "a demonstration")
    record = json.loads(hub.repositories["me/toy"].files["ftkit/promotion.json"])
    assert (record["override"]["reason"], record["override"]["by"]) == ("a demonstration", "somebody")
    assert "a demonstration" in head_of(hub, "me/toy")[1]
    assert bundles.verify(rejected.folder).record.override is None


REFUSALS = {
    "no token": ({"HF_TOKEN": None}, "me/toy", "HF_TOKEN"),
    "a token that is not valid": ({"HF_TOKEN": "hf_" + "x" * 34}, "me/toy", "does not accept the token"),
    "a token that may only read": ({"HF_TOKEN": loopback.READER}, "me/toy", "the account me may not write to me/toy"),
    "an unknown organisation": ({}, "nobody/toy", "push to your own name: me/NAME"),
    "no name": ({}, "me/toy/three", "is no name of a repository"),
    "a licence that the hub does not know": ({}, "me/toy", "--licence NAME"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_hub_refuses_is_said_and_leaves_nothing(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    environment, repository, words = REFUSALS[case]
    for name, value in environment.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    message = refused(capsys, toy, repository, *(["--licence", "made-up"] if "licence" in case else []))
    assert words in message
    assert hub.repositories == {}
    assert loopback.TOKEN not in message


def test_offline_is_said(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "Unset HF_HUB_OFFLINE" in refused(capsys, toy, "me/toy")
    assert hub.requests == []


def test_a_repository_of_something_else_or_that_others_see_is_not_touched(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repositories["me/notes"] = loopback.Repository(True, {"notes.txt": b"mine"})
    assert "holds something else: notes.txt" in refused(capsys, toy, "me/notes")
    hub.repositories["me/open"] = loopback.Repository(False)
    assert "add --public" in refused(capsys, toy, "me/open")
    hub.repositories["me/closed"] = loopback.Repository(True)
    assert "is private" in refused(capsys, toy, "me/closed", "--public")
    assert [len(each.commits) for each in hub.repositories.values()] == [1, 1, 1]
    assert pushed(capsys, toy, "me/closed")["created"] is False  # an empty one is filled


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ("POST .*/batch", 400, "status 400"),
        ("POST .*/commit/main", 0, "cannot be reached"),
        ("POST .*/commit/main", 412, "changed meanwhile"),
    ],
)
def test_a_push_that_breaks_off_removes_the_new_repository_and_leaves_an_old_one_as_it_was(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path, request_: str, status: int, words: str
) -> None:
    pushed(capsys, toy, "me/old")
    before = dict(hub.repositories["me/old"].files)
    hub.faults[request_] = status
    other = toy_bundle(tmp_path / "other", classes=("no", "yes"))
    assert words in refused(capsys, other, "me/new")
    assert words in refused(capsys, other, "me/old")
    assert list(hub.repositories) == ["me/old"] and hub.repositories["me/old"].files == before


def test_a_repository_that_could_not_be_removed_again_is_named(
    hub: Hub, toy: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults |= {"POST .*/commit/main": 0, "DELETE ": 403}
    assert "hf repos delete me/toy" in refused(capsys, toy, "me/toy")


def test_a_secret_in_the_recipe_is_not_pushed(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "s3cr3t-pass-phrase"
    with toys.install(tmp_path / "plugin"):
        bundle = toy_bundle(tmp_path / "toy", recipe=f'name = "toy"\n[dataset]\npassword = "{secret}"\n')
        message = refused(capsys, bundle, "me/toy")
    assert "recipe.toml:3" in message and secret not in message
    assert hub.requests == []


def test_weights_that_would_answer_otherwise_are_not_pushed(
    hub: Hub, calibrated: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_form, "_head", lambda _: "bert.pooler.dense")  # not the layer of the logits
    assert "would answer otherwise" in refused(capsys, calibrated, "me/ships")
    assert hub.repositories == {}


def test_a_model_without_a_last_layer_is_pushed_with_its_own_weights_and_says_so(
    hub: Hub, calibrated: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_form, "_head", lambda _: "")
    pushed(capsys, calibrated, "me/ships")
    assert "The probabilities are not calibrated" in head_of(hub, "me/ships")[1]
    files = hub.repositories["me/ships"].files
    assert files["model.safetensors"] == files["ftkit/model/model.safetensors"]
