"""The temperature that calibrates a model: how it is fitted, saved with the model, and applied."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ftkit.bundle import bundle as bundles
from ftkit.contracts import Split
from ftkit.encoders import Encoder, temperature
from ftkit.encoders.config import Precision
from ftkit.encoders.inference.classifier import EncoderClassifier, probabilities_of, softmax
from ftkit.errors import BundleError
from ftkit.serving.batcher import Batcher
from ftkit.testing.backbones import CLASSES, BackboneSuite, separable, separable_data


@dataclass(frozen=True, kw_only=True)
class Scaled(Encoder):
    """The tiny checkpoint, its probabilities calibrated."""

    name = "scaled"
    learning_rate: float = 3e-3
    batch_size: int = 8
    epochs: int = 4
    precision: Precision = "fp32"
    calibration: str = "temperature"  # type: ignore[assignment]


class TestScaled(BackboneSuite):
    @pytest.fixture
    def component(self, tiny):
        return Scaled(checkpoint=str(tiny))


def mislabelled(rows, seed, share=0.3):
    """Texts of which some have a wrong label, so that a model that is certain of every answer is too certain."""
    clean, generator = separable(rows, seed), random.Random(seed)
    return Split(
        clean.texts,
        tuple(
            (label + generator.choice((1, 2))) % 3 if generator.random() < share else label for label in clean.labels
        ),
    )


def calibration_error(probabilities, labels, bins=10):
    """Mean distance between certainty and the share of correct answers, over bins of equal mass."""
    certainty, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == np.asarray(labels)
    parts = np.array_split(np.argsort(certainty), bins)
    return sum(len(part) * abs(certainty[part].mean() - correct[part].mean()) for part in parts) / len(labels)


@pytest.fixture(scope="module")
def overfitted(tiny):
    """A model that has memorised its rows, wrong labels included, and is far too certain; with its reports and data."""
    data = replace(separable_data(), train=mislabelled(90, 1), valid=mislabelled(150, 2))
    reports = []

    def report(epoch, probabilities, **numbers):
        reports.append((probabilities, numbers))
        return True

    # No dropout and many epochs: certainty keeps growing long after accuracy on new rows does not.
    encoder = Scaled(checkpoint=str(tiny), epochs=14, dropout=0.0)
    return encoder.fit(data, 1, report), reports, data


def test_a_model_that_is_too_certain_is_calibrated_on_new_rows(overfitted):
    classifier, _, _ = overfitted
    assert classifier.temperature > 1.3
    held_out = mislabelled(600, 3)
    scaled = classifier.probabilities(held_out.texts)
    uncalibrated = EncoderClassifier(classifier.model, classifier.tokenizer, classifier.length)
    unscaled = uncalibrated.probabilities(held_out.texts)
    before, after = (calibration_error(probabilities, held_out.labels) for probabilities in (unscaled, scaled))
    assert after < before / 2, (before, after)
    np.testing.assert_array_equal(scaled.argmax(axis=1), unscaled.argmax(axis=1))


def test_reported_probabilities_are_those_of_the_classifier(overfitted):
    classifier, reports, data = overfitted
    probabilities, numbers = reports[-1]
    np.testing.assert_allclose(classifier.probabilities(data.valid.texts), probabilities, atol=1e-5)
    assert numbers["temperature"] == classifier.temperature
    assert len({numbers["temperature"] for _, numbers in reports}) > 1, "every evaluation has a temperature of its own"


def test_the_temperature_is_that_of_the_best_evaluation(tiny):
    reports = []

    def report(epoch, probabilities, **numbers):
        reports.append((probabilities, numbers["temperature"]))
        return epoch == 2

    data = separable_data()
    classifier = Scaled(checkpoint=str(tiny)).fit(data, 1, report)
    assert classifier.temperature == reports[1][1] != reports[-1][1]
    np.testing.assert_allclose(classifier.probabilities(data.valid.texts), reports[1][0], atol=1e-5)


def test_without_calibration_nothing_is_scaled_and_no_file_is_written(tiny, tmp_path):
    encoder = Scaled(checkpoint=str(tiny), epochs=1, calibration="none")
    reports = []
    classifier = encoder.fit(separable_data(rows=24), 1, lambda *_, **numbers: reports.append(numbers) or True)
    classifier.save(tmp_path)
    assert classifier.temperature == 1.0
    assert not (tmp_path / "temperature.json").exists()
    assert "temperature" not in reports[0]
    assert encoder.load(tmp_path).temperature == 1.0


def test_an_endpoint_applies_the_temperature(overfitted, tmp_path):
    """A bundle that is written, verified, loaded by its backbone, and computed through the batcher of the endpoint."""
    classifier, _, data = overfitted
    classifier.save(tmp_path / "model")
    pytest.importorskip("ftkit_bert")
    bundle = bundles.write(
        tmp_path / "bundle",
        model=tmp_path / "model",
        classes=CLASSES,
        backbone={"use": "bert-base-cased", "calibration": "temperature"},
        recipe="",
        card="",
        sample_texts=["ship"],
        about={},
    )
    assert "model/temperature.json" in bundle.manifest["files"]
    texts = list(data.valid.texts[:40])
    expected = classifier.probabilities(texts)
    unscaled = EncoderClassifier(classifier.model, classifier.tokenizer, classifier.length).probabilities(texts)
    assert np.abs(expected - unscaled).max() > 0.05
    batcher = Batcher(bundles.verify(bundle.folder))
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda text: batcher.submit([text]).result(60).probabilities[0], texts))
    finally:
        batcher.close()
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "1.5", '{"temperature": 0}', '{"temperature": -1}', '{"temperature": "2"}', '{"temperature": true}',
     '{"temperature": NaN}', '{"temperature": Infinity}', '{"temperature": null}', '{"temperature": 1' + "0" * 400 + "}",
     "\udcff"],
)  # fmt: skip
def test_a_broken_temperature_is_a_damaged_bundle(tmp_path, content):
    (tmp_path / "temperature.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match="temperature"):
        temperature.load(tmp_path)


def test_a_damaged_temperature_keeps_the_model_from_loading(overfitted, tmp_path):
    classifier, _, _ = overfitted
    classifier.save(tmp_path)
    assert Encoder().load(tmp_path).temperature == classifier.temperature
    (tmp_path / "temperature.json").write_text('{"temperature": 0.0}')
    with pytest.raises(BundleError, match="temperature"):
        Encoder().load(tmp_path)


# ---------------------------------------------------------------------------------------------- the fit


def drawn(rows, classes, sharpness, seed):
    """Logits, and labels drawn from their probabilities at the temperature `sharpness`."""
    random = np.random.default_rng(seed)
    calibrated = random.normal(0, 2, (rows, classes))
    labels = [random.choice(classes, p=probabilities) for probabilities in softmax(calibrated)]
    return calibrated * sharpness, np.asarray(labels)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("sharpness", [0.25, 1.0, 3.0, 10.0])
def test_the_fit_recovers_the_temperature_of_the_logits(classes, sharpness):
    logits, labels = drawn(4000, classes, sharpness, 1)
    assert temperature.fit(logits, labels) == pytest.approx(sharpness, rel=0.08)


def test_no_other_temperature_has_a_lower_loss():
    logits, labels = drawn(3000, 3, 4.0, 2)

    def loss(divisor):
        return -np.log(softmax(logits, divisor)[np.arange(len(labels)), labels]).mean()

    fitted = temperature.fit(logits, labels)
    assert loss(fitted) <= min(loss(divisor) for divisor in np.geomspace(0.05, 50, 400)) + 1e-5


@pytest.mark.parametrize("rows", [1, 2, 5, 24, 200, 2000])
@pytest.mark.parametrize("margin", [0.05, 1.0, 5.0, 40.0])
def test_rows_that_are_all_answered_correctly_justify_limited_certainty(rows, margin):
    labels = np.arange(rows) % 3
    logits = np.eye(3)[labels] * margin
    fitted = temperature.fit(logits, labels)
    assert temperature.LOWEST <= fitted <= temperature.HIGHEST
    certainty = softmax(logits, fitted).max()
    assert certainty <= 1 - 1 / (3 * (rows + 1)), "no more certain than this many correct answers justify"


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.eye(3)[[0, 1, 2]] * 9, [1, 2, 0]),  # all wrong
        (np.zeros((4, 2)), [0, 1, 0, 1]),  # no opinion
        (np.tile([5.0, 0.0, 0.0], (30, 1)), [0] * 30),  # one class only
        (np.tile([5.0, 0.0, 0.0], (30, 1)), [1] * 30),  # one class only, and always wrong
        (np.full((3, 2), 1e300), [0, 1, 0]),
        (np.array([[1e30, -1e30], [3.0, 1.0]]), [0, 0]),
        (np.array([[np.nan, 1.0], [3.0, 1.0]]), [0, 0]),
        (np.empty((0, 4)), []),
    ],
)
def test_the_fit_stays_within_its_bounds_for_any_rows(logits, labels):
    with np.errstate(all="ignore"):
        fitted = temperature.fit(logits, np.asarray(labels, dtype=np.int64))
    assert temperature.LOWEST <= fitted <= temperature.HIGHEST


def test_a_tiny_temperature_gives_finite_probabilities():
    probabilities = softmax(np.array([[1.0, 2.0], [0.0, 0.0]]), 1e-308)
    np.testing.assert_allclose(probabilities, [[0, 1], [0.5, 0.5]])


def test_the_fit_is_deterministic():
    logits, labels = drawn(300, 4, 2.0, 3)
    assert temperature.fit(logits, labels) == temperature.fit(logits.copy(), labels.copy())


def test_the_file_holds_one_number(tmp_path):
    temperature.save(1.37, Path(tmp_path))
    assert json.loads((tmp_path / "temperature.json").read_text()) == {"temperature": 1.37}
    assert temperature.load(tmp_path) == 1.37


def test_a_temperature_of_several_labels_is_fitted_to_all_decisions() -> None:
    draw = np.random.default_rng(5)
    calibrated = draw.normal(0, 2, (3000, 4))
    labels = (draw.random(calibrated.shape) < probabilities_of(calibrated, "multi-label")).astype(int)
    fitted = temperature.fit(calibrated * 3, labels)
    assert fitted == pytest.approx(3, rel=0.1)
    np.testing.assert_allclose(
        probabilities_of(calibrated * fitted, "multi-label", fitted), probabilities_of(calibrated, "multi-label")
    )


def test_the_sigmoid_of_any_logit_is_a_probability() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert probabilities_of(np.array([[-1e9, 0.0, 1e9]]), "multi-label").tolist() == [[0.0, 0.5, 1.0]]
