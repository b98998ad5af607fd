"""Real bundles that are trained in milliseconds: the toy backbone on the toy reviews."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from ftkit.bundle import bundle
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.promotion_record import PromotionRecord
from ftkit.contracts.types import Verdict
from ftkit.testing.toys import ToyReviews, ToyWords

GOOD = "sturdy bright perfect quiet happy"
"""A text for which every toy bundle predicts its second class."""
BAD = "broke cracked useless noisy refund"
"""A text for which every toy bundle predicts its first class."""


def toy_bundle(
    folder: Path,
    classes: tuple[str, str] = ("bad", "good"),
    use: str = "toy-words",
    beside: Mapping[str, str] | None = None,
    record: Literal["passed", "failed", "overridden", "none"] = "passed",
    engines: Mapping[Literal["half"], bool] = MappingProxyType({}),
    recipe: str = 'name = "toy"\n',
) -> Bundle:
    """Train a bundle at `folder` that distinguishes bad from good reviews.

    `classes` are its label names, and `beside` are further files of its model. `record` is the decision in its promotion
    record; with "none" it has no record. `engines` are its exported engines, each with whether its answers passed.

    A process that loads it needs the toys' plugin: `ftkit.testing.toys.install`.
    """
    data = dataclasses.replace(ToyReviews().load(7, lambda _: None).without_test(), classes=classes)
    model = folder.with_name(f"{folder.name}-model")
    model.mkdir(parents=True, exist_ok=True)
    ToyWords().fit(data, 7, lambda *_, **__: True).save(model)
    for name, text in (beside or {}).items():
        (model / name).write_text(text, encoding="utf-8")
    toy = bundle.write(
        folder,
        model=model,
        classes=classes,
        backbone={"use": use},
        recipe=recipe,
        card="# A toy\n",
        sample_texts=[GOOD, BAD],
        about={"run": "toy"},
        export=ToyWords(engines=tuple(engines)).export if engines else None,
        engines=tuple(engines),
    )
    if record != "none":
        records.write(toy.folder, toy_record(toy.hash, record, engines))
    return toy


def toy_record(
    digest: str,
    ended: Literal["passed", "failed", "overridden"] = "passed",
    engines: Mapping[Literal["half"], bool] = MappingProxyType({}),
) -> PromotionRecord:
    """The promotion record of the bundle with this hash: one test, which also judged these engines."""
    passed = ended == "passed"
    numbers = {"value": 0.8, **{records.judged(each): float(good) for each, good in engines.items()}}
    record = PromotionRecord(
        bundle=digest,
        run="toy",
        name="toy",
        recipe=records.sha256('name = "toy"\n'),
        tests=[{"use": "metric-floor", "floor": 0.9}],
        data="ab" * 32,
        rows=40,
        verdicts=(Verdict("metric-floor", "passed" if passed else "failed", "a toy's verdict", numbers),),
        metrics={"accuracy": 0.8},
        champion=None,
        promoted=passed,
        sentence="Promoted: 1 of 1 tests passed, none failed." if passed else "Not promoted: metric-floor failed.",
        by="toy@here",
        at="2026-01-01T00:00:00.000+00:00",
        ftkit="0.1.0",
    )
    if ended == "overridden":
        return record.overridden("it is a toy", "toy@here", "2026-01-02T00:00:00.000+00:00")
    return record
