"""A run's folder: journal, recipe, rows and predictions; each fact is as it was written, or it is left out and counted."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from random import Random

from benchmarks.fuzzing import cli_runs
from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import another_value, damaged, one_byte_changed, written

RUN = "toy-1"
FILES = (
    "recipe.toml",
    "data/report.json",
    "data/train.arrow",
    "data/valid.arrow",
    "data/test.arrow",
    "tested/candidate.npy",
    ".pid",
    "trials/000/valid.npy",
)
COMMANDS = (
    ("runs",),
    ("runs", RUN),
    ("runs", "--json"),
    ("runs", RUN, "--json"),
    ("report", RUN),
    ("compare", RUN, "toy-2"),
    ("compare", "toy-2", RUN, "--json"),
    ("predict", RUN, "broke"),
    ("promote", RUN, "--override", "why"),
    ("export", RUN, "--out", "exported"),
)


class Cases:
    """Two finished runs of toys in a home of their own; the first one is damaged."""

    def __init__(self, folder: Path) -> None:
        import ftkit
        from ftkit.testing import toys
        from tests import recipes

        self._stack = ExitStack()
        self._home, self._kept = Path(os.environ["FTKIT_HOME"]), folder / "kept"
        quiet = {"registry.use": "none", "deploy.use": "none", "search.trials": 2, "search.confirm": False}
        text = recipes.JUDGED.replace("beats-champion", "beats-majority")
        with recipes.written(folder, toys.RECIPE + text) as recipe:
            for name in (RUN, "toy-2"):
                ftkit.run(recipe, quiet, emit=lambda event: None).folder.rename(self._home / "runs" / name)
        shutil.copytree(self._home / "runs" / RUN, self._kept)
        self._stack.enter_context(toys.install(folder / "plugins"))
        self._lines = (self._kept / "journal.jsonl").read_bytes().splitlines(keepends=True)

    def close(self) -> None:
        """Take the toys away."""
        self._stack.close()

    def case(self, random: Random) -> Case:
        """A journal or another file with damages, and a command."""
        command = random.choice(COMMANDS)
        if random.random() < 0.75:
            name, content = "journal.jsonl", self._journal(random)
        else:
            name = random.choice([each for each in FILES if (self._kept / each).is_file()])
            content = damaged(random, (self._kept / name).read_bytes())
            if name.endswith(".json") and random.random() < 0.5:
                content = written(another_value(random, json.loads((self._kept / name).read_text())), 2)

        def read() -> Outcome:
            folder = self._home / "runs" / RUN
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree("exported", ignore_errors=True)
            shutil.copytree(self._kept, folder)
            (folder / name).write_bytes(content)
            if name == "journal.jsonl":
                self._check(folder)
            return cli_runs.run(*command)

        return Case(f"{' '.join(command)}; {name}: {content[:3000]!r}", read)

    def _check(self, folder: Path) -> None:
        """Raises: Silent for a fact that nobody wrote."""
        from ftkit.runs.ledger import Ledger

        true = Ledger(self._kept)
        ledger = Ledger(folder)
        for entry in ledger.entries:
            if not any(each.items() <= entry.items() for each in true.entries):
                raise Silent(f"a fact that nobody wrote: {entry.get('fact')!r:.40}\n{entry}")
        ledger.trials()

    def _journal(self, random: Random) -> bytes:
        lines = [*self._lines]
        place = random.randrange(len(lines))
        match random.randrange(6):
            case 0:
                return one_byte_changed(random, b"".join(lines))
            case 1:
                return damaged(random, b"".join(lines))
            case 2:
                del lines[place]
            case 3:
                lines.insert(random.randrange(len(lines)), lines[place])
            case 4:
                other = random.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
            case _:
                lines[place] = written(another_value(random, json.loads(lines[place]))) + b"\n"
        return b"".join(lines)
