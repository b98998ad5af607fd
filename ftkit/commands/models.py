"""`ftkit models` and `predict`: list registered models, and classify texts with one."""

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
"""Texts that are read before they are classified, so that a stream gets its answers while it is read."""


@click.command(short_help="List registered models.")
@click.argument("recipes", metavar="[RECIPE...]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--registry", "name", metavar="NAME", help="Only registries of this kind, such as mlflow.")
@as_json
def models(recipes: Sequence[Path], name: str | None, json_: bool) -> None:
    """List the registered versions of every model, with aliases, test metrics and the run that made each.

    Reads the registries of the given recipes, by default those of all runs of this machine.
    """
    from ftkit.commands.sources import registries
    from ftkit.contracts import Registry
    from ftkit.errors import FtkitError
    from ftkit.plugins.calls import call

    versions: list[dict[str, Any]] = []
    errors: list[str] = []
    for registry in registries(recipes):
        if name not in (None, registry.name):
            continue
        try:
            versions += [
                {"registry": registry.name, **terminal.machine(each)} for each in call(Registry.versions, registry)
            ]
        except FtkitError as error:  # one registry that cannot be reached must not hide the others
            errors.append(f"the registry {registry.name} of {registry.model}: {error.what}")
    if json_:
        print_json(versions)
    elif not versions and not errors:
        terminal.write(
            "No model has been registered yet: a recipe with a [registry] section registers what it promotes."
        )
    elif versions:
        rows = [
            (
                each["model"],
                each["version"],
                ", ".join(each["aliases"]),
                formatting.metrics({key: value for key, value in each["metrics"].items() if value is not None}),
                each["run"],
                each["created"][:16].replace("T", " "),
            )
            for each in versions
        ]
        terminal.table(("model", "version", "aliases", "test metrics", "run", "created (UTC)"), rows)
    for error_message in errors:
        terminal.write(f"not listed: {error_message}", sys.stderr)


@click.command(short_help="Classify texts with a model.")
@click.argument("source", metavar="MODEL", shell_complete=completer(run_names))
@click.argument("texts", metavar="[TEXT...]", nargs=-1)
@click.option("--file", "-f", "path", type=click.Path(path_type=Path), help="Read texts from a file, one on each line.")
@click.option("--scores", is_flag=True, help="Also print the score of every class.")
@as_json
def predict(source: str, texts: Sequence[str], path: Path | None, scores: bool, json_: bool) -> None:
    """Classify texts with MODEL: a bundle's folder, a run, or a registered model (NAME for its champion, NAME:VERSION).

    Texts are arguments, the lines of a file, or the lines of standard input (with - or without any text). Prints one label
    on each line, or with --json one answer as an endpoint gives it.
    """
    from ftkit.commands.sources import bundle

    texts_to_classify = _texts(texts, path)
    for text, answer in _answers(bundle(source), texts_to_classify, scores or json_):
        if json_:
            values = answer if scores else {"label": answer["label"]}
            terminal.write(terminal.json_line({"text": text, **values}))
        elif scores:
            class_scores = "  ".join(f"{name} {value:.4f}" for name, value in answer["scores"].items())
            terminal.write(f"{answer['label']}\t{class_scores}")
        else:
            terminal.write(answer)


def _texts(texts: Sequence[str], path: Path | None) -> Iterator[str]:
    """The texts to classify, in order. Raises: UsageError when there are none, or the file cannot be read."""
    from ftkit.errors import UsageError

    parts: list[Iterable[str]] = []
    if path is not None:
        try:
            file = path.open(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"the texts cannot be read: {error.strerror}", where=str(path)) from error
        parts.append(_lines(file))
    elif not texts and sys.stdin.isatty():
        raise UsageError(
            "there is no text to classify", hint="Give texts as arguments, --file PATH, or - for standard input."
        )
    for text in texts or (() if path is not None else ("-",)):
        parts.append(_lines(sys.stdin) if text == "-" else [text])
    return itertools.chain.from_iterable(parts)


def _lines(file: IO[str]) -> Iterator[str]:
    """Lines without their ends; an empty line is a text too, so that answer n belongs to line n."""
    with file:
        for line in file:
            yield line.rstrip("\r\n")


def _answers(model: Bundle, texts: Iterator[str], scores: bool) -> Iterator[tuple[str, Any]]:
    """Each text with its answer, computed as an endpoint computes it."""
    from ftkit.serving.batcher import Batcher
    from ftkit.serving.schema import answer, whole_text

    model.classifier  # noqa: B018  loads the model, so that an error while loading is reported as such
    batcher = Batcher(model)
    try:
        while batch := [whole_text(text) for text in itertools.islice(texts, AT_ONCE)]:
            result = batcher.submit(batch).result()
            yield from zip(batch, answer(result.probabilities, model.classes, scores), strict=True)
    finally:
        batcher.close()
