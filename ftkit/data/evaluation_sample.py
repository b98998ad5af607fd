"""A fixed sample of the validation rows, on which all trials are evaluated where all rows would take too long."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ftkit.contracts import Data, Split
from ftkit.data.digests import BYTES, sorted_by
from ftkit.data.split_assignment import whole_shares
from ftkit.data.stratification import stratified
from ftkit.data.texts import chosen

NOT_EVALUATED = "validation row that is not in the sample"


def sampled(data: Data, rows: int | None, seed: int) -> Data:
    """The data with this many validation rows, each class in proportion and with a row at least; None keeps all.

    A hash of the text and the seed decides which rows. The fingerprint stays that of all rows.
    """
    return parted(data, rows, seed)[0]


def parted(data: Data, rows: int | None, seed: int, why: str = "by evaluation_rows") -> tuple[Data, Split]:
    """The data with a sample of the validation rows, as `sampled`, and the validation rows that are not in it."""
    valid = data.valid
    if rows is None or rows >= len(valid):
        return data, Split((), ())
    salt = f"evaluation {seed} ".encode()
    digests = (
        hashlib.blake2b(salt + text.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()
        for text in valid.texts
    )
    order = sorted_by(digests)
    kept = sorted(_of_several(valid, order, rows) if data.task == "multi-label" else _of_one(valid, order, rows))
    sample, rest = _part(valid, kept), _part(valid, sorted({*range(len(valid))} - {*kept}))
    counted = Counter(sample.each_label())
    report = replace(
        data.report,
        rows={**data.report.rows, "valid": len(kept)} if data.report.rows else {},
        dropped={**data.report.dropped, NOT_EVALUATED: len(valid) - len(kept)},
        counts={**data.report.counts, "valid": {name: counted[label] for label, name in enumerate(data.classes)}},
        notes=(
            *data.report.notes,
            f"Trials are evaluated on {len(kept):,} of {len(valid):,} validation rows, {why}.",
        ),
    )
    return replace(data, valid=sample, report=report), rest


def _part(split: Split, rows: Sequence[int]) -> Split:
    return Split(
        chosen(split.texts, rows),
        tuple(split.labels[row] for row in rows),
        {name: tuple(values[row] for row in rows) for name, values in split.columns.items()},
    )


def _of_one(valid: Split, order: Sequence[int], rows: int) -> list[int]:
    """The first rows of each class, in proportion."""
    sizes = Counter(valid.labels)
    labels = sorted(sizes)
    left = dict(zip(labels, whole_shares(max(rows, len(labels)), [sizes[label] for label in labels]), strict=True))
    kept = []
    for row in order:
        if left[valid.labels[row]]:
            left[valid.labels[row]] -= 1
            kept.append(row)
    return kept


def _of_several(valid: Split, order: Sequence[int], rows: int) -> list[int]:
    """Rows with each label in proportion, where a row can have several."""
    labels = [dict.fromkeys(valid.labels[row], 1) for row in order]
    places = stratified(labels, [1] * len(labels), (rows, len(labels) - rows))
    return [row for row, place in zip(order, places, strict=True) if not place]
