"""Real bundles in the blink of an eye: the toy backbone, trained on the toy reviews."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from ftkit import bundle
from ftkit.bundle import Bundle
from ftkit.testing.toys import ToyReviews, ToyWords

GOOD = "sturdy bright perfect quiet happy"
"""A text that any toy bundle takes for its second class."""
BAD = "broke cracked useless noisy refund"
"""A text that any toy bundle takes for its first class."""


def toy_bundle(
    folder: Path,
    classes: tuple[str, str] = ("bad", "good"),
    use: str = "toy-words",
    beside: Mapping[str, str] | None = None,
) -> Bundle:
    """A bundle at `folder` that tells bad reviews from good ones, by these names; `beside` are more files of its model.

    Whoever loads it needs the toys' plugin: `ftkit.testing.toys.install`.
    """
    data = dataclasses.replace(ToyReviews().load(7, lambda _: None).without_test(), classes=classes)
    model = folder.with_name(f"{folder.name}-model")
    model.mkdir(parents=True, exist_ok=True)
    ToyWords().fit(data, 7, lambda *_, **__: True).save(model)
    for name, text in (beside or {}).items():
        (model / name).write_text(text, encoding="utf-8")
    return bundle.write(
        folder,
        model=model,
        classes=classes,
        backbone={"use": use},
        recipe='name = "toy"\n',
        card="# A toy\n",
        sample_texts=[GOOD, BAD],
        about={"run": "toy"},
    )
