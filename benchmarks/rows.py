"""Rows to learn from and texts to ask about: reviews of a file, or BBC News where none is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.contracts import Data, DataReport, Dataset, Split

SEED = 7
LEAST = 200
"""Validation rows that are kept at least: F1 of fewer says nothing."""


def dataset(path: Path | None, rows: int | None = None) -> Dataset:
    """The component that loads the rows."""
    if path is None:
        from ftkit_quickstart.bbc_news import BbcNews

        return BbcNews(rows=rows)
    from ftkit_amazon_ucsd.dataset import AmazonUcsd

    return AmazonUcsd(path=path.resolve(), rows=rows)


def section(path: Path | None, rows: int | None) -> dict[str, Any]:
    """The same as the section of a recipe."""
    kept = {} if rows is None else {"rows": rows}
    return {"use": "bbc-news", **kept} if path is None else {"use": "amazon-ucsd", "path": str(path.resolve()), **kept}


def load(path: Path | None, rows: int) -> Data:
    """So many training rows and as large a share of the validation rows, but at least 200; 0 is all. No test rows."""
    whole = dataset(path).load(SEED, lambda _: None).without_test()
    if not 0 < rows < len(whole.train):
        return whole
    valid = max(LEAST, round(rows * len(whole.valid) / len(whole.train)))
    return replace(whole, train=_sample(whole.train, rows), valid=_sample(whole.valid, valid))


def write(data: Data, path: Path) -> None:
    """Keep training and validation rows in a file, so that every process reads the same."""
    kept = {name: [list(each.texts), list(map(int, each.labels))] for name, each in _splits(data).items()}
    path.write_text(json.dumps({"classes": data.classes, **kept}), encoding="utf-8")


def read(path: str | Path, cache: Path | None = None) -> Data:
    """The rows of such a file."""
    kept = json.loads(Path(path).read_text(encoding="utf-8"))
    train, valid = (Split(tuple(kept[name][0]), tuple(kept[name][1])) for name in ("train", "valid"))
    report = DataReport(str(path), len(train) + len(valid), {}, {}, {}, "")
    return Data(tuple(kept["classes"]), train, valid, Split((), ()), report, cache)


def texts(path: Path | None, count: int, tokens: Any) -> tuple[list[str], list[str]]:
    """Texts of some 60 tokens, and texts as long as they come; `tokens` counts those of each text.

    Reviews come whole. Articles are longer than what endpoints are mostly asked about: of them the first words are taken, so
    that both lists are of some 60 tokens.
    """
    import numpy as np

    found = list(dataset(path).load(SEED, lambda _: None).train.texts)
    chosen = np.random.default_rng(SEED).permutation(len(found))
    drawn = [found[at] for at in chosen]
    if path is None:
        drawn = [" ".join(text.split()[:45]) for text in drawn]
    lengths = np.asarray(tokens(drawn))
    short = [text for text, length in zip(drawn, lengths, strict=True) if 55 <= length <= 65][:count]
    return short, short if path is None else drawn[:count]


def _sample(split: Split, rows: int) -> Split:
    import numpy as np

    chosen = sorted(np.random.default_rng(SEED).permutation(len(split))[:rows])
    return Split(_at(split.texts, chosen), _at(split.labels, chosen))


def _at(values: Sequence[Any], places: Sequence[int]) -> tuple[Any, ...]:
    return tuple(values[place] for place in places)


def _splits(data: Data) -> dict[str, Split]:
    return {"train": data.train, "valid": data.valid}
