"""A commented recipe for a table of data, written only if it has no mistake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftkit import files, formatting, plugins
from ftkit.errors import UsageError
from ftkit.recipe import loader
from ftkit.scaffold.proposal import SPACES, Proposal
from ftkit.scaffold.written import check_file

COLUMN = 36
"""Where comments beside values begin."""


def write(proposal: Proposal, out: Path) -> None:
    """Write the recipe, after reading it as a run would.

    Raises: UsageError for a place where it cannot be; RecipeError, such as for a target that needs options which nobody can guess.
    """
    check_file(out)
    recipe = text(proposal, out)
    loader.loads(recipe)
    try:
        files.write_text(out, recipe)
    except OSError as error:
        raise UsageError(f"the recipe cannot be written: {error.strerror or error}", where=str(out)) from error


def text(proposal: Proposal, out: Path) -> str:
    """The recipe for a file of this name, beside which relative paths begin."""
    return "\n".join([*_head(proposal, out), *_data(proposal, out), *_training(proposal), *_release(proposal)]) + "\n"


def _head(proposal: Proposal, out: Path) -> Iterator[str]:
    table, labels = proposal.table, proposal.labels
    (most, *_, least) = labels.counts.items()
    half, most_words = proposal.lengths
    part = "" if len(labels.values) >= table.rows else f"the first {len(labels.values):,} of "
    yield f"# ftkit run {out.name}"
    yield "#"
    yield f"# Written by `ftkit new recipe` after a look at {part}{table.rows:,} rows of {table.path.name}:"
    yield (
        f"# {len(labels.counts):,} labels, from {least[1]:,} rows ({_short(least[0])}) to {most[1]:,} ({_short(most[0])}); "
        f"half of the texts have at most {half:,} words, 95 % at most {most_words:,}."
    )
    yield f"# Everything is a proposal. `ftkit plan {out.name}` says what a run would do and how long it would take;"
    yield "# `ftkit options NAME` lists all options of what is named by `use`, and of search and rollout."
    yield ""
    yield _line("name", proposal.name)
    yield _line("seed", 7, "the same seed gives the same splits")
    yield ""


def _data(proposal: Proposal, out: Path) -> Iterator[str]:
    texts: Any = proposal.texts[0] if len(proposal.texts) == 1 else [*proposal.texts]
    yield "[dataset]"
    yield _line("use", proposal.dataset)
    yield _line("path", _path(proposal.table.path, out), "80 % of the rows are for training, 10 % for validation")
    yield _line("text", texts, "several columns are joined" if len(proposal.texts) > 1 else "")
    yield _line("label", proposal.label)
    if proposal.task == "multi-label":
        yield _line("task", proposal.task, "a text has any number of labels")
    if proposal.task == "ordinal":
        yield _line("task", proposal.task, "the labels are numbers in an order; else: single-label")
    yield ""


def _training(proposal: Proposal) -> Iterator[str]:
    yield "[backbone]"
    yield _line("use", proposal.backbone, f"{proposal.because}; `ftkit zoo` lists others")
    if proposal.max_length is not None:
        yield _line("max_length", proposal.max_length, "tokens that are read of a text: fewer are faster")
    yield ""
    yield "[search]"
    yield _line("metric", proposal.metric)
    if proposal.backbone in SPACES:
        yield _line("trials", 3)
        yield f"space.{SPACES[proposal.backbone]}"
    else:
        yield _line("trials", 1, "more, with a `space` of values to try, find better ones")
    yield ""


def _release(proposal: Proposal) -> Iterator[str]:
    installed = plugins.load()
    registry = "mlflow" in installed.names("registries") and proposal.deploy != "none"
    yield "[[promote]]"
    yield _line("use", "metric-floor")
    baseline = f"half of the way from always answering {_short(next(iter(proposal.labels.counts)))!r}"
    yield _line("floor", proposal.floor, f"{baseline}, {proposal.baseline:.2f}, to 1: set what you need")
    yield ""
    yield "[[promote]]"
    yield _line("use", "beats-majority")
    if "beats-baseline" in installed.names("promotion_tests") and proposal.backbone != "linear":
        yield ""
        yield "[[promote]]"
        yield _line("use", "beats-baseline", "is it better than a linear model, which is smaller and faster?")
        yield _line("required", False, "the verdict says how much, and lets the model pass")
    if registry:
        yield ""
        yield "[[promote]]"
        yield _line("use", "beats-champion", "from the second run on")
        yield ""
        yield "[registry]"
        yield _line("use", "mlflow")
        yield _line("model", proposal.name.replace("-", "_"))
    yield ""
    if proposal.deploy == "none":
        yield "# [deploy]                         # `ftkit plugins` lists deployment targets"
        return
    yield "[deploy]"
    yield _line("use", proposal.deploy)
    yield _line("endpoint", proposal.name)


def _line(key: str, value: Any, comment: str = "") -> str:
    """A line of TOML, with a comment beside it."""
    import tomli_w

    line = tomli_w.dumps({key: value}).strip()
    if "\n" in line:  # a list
        line = f"{key} = [{', '.join(tomli_w.dumps({'x': each}).strip()[4:] for each in value)}]"
    return f"{line:<{COLUMN - 1}} # {comment}" if comment else line


def _path(path: Path, out: Path) -> str:
    """A path as the recipe says it: relative where the file is in the recipe's folder or below."""
    folder, file = out.absolute().parent.resolve(), path.absolute().resolve()
    return os.fspath(file.relative_to(folder)) if file.is_relative_to(folder) else os.fspath(file)


def _short(name: str) -> str:
    return formatting.beginning(formatting.printable(name), 40)
