"""Commands of ftkit in this process, as a person gives them."""

from __future__ import annotations

import contextlib
import io
import os

from benchmarks.fuzzing.families import Outcome
from ftkit.errors import ExitCode


class UnexpectedError(AssertionError):
    """A command ended in an error that nobody expected, or by an exit code that does not exist."""


def run(*arguments: str) -> Outcome:
    """Give a command. Raises: UnexpectedError; with FTKIT_DEBUG, which is set here, ftkit shows where it came from."""
    from ftkit import cli

    os.environ["FTKIT_DEBUG"] = "1"
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = cli.main(arguments)
    for stream in (errors, output):
        stream.seek(0)
    shown = errors.read() + output.read()
    if code not in {*ExitCode} or "an unexpected error" in shown or "Traceback (most recent" in shown:
        raise UnexpectedError(f"ftkit {' '.join(arguments)[:300]}: exit code {code}\n{shown[-3000:]}")
    return "accepted" if code == 0 else "refused"
