"""Calls of a component's verbs, so that whatever a plugin raises, or returns wrongly, becomes an error that names the plugin.

    data = call(Dataset.load, plan.dataset, plan.seed, emit)
    needed = call(Requiring.requires, plan.backbone)

The first argument is the verb or attribute as its protocol declares it, which says what it gives: an attribute may be a property, which
is code of the plugin as well. Errors of ftkit and Ctrl-C pass unchanged.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar, cast, get_origin, get_type_hints

from ftkit import files, plugins
from ftkit.contracts import StopTrial
from ftkit.errors import FtkitError, HopelessError, VerbError, in_one_line
from ftkit.options.description import cached
from ftkit.plugins.offers import KINDS, SECTIONS
from ftkit.plugins.returned import mismatch
from ftkit.plugins.titles import title

C = TypeVar("C")
P = ParamSpec("P")
T = TypeVar("T")

FOLDER = "failures"
"""The folder below FTKIT_HOME that holds the tracebacks of unexpected errors."""

LONGEST = 100_000
"""Characters of a traceback that are kept: its end, which has the reason."""


def call(verb: Callable[Concatenate[C, P], T], component: C, /, *arguments: P.args, **named: P.kwargs) -> T:
    """Call a verb of a component, or read an attribute, and check what it gives.

    Raises: FtkitError, as the component raised it; VerbError for anything else. Of `fit` and `resume`, StopTrial and HopelessError as well, which
    the report callback raises.
    """
    is_attribute = isinstance(verb, property)
    declared: Callable[..., Any] = verb.fget if is_attribute else verb  # type: ignore[attr-defined]  # mypy sees its getter
    with _named_in_errors(declared, component):
        given = getattr(component, declared.__name__)
        returned: T = given if is_attribute else given(*arguments, **named)
    try:
        problem = mismatch(returned, _return_type(declared), type(component))
    except Exception as error:  # of a value that raises when it is looked at
        problem = f"a value that cannot be read: {in_one_line(error)}"
    if problem:
        raise _failure(declared, component, f"{'is' if is_attribute else 'returned'} {problem}")
    if get_origin(_return_type(declared)) is Iterator:
        return cast("T", _watched(declared, component, cast("Iterator[Any]", returned)))
    return returned


def _watched(verb: Callable[..., Any], component: Any, items: Iterator[Any]) -> Iterator[Any]:
    """The items of an iterator, which may raise at each of them."""
    with _named_in_errors(verb, component):
        yield from items


@contextmanager
def _named_in_errors(verb: Callable[..., Any], component: Any) -> Iterator[None]:
    passing = (
        FtkitError,
        KeyboardInterrupt,
        *((StopTrial, HopelessError) if verb.__name__ in ("fit", "resume") else ()),
    )
    try:
        yield
    except (*passing, GeneratorExit):
        raise
    except BaseException as error:  # also SystemExit: no plugin ends the command
        raise _failure(verb, component, f"failed: {in_one_line(error)}", keep(error)) from error


def keep(error: BaseException) -> str:
    """Write the traceback of an unexpected error, without secrets, into a file; returns a sentence that says where it is."""
    text = traceback_of(error)
    name = f"{datetime.now(UTC):%Y%m%d}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}.txt"
    path = files.home() / FOLDER / name  # the same failure again gives the same file
    try:
        files.write_text(path, text.encode(errors="replace").decode())
    except OSError:
        return "The details could not be written to a file"
    return f"The details are in {path}"


def traceback_of(error: BaseException) -> str:
    """The traceback of an error without secrets."""
    from ftkit.redaction import redacted

    return redacted("".join(traceback.format_exception(error))[-LONGEST:]).rstrip()


def _failure(verb: Callable[..., Any], component: Any, what: str, details: str = "") -> VerbError:
    kind = component if isinstance(component, type) else type(component)
    installed = plugins.load()
    offered = [each.kind for each in installed.offers if each.component is kind]
    protocol = verb.__qualname__.partition(".")[0]
    kinds = offered or [kind for kind, each in KINDS.items() if each.__name__ == protocol]
    component_title = (
        title(kinds[0], kind) if kinds else f"the {protocol.lower()} {kind.__name__} of {installed.owner(kind)}"
    )
    section = next((f"[{name}] of the recipe" for name, of_kind in SECTIONS.items() if of_kind in offered), "")
    hint = f"This is a fault of the plugin, for its author to repair. {details}".strip()
    return VerbError(f"{verb.__name__} of {component_title} {what}", section, hint)


@cached
def _return_type(verb: Callable[..., Any]) -> Any:
    return get_type_hints(verb).get("return", Any)
