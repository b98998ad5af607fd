"""The kinds of plugins that can be begun: one for each hook, and engines, which are a part of backbones."""

from __future__ import annotations

import difflib
from pathlib import Path
from types import FunctionType

from ftkit import hookspecs
from ftkit.errors import UsageError
from ftkit.plugins import kind_noun

ENGINES = "engines"
"""The templates of the kind that has no hook of its own."""

_OTHER_NAMES = {"on_event": "observer"}


def hooks() -> list[str]:
    """The names of all hooks."""
    return [name for name, value in vars(hookspecs).items() if isinstance(value, FunctionType)]


def kinds() -> dict[str, str]:
    """Each kind as people write it, with the name of its templates, which is that of its hook."""
    nouns = {_OTHER_NAMES.get(hook, kind_noun(hook)).replace(" ", "-"): hook for hook in hooks()}
    return nouns | {kind_noun(ENGINES): ENGINES}


def templates_of(kind: str) -> Path:
    """The folder of a kind's templates. Raises: UsageError for a kind that there is not."""
    known = kinds()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"The kinds are: {', '.join(known)}."
        raise UsageError(f"there is no kind of plugin {kind!r}", hint=hint)
    return templates() / known[kind]


def templates() -> Path:
    """The folder of all templates: plugins to be copied, which nothing here imports."""
    return Path(__file__).parent / "templates"
