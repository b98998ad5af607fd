"""The sample of validation rows: fixed by the seed, each class in proportion, counted in the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ftkit import runner
from ftkit.contracts import Data, DataReport, Split
from ftkit.contracts.settings import Search
from ftkit.data import soundness
from ftkit.data.evaluation_sample import NOT_EVALUATED, sampled
from ftkit.runs import ledger as ledgers
from ftkit.testing import toys


def made(sizes: tuple[int, ...]) -> Data:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    valid = Split(tuple(f"text {row}" for row in range(len(labels))), tuple(labels), {"row": tuple(range(len(labels)))})
    others = [Split(tuple(f"{name} {row}" for row in range(len(sizes))), tuple(range(len(sizes)))) for name in "ab"]
    classes = tuple(f"class {label}" for label in range(len(sizes)))
    counts = {"train": dict.fromkeys(classes, 1), "test": dict.fromkeys(classes, 1)}
    counts["valid"] = dict(zip(classes, sizes, strict=True))
    rows = len(valid) + 2 * len(sizes)
    return Data(classes, others[0], valid, others[1], DataReport("made", rows, {}, counts, {}, "print"))


def test_classes_are_in_proportion_and_the_report_adds_up() -> None:
    data = sampled(made((900, 99, 1)), 100, 7)
    assert Counter(data.valid.labels) == {0: 90, 1: 9, 2: 1}
    assert data.valid.texts == tuple(f"text {row}" for row in data.valid.columns["row"])
    assert data.report.dropped == {NOT_EVALUATED: 900}
    assert data.report.fingerprint == "print"
    soundness.check(data, "the sample")


def test_several_labels_are_in_proportion_and_each_has_a_row() -> None:
    labels = [*[(0,)] * 500, *[(0, 1)] * 300, *[()] * 190, *[(2,)] * 9, (1, 3)]
    data = made((1,) * 4)
    valid = Split(tuple(f"valid {row}" for row in range(len(labels))), tuple(labels))
    counts = {name: sum(number in label for label in labels) for number, name in enumerate(data.classes)}
    report = replace(
        data.report,
        counts={**data.report.counts, "valid": counts},
        rows={"train": 4, "valid": 1000, "test": 4},
        rows_read=1008,
    )
    others = [replace(split, labels=((0,), (1,), (2,), (3,))) for split in (data.train, data.test)]
    data = Data(data.classes, others[0], valid, others[1], report, task="multi-label")
    soundness.check(data, "all rows")
    sample = sampled(data, 100, 7)
    soundness.check(sample, "the sample")
    kept = Counter(sample.valid.labels)
    assert kept[2,] == 1 and kept[1, 3] == 1 and kept[()] == pytest.approx(19, abs=2)
    assert sample.report.sizes == {"train": 4, "valid": len(sample.valid), "test": 4}
    assert len(sample.valid) == pytest.approx(100, abs=2)


def test_a_seed_always_gives_the_same_rows_and_another_seed_others() -> None:
    data = made((900, 100))
    assert sampled(data, 50, 7) == sampled(data, 50, 7)
    assert sampled(data, 50, 7).valid != sampled(data, 50, 8).valid


@pytest.mark.parametrize("rows", [None, 20, 10_000])
def test_all_rows_stay_where_no_fewer_are_wanted(rows: int | None) -> None:
    data = made((15, 5))
    assert sampled(data, rows, 7) is data


def test_each_class_keeps_a_row_however_few_are_wanted() -> None:
    assert Counter(sampled(made((8, 3, 2, 1)), 2, 7).valid.labels) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_run_stores_the_sample_for_its_trials(tmp_path: Path) -> None:
    with toys.install(tmp_path / "plugins"):
        plan = toys.plan(tmp_path, {"search.evaluation_rows": 10})
        ledger = ledgers.at(tmp_path / "run", "toy", plan.text)
        data = runner.load_data(plan, ledger, lambda event: None)
        assert len(data.valid) == 10 < len(plan.dataset.load(plan.seed, lambda event: None).valid)
        assert [note for note in data.report.notes if note.startswith("Trials are evaluated on 10 of ")]


def test_a_number_that_is_no_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluation_rows must be at least 2"):
        replace(Search(), evaluation_rows=1)
