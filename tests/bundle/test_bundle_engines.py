"""A bundle's engines: named in its manifest, covered by its hash, loaded alone, and deployed only when a test passed them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from ftkit import runner
from ftkit.bundle import bundle as bundles
from ftkit.contracts import NATIVE, Exporting, Trial, Verdict
from ftkit.errors import BundleError, DeployError, PluginError
from ftkit.evaluation import metrics
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle, toy_record
from ftkit.testing.toys import ToyWords


@pytest.fixture(autouse=True)
def _toys(tmp_path):
    with toys.install(tmp_path / "plugins"):
        yield


@pytest.fixture
def bundle(tmp_path):
    return toy_bundle(tmp_path / "bundle", engines={"half": True})


def test_a_bundle_names_its_engines(bundle, tmp_path):
    assert bundle.engines == ("half",)
    assert toy_bundle(tmp_path / "other").engines == ()


def test_an_engine_answers_nearly_as_the_model_does(bundle):
    probabilities = bundle.classifier_of("half").probabilities([GOOD, BAD])
    native_probabilities = bundle.classifier_of().probabilities([GOOD, BAD])
    assert bundle.classifier_of() is bundle.classifier
    np.testing.assert_allclose(probabilities, native_probabilities, atol=0.01)
    assert np.abs(probabilities - native_probabilities).max() > 0  # it is another engine


def test_an_engine_is_loaded_without_the_native_model(bundle):
    bundle.classifier_of("half")
    assert "classifier" not in vars(bundle)


def test_an_unknown_engine_is_an_error_that_lists_the_engines_of_the_bundle(bundle):
    with pytest.raises(BundleError, match="no engine 'onnx'") as caught:
        bundle.classifier_of("onnx")
    assert "native, half." in caught.value.hint


def test_a_backbone_without_engines_cannot_open_one(bundle, monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class Plain:
        name: ClassVar[str] = "plain"

        def load(self, folder):
            return ToyWords().load(folder)

    monkeypatch.setattr(bundles.Bundle, "_backbone", lambda self: Plain())
    assert not isinstance(Plain(), Exporting)
    assert bundle.predict([GOOD]) == ["good"]
    with pytest.raises(BundleError, match="has no engines"):
        bundle.classifier_of("half")


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_the_hash_covers_engines(bundle, damage):
    path = bundle.folder / "model" / "half.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?") if damage == "change" else path.unlink()
    with pytest.raises(BundleError, match=r"model/half\.npy"):
        bundles.verify(bundle.folder)


@pytest.mark.parametrize("engines", ["half", [1], {"half": 1}])
def test_a_manifest_whose_engines_are_no_list_of_names_is_refused(bundle, engines):
    path = bundle.folder / bundles.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"engines": engines}))
    with pytest.raises(BundleError, match="manifest cannot be read"):
        bundles.verify(bundle.folder)


def test_an_export_that_breaks_off_leaves_no_bundle(tmp_path):
    def export(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(BundleError, match="disk is full"):
        bundles.write(
            tmp_path / "new", model=toy_bundle(tmp_path / "model").folder / "model", classes=("bad", "good"),
            backbone={"use": "toy-words"}, recipe="", card="", sample_texts=[GOOD], about={}, export=export,
        )  # fmt: skip
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("numbers", "decision", "allowed"),
    [
        ({"engine half": 1.0}, "passed", True),
        ({"engine half": 0.0}, "passed", False),
        ({}, "passed", False),
        ({"engine other": 1.0}, "passed", False),
        ({"engine half": 1.0}, "failed", False),
        ({"engine half": 0.0}, "overridden", True),
        ({}, "overridden", False),
    ],
)
def test_an_engine_is_allowed_when_its_answers_were_judged_and_the_bundle_let_through(numbers, decision, allowed):
    record = replace(toy_record("ab" * 32, decision), verdicts=(Verdict("parity", "passed", "", numbers),))
    assert record.allows("half") is allowed
    assert record.allows(NATIVE) is (decision != "failed")


def test_an_engine_that_failed_one_of_two_tests_is_not_allowed():
    verdicts = (Verdict("a", "passed", "", {"engine half": 1.0}), Verdict("b", "passed", "", {"engine half": 0.0}))
    assert not replace(toy_record("ab" * 32), verdicts=verdicts).allows("half")


def test_only_an_engine_that_was_judged_is_cleared_for_deployment(bundle, tmp_path):
    assert bundles.cleared(bundle.folder, "half") == bundle
    unjudged = toy_bundle(tmp_path / "unjudged", engines={"half": False})
    assert bundles.cleared(unjudged.folder) == unjudged
    with pytest.raises(DeployError, match="no test has passed the answers of the engine 'half'") as caught:
        bundles.cleared(unjudged.folder, "half")
    assert "served-parity" in caught.value.hint
    with pytest.raises(BundleError, match="no engine 'onnx'"):
        bundles.cleared(unjudged.folder, "onnx")


def test_a_run_exports_the_selected_model_alone(tmp_path):
    exported = []

    def search(plan, ledger, emit):
        data = ledger.data(("train", "valid"))
        for number in range(3):
            model = plan.backbone.fit(data, number, lambda *_, **__: True)
            folder = ledger.trial_folder(number) / "model"
            folder.mkdir(parents=True)
            model.save(folder)
            exported.append((folder / "half.npy").exists())
            scores = metrics.scores(model.probabilities(data.valid.texts), np.asarray(data.valid.labels))
            ledger.record_trial(Trial(number, {}, number, "finished", metrics=dict(scores)))
        return ledger.trials()

    plan = toys.plan(tmp_path, {"backbone.engines": ["half"], "search.trials": 3})
    outcome = runner.carry_out(plan, lambda _: None, search)
    bundle = bundles.verify(outcome.bundle)
    assert exported == [False] * 3
    assert bundle.engines == ("half",)
    assert bundle.manifest["backbone"]["engines"] == ["half"]
    assert bundle.classifier_of("half").probabilities([GOOD]).argmax() == 1


def test_a_backbone_that_foresees_a_failure_ends_the_run_before_anything_is_trained(tmp_path):
    class Wary(ToyWords):
        def foresee(self, data):
            assert len(data.train)
            raise PluginError("engines need packages that are not installed: onnx")

    plan = replace(toys.plan(tmp_path), backbone=Wary())
    with pytest.raises(PluginError, match="onnx"):
        runner.carry_out(plan, lambda _: None, lambda *_: pytest.fail("it was trained"))
