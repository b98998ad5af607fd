"""The rows of a run on disk: three Arrow files, test sealed until the promotion tests read it, and the data report.

Older runs have files of JSON lines in their place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from ftkit import files, pairs, strict_json
from ftkit.contracts import SPLITS, Data, DataReport, Split
from ftkit.data import stored_rows
from ftkit.disclosure import without_secrets
from ftkit.errors import LedgerError
from ftkit.runs import closed_rows, written_files

KEPT_BACK = "kept_back.arrow"
"""The file of the validation rows that no training and no choice of a model sees: a promise about its answers is tested on them."""
TEACHER = "cache/teacher"
"""The folder in a run's own that has the bundle of the champion, where the backbone learns from it."""


def write(run: Path, data: Data, kept_back: Split | None = None) -> None:
    """Write the splits, rows that are kept back, and the report into a run's folder, whole or not at all. Raises: LedgerError."""
    try:
        with files.atomic_folder(run / "data") as folder:
            for name in SPLITS:
                stored_rows.write(folder / f"{name}.arrow", getattr(data, name))
            if kept_back is not None:
                stored_rows.write(folder / KEPT_BACK, kept_back)
            report = asdict(without_secrets(data.report)) | {"classes": data.classes, "task": data.task}
            if data.fields != pairs.TEXT:
                report["fields"] = data.fields
            # Not sorted: in the order in which it is shown.
            files.write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
            written_files.seal(folder)
            closed_rows.seal(folder)
    except OSError as error:
        raise LedgerError(
            f"the data of the run cannot be stored: {error.strerror or error}",
            where=str(run),
            hint="Make room, or set FTKIT_HOME to a larger disk, then give the same command.",
        ) from error


def read(run: Path, splits: Sequence[str] = SPLITS) -> Data:
    """The data in a run's folder with only these splits filled; reading test opens its seal for good.

    The texts stay on the disk: they are read from the mapped file, each when it is asked for.
    Raises: LedgerError when they are gone or damaged, or test is closed to a training.
    """
    path = run / "data" / "report.json"
    try:
        written_files.check(path)
        report = strict_json.read_object(path)
        classes, task = tuple(report.pop("classes")), report.pop("task", "single-label")
        names = tuple(report.pop("fields", pairs.TEXT))
        known = {field.name for field in fields(DataReport)}  # a newer ftkit may have written more
        shown = DataReport(**{key: value for key, value in report.items() if key in known})
        if "test" in splits:
            closed_rows.open_seal(run / "data")
        filled = {}
        for name in SPLITS:
            path = closed_rows.place(run / "data", name)
            filled[name] = _split(path, f"{shown.fingerprint}-{name}") if name in splits else Split((), ())
        path = cache = run / "cache"
        cache.mkdir(exist_ok=True)
        return Data(classes, **filled, report=shown, cache=cache, task=task, fields=names)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        gone = isinstance(error, FileNotFoundError)
        reason = (error.strerror if isinstance(error, OSError) else "") or f"{type(error).__name__}: {error}"
        raise LedgerError(
            "the rows of the run are gone" if gone else f"the rows of the run cannot be read: {reason}",
            where=str(path),
            hint="Restore the file, or begin a new run: give its `ftkit run` command with --fresh.",
        ) from error


def kept_back(run: Path) -> Split:
    """The validation rows that were kept back; none where the recipe promised nothing. Raises: LedgerError."""
    path = run / "data" / KEPT_BACK
    try:
        if not path.is_file():
            return Split((), ())
        written_files.check(path)
        return stored_rows.read(path)
    except (OSError, ValueError) as error:
        raise LedgerError(
            f"the validation rows that were kept back cannot be read: {error}",
            where=str(path),
            hint="Restore the file, or begin a new run: give its `ftkit run` command with --fresh.",
        ) from error


def training_files(run: Path) -> list[Path]:
    """The files in a run's folder that a training reads, for one that runs on another machine. The test rows are not among them."""
    teacher = sorted(path for path in (run / TEACHER).rglob("*") if path.is_file())
    return [
        run / "data" / "report.json",
        *(closed_rows.place(run / "data", split) for split in ("train", "valid")),
        *teacher,
    ]


def _split(path: Path, key: str) -> Split:
    written_files.check(path)
    if path.suffix == ".arrow":
        return stored_rows.read(path, key)
    with path.open(encoding="utf-8") as file:
        rows = [strict_json.parse(line) for line in file]
    columns = {key: tuple(row["columns"][key] for row in rows) for key in (rows[0]["columns"] if rows else ())}
    return Split(tuple(row["text"] for row in rows), tuple(row["label"] for row in rows), columns)
