"""How answers are distributed: computed on the test split and kept in the promotion record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.bundle import promotion_record as records
from ftkit.contracts import monitoring
from ftkit.errors import BundleError
from ftkit.evaluation import prediction_profile as profiles
from ftkit.runs.ledger import find
from ftkit.testing import toys
from ftkit.testing.bundles import toy_record


@given(st.lists(st.floats(0.5, 1), min_size=1, max_size=300))
def test_every_row_is_in_one_bin_and_equal_rows_share_a_bin(confidences: list[float]) -> None:
    rows = np.array([[each, 1 - each] for each in confidences])
    profile = profiles.profile(rows, ("a", "b"))
    assert profile.rows == len(confidences) == sum(profile.classes.values())
    assert len(profile.confidence) == len(profile.edges) + 1 <= profiles.BINS
    assert list(profile.edges) == sorted(set(profile.edges))


def test_bins_of_different_values_are_tenths_of_the_rows() -> None:
    confidence = np.linspace(0.5, 1, 1000)
    profile = profiles.profile(np.column_stack([1 - confidence, confidence]), ("a", "b"))
    assert all(99 <= count <= 101 for count in profile.confidence)
    assert np.histogram(confidence, [0, *profile.edges, 2])[0].tolist() == list(profile.confidence)


def test_a_class_that_was_never_predicted_counts_0() -> None:
    profile = profiles.profile(np.array([[0.9, 0.1, 0.0]] * 3), ("a", "b", "c"))
    assert profile.classes == {"a": 3, "b": 0, "c": 0}


def test_a_record_keeps_the_profile_and_its_digest_covers_it(tmp_path: Path) -> None:
    profile = profiles.profile(np.array([[0.9, 0.1], [0.3, 0.7]]), ("bad", "good"))
    record = replace(toy_record("ab" * 32), profile=profile)
    records.write(tmp_path, record)
    assert records.read(tmp_path, "ab" * 32) == record
    table = json.loads((tmp_path / records.NAME).read_text())
    table["profile"]["classes"]["bad"] += 1
    (tmp_path / records.NAME).write_text(json.dumps(table, indent=2, sort_keys=True) + "\n")
    with pytest.raises(BundleError, match="changed"):
        records.read(tmp_path, "ab" * 32)


def test_a_record_without_a_profile_is_read(tmp_path: Path) -> None:
    record = toy_record("ab" * 32)
    assert "profile" not in json.loads(record.text)
    records.write(tmp_path, record)
    assert records.read(tmp_path, "ab" * 32) == record
    assert record.profile is None


def test_a_run_leaves_the_profile_of_its_test_split_in_the_record(tmp_path: Path) -> None:
    from ftkit import runner

    with toys.install(tmp_path / "plugins"):
        outcome = runner.run(toys.plan(tmp_path), lambda _: None)
    ledger = find(outcome.run)
    answers = ledger.predictions()["candidate"]
    opened = records.read(outcome.bundle, json.loads((outcome.bundle / records.NAME).read_text())["bundle"])
    assert opened is not None
    assert opened.profile == profiles.profile(answers, ledger.data(()).classes)
    assert opened.profile.rows == opened.rows


@pytest.mark.parametrize("version", ["3", "12", "1.0-rc", None])
def test_the_version_can_be_read_from_the_name_of_a_deployment(version: str | None) -> None:
    name = monitoring.deployment_name(version, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert monitoring.version_of(name) == (version or "")
    assert name.endswith("-20250102-030405")


def test_a_deployment_with_another_name_has_no_version() -> None:
    assert monitoring.version_of("blue") == ""


def test_a_row_of_several_labels_counts_for_each_and_is_as_sure_as_its_least_sure_label() -> None:
    probabilities = np.array([[0.9, 0.6], [0.1, 0.2], [0.8, 0.1]])
    several = profiles.profile(probabilities, ("late", "rude"), "multi-label")
    assert several.classes == {"late": 2, "rude": 1}
    assert several.rows == 3
    assert profiles.predictions(probabilities, "multi-label")[1] == pytest.approx([0.6, 0.8, 0.8])
