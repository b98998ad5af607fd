"""`ftkit predict`: classify texts, the rows of a table, or the lines of a file."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftkit import formatting
from ftkit.commands import PATH, as_json, completer, run_names
from ftkit.contracts.deciding import UNSURE
from ftkit.display import terminal
from ftkit.errors import UsageError
from ftkit.scoring.columns import joined

if TYPE_CHECKING:
    from ftkit.bundle.bundle import Bundle
    from ftkit.commands.texts_to_classify import Text

AT_ONCE = 256
"""Texts that are read before they are classified, so that a stream gets its answers while it is read."""


@click.command()
@click.argument("source", metavar="MODEL", shell_complete=completer(run_names))
@click.argument("texts", metavar="[TEXT...]", nargs=-1)
@click.option(
    "--file",
    "-f",
    "path",
    metavar="FILE",
    type=PATH,
    help="Read texts from a table (csv, tsv, jsonl, parquet and others, by its suffix), or one on each line.",
)
@click.option(
    "--in",
    "table",
    metavar="FILE",
    type=PATH,
    help="Score a table (csv, tsv, jsonl, parquet, packed or not): --out gets its rows with all their columns and the answers.",
)
@click.option(
    "--text",
    "columns",
    metavar="COLUMN",
    multiple=True,
    help="The column of a table with the texts; by default that of the recipe. Given several times, the columns are joined, or are the sides of a pair.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=PATH,
    help="Write the answers to this .csv, .tsv or .jsonl file, with --in also .parquet.",
)
@click.option("--scores", is_flag=True, help="Also give the score of every class, in a file a column for each.")
@click.option(
    "--prefix", metavar="TEXT", default="", help="With --in, what the names of the answers' columns begin with."
)
@click.option(
    "--engine",
    metavar="ENGINE",
    help="With --in, which engine of the bundle answers: native, another, or the fastest that passed the tests (auto, the default).",
)
@click.option(
    "--force", is_flag=True, help="With --in, replace the file if it is there, or was begun with something else."
)
@as_json
def predict(
    source: str,
    texts: Sequence[str],
    path: Path | None,
    table: Path | None,
    columns: Sequence[str],
    out: Path | None,
    scores: bool,
    prefix: str,
    engine: str | None,
    force: bool,
    json_: bool,
) -> None:
    """Classify texts with MODEL: a bundle's folder, a run, or a registered model (NAME for its champion, NAME:VERSION).

    Texts are arguments, for a model of pairs two after another, the rows of a table, the lines of a file, or the lines of standard input (with - or without any
    text). Prints one label on each line, or with --json one answer as an endpoint gives it. The rows of a table are answered
    in their order, with their numbers; a row without a text gets no label, and is named.

    With --in and --out, a table of any size is scored: every row is written in its order with its columns, a label and a
    score. A command that was interrupted goes on where it was when it is given again.
    """
    from ftkit.commands.sources import bundle

    if table is not None:
        from ftkit.commands import scored_files
        from ftkit.contracts import AUTO

        if texts or path is not None or out is None:
            what = "no --out FILE" if out is None else "further texts"
            raise UsageError(f"--in FILE is given with {what}", hint="A table is scored by --in FILE --out FILE.")
        request = scored_files.Request(table, out, tuple(columns), scores, prefix, engine or AUTO, force)
        scored_files.scored(lambda: bundle(source), request, json=json_)
        return
    if prefix or engine or force:
        raise UsageError("--prefix, --engine and --force are for a table that is scored", hint="Name it: --in FILE.")
    from ftkit.commands import predictions, texts_to_classify

    if out is not None:
        predictions.check(out, path)
    model = bundle(source)
    given = texts_to_classify.given(texts, path, tuple(columns), model)
    unsure = model.rule is not None and model.rule.abstains  # its answers tell a text without a label from no text
    answers = _answers(model, given, scores or json_ or unsure or out is not None)
    if out is not None:
        answers = predictions.written(out, answers, model.classes, model.fields)
    missing: list[int] = []
    for text, answer in answers:
        if answer is None and text.row is not None:
            missing.append(text.row)
            terminal.write(f"row {text.row:,}: there is no text to classify", sys.stderr)
        if out is None:
            terminal.write(_json(text, answer, scores, model.fields) if json_ else _line(text, answer, scores))
    if missing:
        terminal.write(f"{formatting.count(len(missing), 'row')} without a text got no label.", sys.stderr)
    if out is not None:
        terminal.write(f"Written to {out}.")


def _line(text: Text, answer: Any, scores: bool) -> str:
    """An answer in one line, whatever its label holds; that of a table begins with the row's number."""
    parts = [str(text.row)] * (text.row is not None) + [one_line(_label(answer))]
    if scores and answer is not None:
        parts.append("  ".join(f"{one_line(name)} {value:.4f}" for name, value in answer["scores"].items()))
    return "\t".join(parts)


def _label(answer: Any) -> str:
    """The label of an answer, with scores or without, as one word; empty for a row without a text."""
    if answer is None:
        return ""
    if isinstance(answer, dict):
        return UNSURE if answer.get("abstained") else str(joined(answer["label"]))
    return str(joined(answer))


def _json(text: Text, answer: Any, scores: bool, fields: Sequence[str]) -> str:
    place = {} if text.row is None else {"row": text.row}
    shown = ("label", "abstained")
    values = answer or {"label": None}
    values = values if scores else {name: values[name] for name in shown if name in values}
    return terminal.json_line({**place, **text.row_of(fields), **values})


def one_line(label: str) -> str:
    """A label with its line ends, tabs and other characters that do not print written as escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in label)


def _answers(model: Bundle, texts: Iterator[Text], scores: bool) -> Iterator[tuple[Text, Any]]:
    """Each text with its answer, computed as an endpoint computes it; None for a row without a text."""
    from ftkit.commands.texts_to_classify import Text
    from ftkit.serving.batcher import Batcher
    from ftkit.serving.schema import answer, whole_text

    model.classifier  # noqa: B018  loads the model, so that an error while loading is reported as such
    batcher = Batcher(model)
    try:
        while batch := [Text(whole_text(each.text), each.row) for each in itertools.islice(texts, AT_ONCE)]:
            present = [each.text for each in batch if each.text is not None]
            result = batcher.submit(present).result() if present else None
            answers: Iterator[Any] = iter(())
            if result:
                answers = iter(answer(result.probabilities, model.classes, scores, model.task, model.rule))
            yield from ((each, None if each.text is None else next(answers)) for each in batch)
    finally:
        batcher.close()
