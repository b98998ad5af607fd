"""The promotion record: every change is noticed, and with a key in the environment it is signed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.contracts.types import Verdict
from ftkit.errors import BundleError, DeployError
from ftkit.testing.bundles import toy_bundle, toy_record

DIGEST = "cd" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records.write(tmp_path, toy_record(DIGEST, "overridden"))
    return tmp_path


def test_a_record_is_read_back_as_it_was_written(folder: Path) -> None:
    record = records.read(folder, DIGEST)
    assert record is not None
    assert record.digest == toy_record(DIGEST, "overridden").digest
    assert record.override is not None
    assert record.override.reason == "it is a toy"
    assert (record.promoted, record.passing) == (False, True)


def test_a_record_names_its_plugins_and_an_older_one_has_the_bytes_of_before(tmp_path: Path) -> None:
    older = toy_record(DIGEST)
    assert '"plugins"' not in older.text and '"profile"' not in older.text
    plugins = {"ftkit-bert": {"version": "1.2", "sha256": "ab" * 32}}
    records.write(tmp_path, replace(older, plugins=plugins))
    record = records.read(tmp_path, DIGEST)
    assert record is not None and record.plugins == plugins
    (tmp_path / records.NAME).write_text((tmp_path / records.NAME).read_text().replace('"1.2"', '"1.3"'))
    with pytest.raises(BundleError, match="changed since it was written"):
        records.read(tmp_path, DIGEST)


def test_a_bundle_without_a_record_has_none(tmp_path: Path) -> None:
    assert records.read(tmp_path, DIGEST) is None


def test_charts_are_left_out_and_nan_becomes_null(tmp_path: Path) -> None:
    verdict = Verdict("a", "failed", "sentence", {"x": math.nan, "n": np.float32(0.5), "k": np.int64(3)}, "<svg/>")  # type: ignore[dict-item]
    records.write(tmp_path, replace(toy_record(DIGEST), verdicts=(verdict,), metrics={"roc_auc": math.nan}))
    text = (tmp_path / records.NAME).read_text()
    assert "svg" not in text
    assert json.loads(text)["metrics"] == {"roc_auc": None}
    assert json.loads(text)["verdicts"][0]["numbers"] == {"x": None, "n": 0.5, "k": 3}
    assert records.read(tmp_path, DIGEST) is not None


def test_every_single_changed_byte_is_noticed(folder: Path) -> None:
    path = folder / records.NAME
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BundleError):
            records.read(folder, DIGEST)
    for torn in (b"", whole[:100], whole + b"\n", b"[]", b"null", b'"x"', b"{}"):
        path.write_bytes(torn)
        with pytest.raises(BundleError, match="changed since it was written"):
            records.read(folder, DIGEST)


def test_a_record_of_another_bundle_is_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match="about another bundle"):
        records.read(folder, "ef" * 32)


def test_a_record_with_a_right_digest_but_without_the_right_signature_is_refused(
    folder: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv(records.KEY, "the team's secret")
    with pytest.raises(BundleError, match="not signed with the key in FTKIT_RECORD_KEY"):
        records.read(folder, DIGEST)
    records.write(folder, toy_record(DIGEST))
    assert records.read(folder, DIGEST) == toy_record(DIGEST)
    monkeypatch.setenv(records.KEY, "another secret")
    with pytest.raises(BundleError, match="not signed"):
        records.read(folder, DIGEST)
    monkeypatch.delenv(records.KEY)
    assert records.read(folder, DIGEST) == toy_record(DIGEST), "without a key, the digest alone is checked"


def test_the_user_is_the_account_or_the_name_in_the_environment(monkeypatch: Any) -> None:
    assert "@" in records.whoever()
    monkeypatch.setenv(records.BY, "release pipeline 12")
    assert records.whoever() == "release pipeline 12"


def test_a_bundle_is_cleared_by_passing_tests_or_by_an_override_only(tmp_path: Path) -> None:
    for decision in ("passed", "overridden"):
        assert bundles.cleared(toy_bundle(tmp_path / decision, record=decision).folder).record  # type: ignore[arg-type]
    with pytest.raises(DeployError, match="Not promoted: metric-floor failed") as failed:
        bundles.cleared(toy_bundle(tmp_path / "failed", record="failed").folder)
    assert "ftkit promote toy --override" in failed.value.hint
    with pytest.raises(DeployError, match="no promotion record"):
        bundles.cleared(toy_bundle(tmp_path / "none", record="none").folder)


def test_the_record_does_not_change_the_bundles_hash(tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "bundle", record="none")
    records.write(bundle.folder, toy_record(bundle.hash))
    assert bundles.verify(bundle.folder).hash == bundle.hash
    (bundle.folder / records.NAME).write_text("{}")
    with pytest.raises(BundleError, match="record was changed"):
        bundles.verify(bundle.folder)


@pytest.mark.parametrize(
    "change",
    [
        {"bundle": {"a": 1}},
        {"sentence": 3},
        {"promoted": "yes"},
        {"rows": "many"},
        {"metrics": {"accuracy": "good"}},
        {"metrics": [1]},
        {"tests": ["floor"]},
        {"champion": ["1"]},
        {"verdicts": [{"test": "a", "status": "passed", "sentence": "b", "numbers": {"value": []}}]},
        {"verdicts": [{"test": 1, "status": "passed", "sentence": "b"}]},
        {"override": {"reason": 1, "by": "a", "at": "b"}},
        {"name": None},
    ],
)
def test_values_of_other_types_are_refused_even_with_a_digest_that_fits(tmp_path: Path, change: dict[str, Any]) -> None:
    table = json.loads(toy_record("ab" * 32).text) | change
    del table["digest"]
    table["digest"] = records.sha256(json.dumps(table, indent=2, sort_keys=True) + "\n")
    (tmp_path / records.NAME).write_text(json.dumps(table, indent=2, sort_keys=True) + "\n")
    with pytest.raises(BundleError, match="was changed"):
        records.read(tmp_path, "ab" * 32)
