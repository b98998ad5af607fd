"""The answers of `ftkit predict --out`: a table of rows, labels and scores, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ftkit import pairs
from ftkit.commands.texts_to_classify import Text
from ftkit.contracts.deciding import UNSURE
from ftkit.errors import UsageError
from ftkit.scoring.columns import joined

DELIMITERS = {".csv": ",", ".tsv": "\t"}
FORMATS = (*DELIMITERS, ".jsonl")


def check(out: Path, source: Path | None) -> None:
    """Check before the model is loaded that the answers can be written there. Raises: UsageError."""
    if out.suffix.lower() not in FORMATS:
        raise UsageError(
            f"the format of the answers is not known by the suffix {out.suffix!r}",
            where=str(out),
            hint=f"Let the name end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
        )
    if out.is_dir() or not out.absolute().parent.is_dir():
        what = "this is a folder" if out.is_dir() else "there is no such folder"
        raise UsageError(f"the answers cannot be written: {what}", where=str(out), hint="Name another file.")
    if source is not None and source.exists() and out.exists() and source.samefile(out):
        raise UsageError("the answers would replace the texts", where=str(out), hint="Name another file.")


def written(
    out: Path, answers: Iterator[tuple[Text, Any]], classes: Sequence[str], fields: Sequence[str] = pairs.TEXT
) -> Iterator[tuple[Text, Any]]:
    """The same answers, each written when it passes; the file gets its name after the last one. Raises: UsageError."""
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            if delimiter := DELIMITERS.get(out.suffix.lower()):
                writer = csv.writer(file, delimiter=delimiter)
                writer.writerow(["row", *fields, "label", "score", *(f"score {name}" for name in classes)])
            for number, (text, answer) in enumerate(answers, 1):
                row = number if text.row is None else text.row
                values = answer or {"label": None, "score": None, "scores": {}}
                if delimiter:
                    scores = [values["scores"].get(name) for name in classes]
                    label = UNSURE if values.get("abstained") else joined(values["label"])
                    writer.writerow([row, *text.row_of(fields).values(), label, values["score"], *scores])
                else:
                    file.write(json.dumps({"row": row, **text.row_of(fields), **values}, ensure_ascii=False) + "\n")
                yield text, answer
        os.replace(partial, out)
    except OSError as error:
        raise UsageError(f"the answers cannot be written: {error.strerror}", where=str(out)) from error
    finally:
        partial.unlink(missing_ok=True)
