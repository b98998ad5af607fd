"""`ftkit predict --in FILE --out FILE`: a table with its rows, and the answers to them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files, formatting
from ftkit._version import __version__
from ftkit.bundle import answers
from ftkit.bundle.bundle import Bundle
from ftkit.commands.texts_to_classify import check_sides, readers, recipe_columns, recipe_dataset
from ftkit.contracts import AUTO, Classifier, RowReading
from ftkit.data.rows import name_lines
from ftkit.display import terminal, work_printer
from ftkit.errors import BundleError, DataError, PluginError, UsageError
from ftkit.plugins.calls import call
from ftkit.scoring.columns import AnswerColumns
from ftkit.scoring.forms import FORMS
from ftkit.scoring.paired_rows import PairedRows
from ftkit.scoring.score import Job, Model, cannot_write, score
from ftkit.scoring.unfinished import Tally, Unfinished, folder_of

if TYPE_CHECKING:
    from ftkit.contracts import Emit, FileRows, Probabilities


@dataclass(frozen=True)
class Request:
    """What a person asks for."""

    source: Path
    out: Path
    columns: tuple[str, ...]
    """The columns with the texts; empty for those of the recipe."""
    scores: bool
    prefix: str
    engine: str
    force: bool


def scored(model: Callable[[], Bundle], request: Request, *, json: bool) -> None:
    """Score a table and say what became of its rows. Raises: UsageError; DataError; BundleError; PluginError; StageError."""
    _check(request)
    bundle = model()
    with work_printer(sys.stderr) as emit:
        tally = _scored(bundle, request, emit)
    if json:
        terminal.write(terminal.json_line({"out": request.out, **_numbers(tally)}))
        return
    if tally.damaged:
        lines = name_lines(tally.lines, tally.damaged)
        terminal.write(f"{formatting.count(tally.damaged, 'row')} cannot be read ({lines}): no answer.", sys.stderr)
    if tally.empty:
        terminal.write(f"{formatting.count(tally.empty, 'row')} without a text: no answer.", sys.stderr)
    terminal.write(f"{formatting.count(tally.rows, 'row')} written to {request.out}.")


def _check(request: Request) -> None:
    """Check before anything is loaded that the file can be written. Raises: UsageError."""
    source, out = request.source, request.out
    if not source.is_file():
        what = "this is a folder" if source.is_dir() else "there is no such file"
        raise UsageError(f"the rows cannot be read: {what}", where=str(source), hint="Name a table.")
    if out.suffix.lower() not in FORMS:
        raise UsageError(
            f"the form of the answers is not known by the suffix {out.suffix!r}",
            where=str(out),
            hint=f"Let the name end in {', '.join(FORMS[:-1])} or {FORMS[-1]}.",
        )
    if out.is_dir() or not out.absolute().parent.is_dir():
        what = "this is a folder" if out.is_dir() else "there is no such folder"
        raise UsageError(f"the answers cannot be written: {what}", where=str(out), hint="Name another file.")
    if out.exists() and source.samefile(out):
        raise UsageError("the answers would replace the rows", where=str(out), hint="Name another file.")
    if out.exists() and not request.force:
        raise UsageError("the file is there already", where=str(out), hint="Name another file, or replace it: --force.")


def _scored(bundle: Bundle, request: Request, emit: Emit) -> Tally:
    rows, columns = _rows(bundle, request, emit)
    answer_columns = AnswerColumns(bundle.classes, request.scores, request.prefix, bundle.task, bundle.rule)
    answer_columns.check(rows.names, str(request.source))
    facts = {
        "other rows": files.sha256(request.source),
        "another model": bundle.hash,
        "another text column": list(columns),
        "another choice of --scores": request.scores,
        "another --prefix": request.prefix,
        "another engine": request.engine,
        "another version of ftkit": __version__,
    }
    unfinished = Unfinished(request.out, facts)
    try:
        with unfinished.opened(anew=request.force):
            unfinished.engine, model = _model(bundle, unfinished.engine or request.engine)
            return score(Job(rows, request.source, request.out, answer_columns), unfinished, model, emit)
    except KeyboardInterrupt:
        kept = formatting.count(unfinished.tally.rows, "row")
        terminal.write(f"{kept} kept in {folder_of(request.out)}: the same command goes on from there.", sys.stderr)
        raise
    except OSError as error:
        raise cannot_write(error, request.out) from error


def _rows(bundle: Bundle, request: Request, emit: Emit) -> tuple[FileRows, tuple[str, ...]]:
    """The opened table, and the columns with its texts. Raises: PluginError; DataError."""
    dataset = recipe_dataset(bundle)
    reader = next(iter(readers(RowReading, dataset.get("use"), request.source)), None)  # type: ignore[type-abstract]
    if reader is None:
        raise PluginError(
            "no installed data set reads this file row by row",
            where=str(request.source),
            hint="Install ftkit-tables, and let the name end in .csv, .tsv, .jsonl or .parquet.",
        )
    columns = request.columns or recipe_columns(reader, dataset)
    try:
        if len(bundle.fields) > 1:
            check_sides(columns, bundle)
            sides = [call(RowReading.whole_rows, reader, request.source, (name,), emit) for name in columns]  # type: ignore[misc]
            return PairedRows(*sides), columns
        return call(RowReading.whole_rows, reader, request.source, columns, emit), columns  # type: ignore[misc]
    except DataError as error:
        hint = f"{error.hint} Here the text column is set by --text COLUMN; it is {', '.join(map(repr, columns))} now."
        raise DataError(error.what, error.where, hint.strip()) from error


def _model(bundle: Bundle, engine: str) -> tuple[str, Model]:
    """The engine that answers, and its probabilities. Raises: PluginError; BundleError."""
    if engine == AUTO:
        from ftkit.serving.engine_choice import choose

        choice = choose(bundle)
        engine, classifier = choice.engine, choice.classifier
    else:
        classifier = bundle.classifier_of(engine)

    def probabilities(texts: Any) -> Probabilities:
        computed = call(Classifier.probabilities, classifier, texts)
        if wrong := answers.wrong_probabilities(computed, len(texts), len(bundle.classes), bundle.task):
            raise BundleError(f"the model answers {wrong}", where=str(bundle.folder))
        return computed

    return engine, probabilities


def _numbers(tally: Tally) -> dict[str, Any]:
    answered = tally.rows - tally.empty - tally.damaged
    return {
        "rows": tally.rows,
        "answered": answered,
        "without_text": tally.empty,
        "unreadable": tally.damaged,
        "labels": tally.labels,
    }
