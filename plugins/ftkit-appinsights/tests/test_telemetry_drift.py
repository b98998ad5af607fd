"""Drift against independent references: scipy's relative entropy, and simulated samples without drift."""

from __future__ import annotations

import numpy as np
import pytest
from ftkit_appinsights.drift import CHANCE, SMOOTHING, Window, limit, psi
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from ftkit.contracts.monitoring import Profile
from ftkit.evaluation.prediction_profile import bin_counts, profile

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12)
CLASSES = ("bad", "fair", "good")


def draw(rng: np.random.Generator, rows: int, tilt: float = 0.0) -> np.ndarray:
    """Probabilities of three classes, tilted towards the last."""
    logits = rng.normal(size=(rows, 3)) * 2 + np.array([0, 0, tilt])
    raised = np.exp(logits)
    return raised / raised.sum(axis=1, keepdims=True)


def rows_of(probabilities: np.ndarray) -> tuple[list[str], list[float]]:
    return [CLASSES[index] for index in probabilities.argmax(axis=1)], list(map(float, probabilities.max(axis=1)))


@given(COUNTS)
def test_the_index_is_the_sum_of_both_relative_entropies(pairs: list[tuple[int, int]]) -> None:
    expected, actual = (np.array(side, float) + SMOOTHING for side in zip(*pairs, strict=True))
    by_scipy = entropy(actual, expected) + entropy(expected, actual)  # scipy normalises both
    assert psi(*map(list, zip(*pairs, strict=True))) == pytest.approx(by_scipy, abs=1e-12)


@given(COUNTS)
def test_the_index_is_the_same_both_ways_and_never_negative(pairs: list[tuple[int, int]]) -> None:
    expected, actual = map(list, zip(*pairs, strict=True))
    assert psi(expected, actual) == pytest.approx(psi(actual, expected))
    assert psi(expected, actual) >= 0


def test_equal_distributions_have_an_index_of_zero() -> None:
    assert psi([10, 20, 30], [10, 20, 30]) == 0
    assert psi([500, 500], [5_000_000, 5_000_000]) == pytest.approx(0, abs=1e-9)


def test_the_index_of_an_example_computed_by_hand() -> None:
    # Shares of 0.25 each against 0.1, 0.4, 0.3, 0.2, by hand: 0.2435.
    expected, actual = [250_000] * 4, [100_000, 400_000, 300_000, 200_000]
    by_hand = sum((share - 0.25) * np.log(share / 0.25) for share in (0.1, 0.4, 0.3, 0.2))
    assert psi(expected, actual) == pytest.approx(by_hand, abs=1e-4)


def test_without_change_the_limit_is_exceeded_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    shares, rows, reference, times = np.array([0.1, 0.2, 0.3, 0.4]), 1000, 800, 4000
    exceeded = sum(
        psi(list(rng.multinomial(reference, shares)), list(rng.multinomial(rows, shares))) > limit(4, rows, reference)
        for _ in range(times)
    )
    spread = 4 * np.sqrt(CHANCE * (1 - CHANCE) / times)
    assert abs(exceeded / times - CHANCE) < spread


def test_a_single_class_cannot_drift() -> None:
    assert limit(1, 100, 100) == 0
    assert psi([80], [100]) == 0


def test_the_window_holds_the_latest_rows_and_no_others() -> None:
    rng = np.random.default_rng(1)
    reference = profile(draw(rng, 400), CLASSES)
    window = Window(reference, 300)
    live = draw(rng, 1234, tilt=1.5)
    labels, confidences = rows_of(live)
    for start in range(0, len(labels), 7):
        window.add(labels[start : start + 7], confidences[start : start + 7])
    by_class, by_confidence = window.measure()
    latest = live[-300:]
    counts = [int((latest.argmax(axis=1) == index).sum()) for index in range(3)]
    assert by_class.counts == dict(zip(CLASSES, counts, strict=True))
    assert by_class.psi == pytest.approx(psi(list(reference.classes.values()), counts))
    expected = bin_counts(latest.max(axis=1), reference.edges)
    assert list(by_confidence.counts.values()) == expected
    assert by_confidence.psi == pytest.approx(psi(reference.confidence, expected))
    assert (by_class.rows, by_class.reference) == (300, 400)


def test_a_shift_exceeds_the_limit_and_no_shift_does_not() -> None:
    rng = np.random.default_rng(3)
    reference = profile(draw(rng, 1000), CLASSES)
    same, moved = Window(reference, 1000), Window(reference, 1000)
    same.add(*rows_of(draw(rng, 1000)))
    moved.add(*rows_of(draw(rng, 1000, tilt=2.0)))
    assert all(each.psi < each.limit for each in same.measure())
    assert moved.measure()[0].psi > 0.25
    assert moved.measure()[0].psi > moved.measure()[0].limit


def test_a_measurement_is_due_for_each_tenth_of_a_window_from_a_fifth_on() -> None:
    window = Window(Profile({"bad": 5, "good": 5}, (0.7,), (5, 5)), 100)
    measured = [bool(window.add(["good"], [0.9])) for _ in range(150)]
    assert [number for number, each in enumerate(measured, 1) if each] == list(range(20, 151, 10))


def test_one_request_larger_than_the_window_counts_by_its_last_rows() -> None:
    window = Window(Profile({"bad": 5, "good": 5}, (0.7,), (5, 5)), 100)
    (by_class, _) = window.add(["bad"] * 500 + ["good"] * 100, [0.9] * 600)
    assert by_class.counts == {"bad": 0, "good": 100}


def test_a_profile_of_ties_has_a_bin_for_each_value() -> None:
    sure = np.array([[0.0, 1.0]] * 90 + [[0.4, 0.6]] * 10)
    tied = profile(sure, ("a", "b"))
    assert tied.rows == 100
    assert sum(tied.confidence) == 100
    window = Window(tied, 100)
    window.add(["b"] * 100, [1.0] * 100)
    assert window.measure()[1].psi == pytest.approx(psi(tied.confidence, bin_counts([1.0] * 100, tied.edges)))


def test_rows_of_several_labels_count_for_each_of_them_and_leave_the_window_again() -> None:
    random = np.random.default_rng(0)
    window = Window(profile(random.random((50, 2)), ("late", "rude"), "multi-label"), 100)
    window.add([("late", "rude"), (), ("late",)] * 40, [0.9, 0.6, 0.7] * 40)
    by_class, by_confidence = window.measure()
    assert by_class.counts == {"late": 67, "rude": 33}
    assert by_confidence.rows == 100
