"""Answers every row of a file and writes it with the answers: part by part, so that a kill costs seconds of work.

Rows are computed in blocks that always begin at the same rows, whatever was done before, so that the file is the same to
the byte however often it was interrupted.
"""

from __future__ import annotations

import errno
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.contracts.deciding import UNSURE
from ftkit.errors import StageError, UsageError
from ftkit.events import Progressed
from ftkit.scoring.columns import AnswerColumns
from ftkit.scoring.forms import Block, form
from ftkit.scoring.types import column_types
from ftkit.scoring.unfinished import LINES, Tally, Unfinished
from ftkit.serving.schema import whole_text

if TYPE_CHECKING:
    from ftkit.contracts import Emit, FileRows, Probabilities, RowsPart

BLOCK = 2_048
"""Rows that are computed together: enough for batches of texts of similar length."""
SECONDS = 10.0
"""After these a part is written."""
MOST_BLOCKS = 32
"""Blocks that are held in memory until they are written."""

Model = Callable[[Sequence[str]], "Probabilities"]
"""Class probabilities of texts, (texts, classes)."""


@dataclass(frozen=True)
class Job:
    """What is answered, and where the answers go."""

    rows: FileRows
    source: Path
    out: Path
    columns: AnswerColumns


def score(job: Job, unfinished: Unfinished, model: Model, emit: Emit) -> Tally:
    """Answer the rows that are not done yet and write the file; returns what became of all its rows.

    Raises: UsageError where the file cannot be written; StageError on a full disk; DataError.
    """
    with _writing(job, unfinished):
        written = form(job.out.suffix.lower(), job.rows.names, job.columns, lambda: column_types(job.rows))
        label, total, blocks = f"scoring {job.source.name}", job.rows.total, list[Block]()
        tally, due = unfinished.tally, time.monotonic() + SECONDS
        emit(Progressed(label, tally.rows, total))
        for part in itertools.islice(job.rows.parts(BLOCK), -(-tally.rows // BLOCK), None):
            given = _answers(part, model, job.columns)
            blocks.append(Block(part.columns, job.columns.values(given)))
            tally = _counted(tally, part, given, job.columns)
            emit(Progressed(label, tally.rows, total))
            if time.monotonic() >= due or len(blocks) >= MOST_BLOCKS:
                unfinished.add(written, blocks, tally)
                blocks, due = [], time.monotonic() + SECONDS
        if blocks:
            unfinished.add(written, blocks, tally)
        unfinished.finish(written)
    return tally


def _answers(part: RowsPart, model: Model, columns: AnswerColumns) -> list[Any]:
    texts = [whole_text(text) for text in part.texts if text is not None]
    return columns.answers(part.texts, model(texts)) if texts else [None] * len(part.texts)


def _counted(tally: Tally, part: RowsPart, given: Sequence[Any], columns: AnswerColumns) -> Tally:
    """The tally with the rows of a part."""
    labels = Counter(tally.labels)
    for each in given:
        if each is not None and each["label"] is None:
            labels[UNSURE] += 1
        elif each is not None:
            labels.update(each["label"] if columns.several else [each["label"]])
    damaged = [part.numbers[place] for place in sorted(part.damaged)]
    return replace(
        tally,
        rows=tally.rows + len(part.texts),
        labels=dict(labels),
        empty=tally.empty + sum(text is None for text in part.texts) - len(damaged),
        damaged=tally.damaged + len(damaged),
        lines=[*tally.lines, *damaged][:LINES],
    )


@contextmanager
def _writing(job: Job, unfinished: Unfinished) -> Iterator[None]:
    """Raises: UsageError or StageError in place of what writing raises."""
    import pyarrow

    try:
        yield
    except pyarrow.ArrowException as error:
        raise UsageError(
            f"the rows cannot be written as {job.out.suffix[1:]}: {formatting.beginning(str(error), 200)}",
            where=str(job.out),
            hint="Let the name end in .jsonl, which takes any values.",
        ) from error
    except OSError as error:
        raise cannot_write(error, job.out, unfinished.tally.rows) from error


def cannot_write(error: OSError, out: Path, rows: int = 0) -> UsageError | StageError:
    """The error for a file that the system does not let be written, when so many rows are done."""
    kept = (
        f"{formatting.count(rows, 'row')} that are done are kept: the same command goes on from there. " if rows else ""
    )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StageError("the disk is full", where=str(out), hint=f"{kept}Make room, or move to a larger disk.")
    hint = f"{kept}Name a file in a folder that can be written, or fix its permissions."
    return UsageError(f"the answers cannot be written: {error.strerror or error}", where=str(out), hint=hint)
