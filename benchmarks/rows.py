"""Rows for training and texts for requests: reviews of a file, or BBC News by default."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.contracts import Data, DataReport, Dataset, Split

SEED = 7
MINIMUM_VALIDATION_ROWS = 200
"""Fewest validation rows: F1 of fewer has no meaning."""


def dataset(path: Path | None, rows: int | None = None) -> Dataset:
    """The component that loads the rows."""
    if path is None:
        from ftkit_quickstart.bbc_news import BbcNews

        return BbcNews(rows=rows)
    from ftkit_amazon_ucsd.dataset import AmazonUcsd

    return AmazonUcsd(path=path.resolve(), rows=rows)


def section(path: Path | None, rows: int | None) -> dict[str, Any]:
    """The section of a recipe that names this data set."""
    sample = {} if rows is None else {"rows": rows}
    if path is None:
        return {"use": "bbc-news", **sample}
    return {"use": "amazon-ucsd", "path": str(path.resolve()), **sample}


def load(path: Path | None, rows: int) -> Data:
    """This many training rows, the same share of validation rows but at least 200, no test rows; 0 takes all."""
    whole = dataset(path).load(SEED, lambda _: None).without_test()
    if not 0 < rows < len(whole.train):
        return whole
    valid = max(MINIMUM_VALIDATION_ROWS, round(rows * len(whole.valid) / len(whole.train)))
    return replace(whole, train=sample(whole.train, rows), valid=sample(whole.valid, valid))


def write(data: Data, path: Path) -> None:
    """Write training and validation rows to a file, so that every process reads the same."""
    splits = {name: [list(split.texts), list(map(int, split.labels))] for name, split in _splits(data).items()}
    path.write_text(json.dumps({"classes": data.classes, **splits}), encoding="utf-8")


def read(path: str | Path, cache: Path | None = None) -> Data:
    """The rows of a file that `write` wrote."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    train, valid = (Split(tuple(content[name][0]), tuple(content[name][1])) for name in ("train", "valid"))
    report = DataReport(str(path), len(train) + len(valid), {}, {}, {}, "")
    return Data(tuple(content["classes"]), train, valid, Split((), ()), report, cache)


def texts(path: Path | None, count: int, tokens: Any) -> tuple[list[str], list[str]]:
    """Texts of some 60 tokens, and texts of any length; `tokens` counts those of each text.

    Reviews are used whole. Articles are longer than most requests, so only their first words are used, and both lists
    have texts of some 60 tokens.
    """
    import numpy as np

    train = list(dataset(path).load(SEED, lambda _: None).train.texts)
    drawn = [train[index] for index in np.random.default_rng(SEED).permutation(len(train))]
    if path is None:
        drawn = [" ".join(text.split()[:45]) for text in drawn]
    lengths = np.asarray(tokens(drawn))
    short = [text for text, length in zip(drawn, lengths, strict=True) if 55 <= length <= 65][:count]
    return short, short if path is None else drawn[:count]


def sample(split: Split, rows: int) -> Split:
    """This many of a split's rows, in their order."""
    import numpy as np

    chosen = sorted(np.random.default_rng(SEED).permutation(len(split))[:rows])
    return Split(_at(split.texts, chosen), _at(split.labels, chosen))


def _at(values: Sequence[Any], indices: Sequence[int]) -> tuple[Any, ...]:
    return tuple(values[index] for index in indices)


def _splits(data: Data) -> dict[str, Split]:
    return {"train": data.train, "valid": data.valid}
