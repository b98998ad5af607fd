"""`ftkit models` and `predict`: what has been registered, and what a model says of a text."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from ftkit import formatting
from ftkit.commands import as_json, completer, print_json, run_names
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.bundle.bundle import Bundle

AT_ONCE = 256
"""Texts read before they are answered: a stream is answered as it comes."""


@click.command(short_help="List registered models.")
@click.argument("recipes", metavar="[RECIPE...]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--registry", "name", metavar="NAME", help="Only registries of this kind, such as mlflow.")
@as_json
def models(recipes: Sequence[Path], name: str | None, json_: bool) -> None:
    """List the registered versions of every model, with aliases, test metrics and the run that made each.

    Looks into the registries of the given recipes, or else of all runs of this machine.
    """
    from ftkit.commands.sources import registries
    from ftkit.errors import FtkitError

    found: list[dict[str, Any]] = []
    troubles: list[str] = []
    for registry in registries(recipes):
        if name not in (None, registry.name):
            continue
        try:
            found += [{"registry": registry.name, **terminal.machine(each)} for each in registry.versions()]
        except FtkitError as error:  # one registry out of reach must not hide the others
            troubles.append(f"the registry {registry.name} of {registry.model}: {error.what}")
    if json_:
        print_json(found)
    elif not found and not troubles:
        terminal.write(
            "No model has been registered yet: a recipe with a [registry] section registers what it promotes."
        )
    elif found:
        rows = [
            (
                each["model"],
                each["version"],
                ", ".join(each["aliases"]),
                formatting.metrics({key: value for key, value in each["metrics"].items() if value is not None}),
                each["run"],
                each["created"][:16].replace("T", " "),
            )
            for each in found
        ]
        terminal.table(("model", "version", "aliases", "test metrics", "run", "created (UTC)"), rows)
    for trouble in troubles:
        terminal.write(f"not listed: {trouble}", sys.stderr)


@click.command(short_help="Classify texts with a model.")
@click.argument("source", metavar="MODEL", shell_complete=completer(run_names))
@click.argument("texts", metavar="[TEXT...]", nargs=-1)
@click.option("--file", "-f", "path", type=click.Path(path_type=Path), help="Read texts from a file, one a line.")
@click.option("--scores", is_flag=True, help="Print the score of every class, too.")
@as_json
def predict(source: str, texts: Sequence[str], path: Path | None, scores: bool, json_: bool) -> None:
    """Classify texts with MODEL: a bundle's folder, a run, or a registered model (NAME for its champion, NAME:VERSION).

    Texts are arguments, the lines of a file, or with - (or none at all) the lines of standard input. Prints one label
    a line, or with --json one answer a line as an endpoint gives it.
    """
    from ftkit.commands.sources import bundle

    wanted = _texts(texts, path)
    opened = bundle(source)
    for text, answer in _answers(opened, wanted, scores or json_):
        if json_:
            said = answer if scores else {"label": answer["label"]}
            terminal.write(terminal.json_line({"text": text, **said}))
        elif scores:
            each = "  ".join(f"{name} {value:.4f}" for name, value in answer["scores"].items())
            terminal.write(f"{answer['label']}\t{each}")
        else:
            terminal.write(answer)


def _texts(texts: Sequence[str], path: Path | None) -> Iterator[str]:
    """The texts to classify, in order. Raises: UsageError when there are none, or the file cannot be read."""
    from ftkit.errors import UsageError

    parts: list[Iterable[str]] = []
    if path is not None:
        try:
            opened = path.open(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"the texts cannot be read: {error.strerror}", where=str(path)) from error
        parts.append(_lines(opened))
    elif not texts and sys.stdin.isatty():
        raise UsageError(
            "there is no text to classify", hint="Give texts as arguments, --file PATH, or - for standard input."
        )
    for text in texts or (() if path is not None else ("-",)):
        parts.append(_lines(sys.stdin) if text == "-" else [text])
    return itertools.chain.from_iterable(parts)


def _lines(file: IO[str]) -> Iterator[str]:
    """Lines without their ends; an empty line is a text, so that answers stay in step with lines."""
    with file:
        for line in file:
            yield line.rstrip("\r\n")


def _answers(opened: Bundle, texts: Iterator[str], scores: bool) -> Iterator[tuple[str, Any]]:
    """Each text with its answer, through the engine that endpoints serve with."""
    from ftkit.serving.batcher import Batcher
    from ftkit.serving.schema import answer, whole_text

    opened.classifier  # noqa: B018  loads the model, so that an error of loading is not one of answering
    batcher = Batcher(opened)
    try:
        while batch := [whole_text(text) for text in itertools.islice(texts, AT_ONCE)]:
            result = batcher.submit(batch).result()
            yield from zip(batch, answer(result.probabilities, opened.classes, scores), strict=True)
    finally:
        batcher.close()
