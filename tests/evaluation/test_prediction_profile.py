"""How answers are spread: what the gate saw of the test split, kept in the record, and told to whoever serves the bundle."""

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
def test_every_row_is_in_one_bin_and_equal_ones_in_the_same(confidences: list[float]) -> None:
    rows = np.array([[each, 1 - each] for each in confidences])
    found = profiles.profile(rows, ("a", "b"))
    assert found.rows == len(confidences) == sum(found.classes.values())
    assert len(found.confidence) == len(found.edges) + 1 <= profiles.BINS
    assert list(found.edges) == sorted(set(found.edges))


def test_bins_of_different_values_are_tenths_of_the_rows() -> None:
    sure = np.linspace(0.5, 1, 1000)
    found = profiles.profile(np.column_stack([1 - sure, sure]), ("a", "b"))
    assert all(99 <= count <= 101 for count in found.confidence)
    assert np.histogram(sure, [0, *found.edges, 2])[0].tolist() == list(found.confidence)


def test_a_class_that_was_never_predicted_is_there() -> None:
    found = profiles.profile(np.array([[0.9, 0.1, 0.0]] * 3), ("a", "b", "c"))
    assert found.classes == {"a": 3, "b": 0, "c": 0}


def test_a_record_brings_it_back_and_guards_it(tmp_path: Path) -> None:
    made = replace(toy_record("ab" * 32), profile=profiles.profile(np.array([[0.9, 0.1], [0.3, 0.7]]), ("bad", "good")))
    records.write(tmp_path, made)
    assert records.read(tmp_path, "ab" * 32) == made
    table = json.loads((tmp_path / records.NAME).read_text())
    table["profile"]["classes"]["bad"] += 1
    (tmp_path / records.NAME).write_text(json.dumps(table, indent=2, sort_keys=True) + "\n")
    with pytest.raises(BundleError, match="changed"):
        records.read(tmp_path, "ab" * 32)


def test_a_record_from_before_there_were_any_is_still_read(tmp_path: Path) -> None:
    made = toy_record("ab" * 32)
    assert "profile" not in json.loads(made.text)
    records.write(tmp_path, made)
    found = records.read(tmp_path, "ab" * 32)
    assert found == made
    assert found.profile is None


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
def test_a_deployments_name_tells_the_version_it_was_named_after(version: str | None) -> None:
    name = monitoring.deployment_name(version, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert monitoring.version_of(name) == (version or "")
    assert name.endswith("-20250102-030405")


def test_a_deployment_somebody_else_named_tells_no_version() -> None:
    assert monitoring.version_of("blue") == ""
