"""The process that reads cases: `python -m benchmarks.fuzzing.worker OPTIONS`, with the options as JSON.

It writes a line of JSON for each case that is a finding and one for each family that is done. The number of the case in progress
is in a file of its own: a process that dies or hangs leaves it there, with the stack of every thread in its standard error.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing import families
from benchmarks.fuzzing.families import Case, Silent
from ftkit.errors import FtkitError, RecipeError
from ftkit.options.conversion import Mistakes

MEMORY = 8 * 2**30
"""Bytes of address space that a worker may have."""
WAITING = 20
"""How many times the seconds of the processor a case may last: other processes may have the processor."""
LONGEST_MESSAGE = 20_000
"""Characters of an error's text, or of one of several mistakes: a longer one quotes what it should name."""


def main(options: dict[str, Any]) -> None:
    """Read the cases of each family, from the first that is not done."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory(prefix="ftkit-fuzz-") as folder, Path(options["results"]).open("a") as results:
        os.environ["FTKIT_HOME"], os.environ["FTKIT_CACHE"] = f"{folder}/home", f"{folder}/cache"
        os.chdir(folder)
        for name, first in options["families"]:
            place = Path(folder) / name
            place.mkdir()
            counts = {"accepted": 0, "refused": 0}
            begun = time.monotonic()
            family = families.made(name, place)
            read(family.case(Random(0)), {"accepted": 0, "refused": 0})  # imports take their time once
            prepared = time.monotonic()
            number = first
            try:
                for number in range(first, options["cases"]):
                    if time.monotonic() - prepared > options["seconds"]:
                        break
                    Path(options["progress"]).write_text(f"{name} {number}")
                    case = family.case(Random(f"{options['seed']} {name} {number}"))
                    with limited(options["deadline"]):
                        finding = read(case, counts)
                    if finding:
                        print(
                            json.dumps({"family": name, "case": number, "what": case.what[:500], **finding}),
                            file=results,
                        )
                        results.flush()
                else:
                    number = options["cases"]
            finally:
                family.close()
            seconds = time.monotonic() - begun
            print(json.dumps({"done": name, "until": number, "seconds": seconds, **counts}), file=results, flush=True)


def watch() -> None:
    """Have the stack of every thread written when the process dies, or `limited` ends it."""
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End the process, with the stack of every thread, when the block takes so many seconds of the processor, or `WAITING` times as many."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(WAITING * seconds, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_PROF, 0)


def read(case: Case, counts: dict[str, int]) -> dict[str, str] | None:
    """Read a case and count how it ended; returns what is wrong."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            counts[case.read()] += 1
    except Mistakes:  # the reader of a recipe says them with their place
        counts["refused"] += 1
    except FtkitError as error:
        counts["refused"] += 1
        shown = str(error)
        parts = error.problems if isinstance(error, RecipeError) else (shown,)
        if max(len(str(part)) for part in parts) > LONGEST_MESSAGE:
            return {"kind": "endless message", "place": place_of(error), "error": shown[:300]}
        if "Traceback" in shown:
            return {"kind": "traceback in a message", "place": place_of(error), "error": shown[:2000]}
    except Silent as error:
        counts["accepted"] += 1
        return {"kind": "accepted silently", "place": str(error).partition("\n")[0], "error": str(error)[:2000]}
    except BaseException as error:  # whatever comes out
        lines = "".join(traceback.format_exception(error))
        return {"kind": type(error).__name__, "place": place_of(error), "error": lines[-3000:]}
    return None


def place_of(error: BaseException) -> str:
    """The innermost place in ftkit or a plugin: findings at one place are one finding."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/ftkit" in frame.filename and "/benchmarks/" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{frame.filename.rpartition('/ftkit')[2] or frame.filename}:{frame.lineno}"


if __name__ == "__main__":
    watch()
    main(json.loads(sys.argv[1]))
