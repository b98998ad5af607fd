"""All errors of ftkit as one tree, and the exit codes of the command line.

FtkitError                    what went wrong, where, and how to fix it
├── RecipeError               every mistake of one recipe at once; exit 2
├── UsageError                a command or call that cannot be carried out as given; exit 2
├── PluginError               a plugin is missing, broken, or clashes with another; exit 3
│   └── VerbError             a component raised something unexpected, or returned something else than its protocol says
└── StageError                a stage of a run failed; exit 4
    ├── DataError             rows that cannot be read or split
    ├── CheckpointError       pretrained weights or a tokenizer that cannot be loaded
    ├── SearchError           no trial finished
    ├── BundleError           a bundle that is damaged, incomplete or cannot be written
    ├── LedgerError           a run's folder that cannot be used
    ├── RegistryError         the model registry refused or is out of reach
    └── DeployError           a deployment that did not become healthy, or an endpoint that is out of reach
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.disclosure import without_secrets


class ExitCode(enum.IntEnum):
    """What `ftkit` returns to the shell."""

    OK = 0
    RECIPE = 2
    PLUGIN = 3
    STAGE = 4
    NOT_PROMOTED = 5
    INTERRUPTED = 130
    TERMINATED = 143


class FtkitError(Exception):
    """An error that a user can act on: what happened, where, and how to fix it; secrets in the texts are hidden."""

    exit_code = ExitCode.STAGE

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        from ftkit.redaction import redacted  # here, so that commands without an error do not pay for it

        self.what = shortened(redacted(what))
        self.where = redacted(where)
        self.hint = shortened(redacted(hint))
        super().__init__(self.what, self.where, self.hint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the attributes, whatever a subclass takes: errors come out of other processes."""
        return _unpickled, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


_ENDLESS = re.compile(r"(\S{100})\S{200,}")
_LONGEST = 4000
"""Characters of a part of an error: what somebody wrote may be a text of any length, in messages too."""


def shortened(text: str) -> str:
    """A part of an error without words of hundreds of characters, and cut where it is endless."""
    text = _ENDLESS.sub(r"\1…", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@dataclass(frozen=True)
class Problem:
    """One mistake of a recipe: the place as FILE:LINE, the dotted key, what is wrong and how to fix it."""

    where: str
    key: str
    what: str
    hint: str = ""
    plugin: bool = False
    """Whether the recipe is right, but a plugin that it needs does not work."""

    def __post_init__(self) -> None:
        for name in ("key", "what", "hint"):
            object.__setattr__(self, name, shortened(getattr(self, name)))

    def __str__(self) -> str:
        advice = f"\n  {self.hint}" if self.hint else ""
        return f"{self.where}: {self.key}: {self.what}{advice}" if self.key else f"{self.where}: {self.what}{advice}"


class RecipeError(FtkitError):
    """A recipe that cannot be run; holds every mistake, in the order of the file.

    The exit code is that of a plugin if nothing is wrong but plugins that the recipe needs.
    """

    exit_code = ExitCode.RECIPE

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = without_secrets(tuple(problems))
        mistakes = sum(not problem.plugin for problem in self.problems)
        what = f"{mistakes} mistake{'s' * (mistakes != 1)} in the recipe"
        if self.problems and not mistakes:
            self.exit_code = ExitCode.PLUGIN
            what = "the recipe needs a plugin that does not work"
        super().__init__(what)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class UsageError(FtkitError):
    """A command or call that cannot be carried out as given."""

    exit_code = ExitCode.RECIPE


class PluginError(FtkitError):
    """A plugin is missing, does not import, or clashes with another."""

    exit_code = ExitCode.PLUGIN


class VerbError(PluginError):
    """A component raised something unexpected, or returned something else than its protocol says; raised by `ftkit.calls`."""


class StageError(FtkitError):
    """A stage of a run failed."""


class DataError(StageError):
    """Rows that cannot be read, or cannot be split into train, valid and test."""


class CheckpointError(StageError):
    """Pretrained weights or a tokenizer cannot be loaded or do not fit together."""


class SearchError(StageError):
    """The search ended without a usable trial."""


class BundleError(StageError):
    """A bundle is damaged, incomplete or cannot be written."""


class LedgerError(StageError):
    """A run's folder cannot be read, written or locked."""


class RegistryError(StageError):
    """The model registry refused, or cannot be reached."""


class DeployError(StageError):
    """A deployment did not become healthy, or an endpoint cannot be reached."""


class FtkitDeprecation(DeprecationWarning):
    """The warning for what a later ftkit will no longer have: it says since when, until when, and what to write instead."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: what was begun is undone or kept as at Ctrl-C, and the exit code is 143."""


class HopelessError(Exception):
    """A failure of a trial that would occur again in a second attempt with the same values."""


def message_of(error: BaseException) -> str:
    """The message of any exception, or the name of its type if it has none or its `__str__` raises."""
    try:
        return str(error) or type(error).__name__
    except (Exception, SystemExit):
        return type(error).__name__


def in_one_line(error: BaseException, width: int = 300) -> str:
    """Type and message of any exception in one line, cut and without secrets."""
    message = message_of(error)
    message = " ".join(without_secrets(message[: 40 * width]).split())  # redacted before it is cut to what is shown
    shown = message if len(message) <= width else message[: width - 1] + "…"
    return shown if shown == type(error).__name__ else f"{type(error).__name__}: {shown}"


def _unpickled(kind: type[FtkitError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> FtkitError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error
