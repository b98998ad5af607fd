"""Small files that ftkit keeps for itself, examples, and tables and models as commands get them: an error in words, or what was written."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing import cli_runs
from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import ODD_TEXTS, another_value, damaged, one_byte_changed, written
from benchmarks.fuzzing.served import Served

TABLE = "id,text\n" + "".join(f"{number},sturdy broke {number}\n" for number in range(30))


class Cases:
    """One valid file of each kind, and what reads it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._served = Served(folder)
        self._home = Path(os.environ["FTKIT_HOME"])
        self._kinds: Mapping[str, Callable[[Random], Case]] = {
            "endpoints": self._known_endpoints,
            "endpoint": self._endpoint,
            "key": self._key,
            "engines": self._engines,
            "scored": self._scored,
            "events": self._events,
            "examples": self._examples,
            "trial": self._trial,
            "texts": self._texts,
            "commands": self._commands,
            "seal": self._seal,
            "workspace": self._workspace,
        }

    def close(self) -> None:
        """Take the toys away."""
        self._served.close()

    def case(self, random: Random) -> Case:
        """A damaged file of one kind."""
        name = random.choice([*self._kinds])
        case = self._kinds[name](random)
        return Case(f"{name}: {case.what}", case.read)

    def _known_endpoints(self, random: Random) -> Case:
        from ftkit_local.deployer import LocalDeployer

        from ftkit import options
        from ftkit.stages import known_endpoints

        deployer = LocalDeployer(endpoint="news", port=4321)
        content = _changed(random, {"news": {"use": "local", **options.to_table(deployer)}})

        def read() -> Outcome:
            self._home.mkdir(exist_ok=True)
            (self._home / "endpoints.json").write_bytes(content)
            for each in known_endpoints.known().values():
                str(each)
            return cli_runs.run("endpoint", "status")

        return Case(f"{content!r}", read)

    def _endpoint(self, random: Random) -> Case:
        from ftkit_local.endpoint.folder import Entry, Folder, State

        state = State("127.0.0.1", 1, "none", (Entry("v1", 100, "ab" * 32),))
        content = _changed(random, {"format": 1, **dataclasses.asdict(state)})
        folder = Folder(self._home / "endpoints" / "news")

        def read() -> Outcome:
            folder.make()
            folder.state.write_bytes(content)
            found = folder.read()
            assert found is not None
            for entry in found.deployments:
                str(folder.bundle(entry.name))
                found.named(entry.name)
            json.dumps(dataclasses.asdict(found))
            return "accepted"

        return Case(f"{content!r}", read)

    def _key(self, random: Random) -> Case:
        from ftkit.serving import endpoint_files

        content = damaged(random, b"abcdefghijklmnopqrstuvwxyz0123456789\n")
        path = self._folder / "key"

        def read() -> Outcome:
            path.write_bytes(content)
            key = endpoint_files.read_key(path)
            if key.strip() != key or not key.isascii():
                raise Silent(f"a key that no header can hold\n{key!r}")
            return "accepted"

        return Case(f"{content!r}", read)

    def _engines(self, random: Random) -> Case:
        from ftkit.serving import engine_choice

        timing = {"short": 1.0, "long": 2.0, "many": 3.0, "work": 1.0}
        content = _changed(random, {"engine": "half", "timings": {"half": timing, "native": timing}})
        path = self._folder / "engines.json"

        def read() -> Outcome:
            path.write_bytes(content)
            cached = engine_choice._cached(path, ("native", "half"))
            if cached is None:
                return "refused"
            for each in cached[1].values():
                str(each)
                float(each.cost)
            return "accepted"

        return Case(f"{content!r}", read)

    def _scored(self, random: Random) -> Case:
        """A table that is scored anew or goes on, with the table, its parts or what was noted of them damaged."""
        bundle = str(self._served.bundles["texts"].folder)
        source, out = self._folder / "rows.csv", self._folder / "out.csv"
        table = damaged(random, TABLE.encode()) if random.random() < 0.5 else TABLE.encode()
        about = _changed(random, {"facts": {}, "engine": "native", "parts": ["000000000000"], "tally": {"rows": 3}})

        def read() -> Outcome:
            source.write_bytes(table)
            out.unlink(missing_ok=True)
            unfinished = out.with_name(f".{out.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            (unfinished / "about.json").write_bytes(about)
            return cli_runs.run("predict", bundle, "--in", str(source), "--out", str(out), "--engine", "native")

        return Case(f"{table!r} {about!r}", read)

    def _events(self, random: Random) -> Case:
        from ftkit.contracts import Trial, events
        from ftkit.remote import event_log

        trial = Trial(3, {"learning_rate": 3e-5}, 7, "finished", history=({"epoch": 1, "accuracy": 0.5},))
        event = random.choice(
            (
                events.TrialFinished(trial),
                events.Noticed("text", warning=True),
                events.TrafficMoved("news", {"v1": 100}),
                events.TrialReported(3, {"epoch": 1, "accuracy": 0.5}),
            )
        )
        line = _changed(random, json.loads(event_log._line(event)), bytes_too=True).decode("utf-8", "replace")

        def read() -> Outcome:
            found = event_log.parse(line)
            return "refused" if found is None else "accepted"

        return Case(line, read)

    def _examples(self, random: Random) -> Case:
        from ftkit_strict import examples

        rows = [{"text": "broke, it did", "label": "bad"}, {"text": "bright", "label": "good"}]
        if random.random() < 0.5:
            name, content = "examples.csv", damaged(random, b'text,label\n"broke, it did",bad\nbright,good\n')
        else:
            name, content = "examples.jsonl", b"\n".join(_changed(random, row) for row in rows)
        path = self._folder / name

        def read() -> Outcome:
            path.write_bytes(content)
            for example in examples.read(path, ("text",), "label"):
                if not isinstance(example.text, str) or not isinstance(example.label, str):
                    raise Silent(f"an example that is no text\n{example}")
            return "accepted"

        return Case(f"{content!r}", read)

    def _trial(self, random: Random) -> Case:
        from ftkit.contracts import Trial
        from ftkit.remote import trial_step

        trial = Trial(3, {"learning_rate": 3e-5}, 7, "finished", history=({"epoch": 1, "accuracy": 0.5},))
        content = _changed(random, {"trial": dataclasses.asdict(trial), "data": "f" * 64})

        def read() -> Outcome:
            (self._folder / trial_step.TRIAL).write_bytes(content)
            found = trial_step.read_trial(self._folder)
            return "refused" if found is None else "accepted"

        return Case(f"{content!r}", read)

    def _texts(self, random: Random) -> Case:
        """Texts without labels, as a teacher answers them: lines of a file, or a column of a table."""
        name = random.choice(("texts.txt", "texts.csv", "texts.jsonl", "texts.parquet", "texts.csv.gz"))
        rows = b'{"text": "a"}\n' * 20 if "jsonl" in name else TABLE.encode()
        content = damaged(random, rows)

        def read() -> Outcome:
            from ftkit.commands import texts_to_classify

            path = self._folder / name
            path.write_bytes(content)
            model = self._served.bundles[random.choice(("texts", "pairs"))]
            columns = random.choice(((), ("text",), ("id", "text"), ("\0",)))
            for each in texts_to_classify.given((), path, columns, model):
                each.row_of(model.fields)
            return "accepted"

        return Case(f"{name} {content!r}", read)

    def _commands(self, random: Random) -> Case:
        """Commands with odd arguments."""
        bundle = str(self._served.bundles["texts"].folder)
        odd = random.choice(ODD_TEXTS).encode("utf-8", "replace").decode()
        command = random.choice(
            (
                ("predict", odd, "text"),
                ("predict", bundle, odd),
                ("predict", bundle, "--file", odd),
                ("predict", bundle, "--in", odd, "--out", odd),
                ("runs", odd),
                ("report", odd),
                ("compare", odd, odd),
                ("check", odd),
                ("check", "quickstart", "--set", odd),
                ("check", "quickstart", "--set", f"dataset.{odd}={odd}"),
                ("check", "quickstart", "--on", odd),
                ("check", "quickstart", "--deploy", odd),
                ("options", odd),
                ("export", odd, "--out", odd),
                ("promote", odd, "--override", odd),
                ("endpoint", "status", odd),
                ("endpoint", "rollback", odd),
                ("models", odd),
                (odd,),
                ("--" + odd,),
            )
        )

        def read() -> Outcome:
            if "\0" in "".join(command):
                return "refused"  # no shell can give it
            return cli_runs.run(*command)

        return Case(repr(command)[:1500], read)

    def _seal(self, random: Random) -> Case:
        """The sealed test rows of a run."""
        from ftkit.runs import stored_data
        from ftkit.testing.toys import ToyReviews

        run = self._folder / "run"
        if not run.exists():
            run.mkdir()
            stored_data.write(run, ToyReviews(rows=60).load(3, lambda _: None))
            shutil.copytree(self._home / "keys", self._folder / "keys")
            shutil.copytree(run / "data", self._folder / "sealed")
        name = random.choice(sorted(path.name for path in (self._folder / "sealed").iterdir()))
        change = random.choice((one_byte_changed, damaged))
        content = change(random, (self._folder / "sealed" / name).read_bytes())

        def read() -> Outcome:
            shutil.rmtree(run / "data", ignore_errors=True)
            shutil.copytree(self._folder / "sealed", run / "data")
            shutil.copytree(self._folder / "keys", self._home / "keys", dirs_exist_ok=True)
            (run / "data" / name).write_bytes(content)
            data = stored_data.read(run)
            true = ToyReviews(rows=60).load(3, lambda _: None)
            if (data.classes, data.task, data.fields) != (true.classes, true.task, true.fields):
                raise Silent(f"other classes or another task\n{data.classes} {data.task} {data.fields}")
            for split in ("train", "valid", "test"):
                if list(getattr(data, split).texts) != list(getattr(true, split).texts):
                    raise Silent(f"other texts, {name}")
                if list(getattr(data, split).labels) != list(getattr(true, split).labels):
                    raise Silent(f"other labels, {name}")
            return "accepted"

        return Case(f"{name} {content[:1500]!r}", read)

    def _workspace(self, random: Random) -> Case:
        from ftkit_azure import workspace

        table = {"subscription_id": "a", "resource_group": "b", "workspace_name": "c"}
        content = _changed(random, table)

        def read() -> Outcome:
            (self._folder / "config.json").write_bytes(content)
            str(workspace._read(self._folder / "config.json"))
            return "accepted"

        return Case(f"{content!r}", read)


def _changed(random: Random, value: Any, *, bytes_too: bool = True) -> bytes:
    """A value as JSON with changes in its structure or its bytes."""
    if bytes_too and random.random() < 0.4:
        return damaged(random, json.dumps(value).encode())
    return written(another_value(random, value), random.choice((None, 2)))
