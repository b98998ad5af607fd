"""Recipes: lines and bytes of valid ones damaged, and overrides; what is accepted is in the plan as it was written."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing import cli_runs
from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import ODD_TEXTS, damaged

FULL = """\
name = "full"
seed = 3

[dataset]
use = "table"
path = "rows.csv"
text = ["premise", "hypothesis"]
join = "pair"
labels = { "0" = "no", "1" = "yes" }
shares = [0.8, 0.1, 0.1]
columns = ["stars"]
near_copies = "together"
max_damaged = 0.02

[backbone]
use = "minilm"
epochs = 2
learning_rate = 3e-5
engines = ["onnx"]
long_texts = "windows"

[search]
metric = "macro_f1"
trials = 8
sampler = "random"
confirm = { top = 3, seeds = 2 }
policy = { use = "bandit", slack_factor = 0.1 }
space.learning_rate = { low = 1e-5, high = 1e-3, log = true }
space.batch_size = [8, 16]
max_minutes = 120.0
checkpoint = "10m"

[decision]
thresholds = "tuned"

[[promote]]
use = "metric-floor"
metric = "macro_f1"
floor = 0.7

[[promote]]
use = "no-worse-than-champion"

[registry]
use = "mlflow"
model = "full"

[deploy]
use = "local"
endpoint = "full"
port = 0
max_rows = 100

[rollout]
canary = [10, 50]
bake = 60
keep = "1h"

[[rollout.alarm]]
url = "http://127.0.0.1:1/"

[run]
on = "local"
"""
TOML_VALUES = (
    "1",
    "-1",
    "0",
    "1e400",
    "-0.0",
    "nan",
    "inf",
    "9" * 25,
    "9" * 5000,
    "1_000",
    "0x10",
    "true",
    '""',
    '"a"',
    '"\\u0000"',
    '"\\ud800"',
    "'''\na\n'''",
    "[]",
    "{}",
    "[1, 'a', []]",
    "[[1]]",
    "{ a = 1, b = { c = 2 } }",
    '{ "" = 1 }',
    "{ use = 'x' }",
    "[" * 40 + "]" * 40,
    "[" * 3000 + "]" * 3000,
    "{a=" * 40 + "1" + "}" * 40,
    "2026-11-29T07:00:00Z",
    "2026-11-29",
    "07:00:00",
    '"2h"',
    '"-1s"',
    '"1e999h"',
    '"9999999999999d"',
    '"none"',
    '"auto"',
    f'"{"x" * 5000}"',
    '"../../x"',
    '"a\\nb"',
    '"$HOME"',
    '"*"',
    '"["',
)
KEYS = (
    "seed",
    "name",
    "dataset.path",
    "dataset.use",
    "backbone.use",
    "backbone.learning_rate",
    "backbone.epochs",
    "backbone.x",
    "search.trials",
    "search.space.learning_rate",
    "search.space",
    "search.confirm.top",
    "search.policy.use",
    "promote.0.floor",
    "promote.1",
    "promote.²",
    "promote.².x",
    "promote.-1.use",
    "promote.999999.use",
    "promote",
    "deploy.port",
    "rollout.canary.0",
    "rollout.alarm.0.url",
    "run.on",
    "run",
    "decision.abstain",
    "a..b",
    ".",
    "",
    "." * 100,
    "x." * 40 + "y",
    "search.space.learning_rate.0",
    "dataset.labels.0",
    'dataset.labels."0"',
)


class Cases:
    """Recipes that come with ftkit, and one with all sections."""

    def __init__(self, folder: Path) -> None:
        from ftkit.recipe import loader

        (folder / "rows.csv").write_text("premise,hypothesis,label,stars\na,b,0,1\n")
        self._folder = folder
        self._texts = [path.read_text(encoding="utf-8") for path in loader.bundled().values()] + [FULL] * 4

    def close(self) -> None:
        """Nothing was started."""

    def case(self, random: Random) -> Case:
        """A recipe with damage, overrides or both."""
        text = random.choice(self._texts)
        overrides = [_override(random) for _ in range(random.choice((0, 0, 0, 1, 1, 2, 4)))]
        if not overrides or random.random() < 0.4:
            content = damaged(random, text.encode()) if random.random() < 0.3 else _lines(random, text).encode()
        else:
            content = text.encode()
        path = self._folder / "recipe.toml"

        def read() -> Outcome:
            from ftkit.recipe import loader

            path.write_bytes(content)
            if len(content) % 10 == 0:
                sets = [part for each in overrides for part in ("--set", each)]
                return cli_runs.run("check", str(path), *sets)
            plan = loader.load(path, overrides)
            again = loader.loads(plan.text)
            if again.text != plan.text:
                raise Silent(f"the resolved recipe is read otherwise than it was written\n{plan.text}\n{again.text}")
            if not overrides:
                lines = content.decode().replace("\r\n", "\n").replace("\r", "\n")  # as text files are read
                written, resolved = tomllib.loads(lines), tomllib.loads(plan.text)
                if lost := [*_lost(written, resolved)]:
                    raise Silent(f"not in the plan as it was written\n{lost[:3]}")
            return "accepted"

        return Case(f"{overrides} {content[:3000]!r}", read)


def _override(random: Random) -> str:
    value = random.choice((*TOML_VALUES, *(each.encode("utf-8", "replace").decode() for each in ODD_TEXTS)))
    return random.choice((f"{random.choice(KEYS)}={value}", f"{random.choice(KEYS)}={value}", value, f"={value}"))


def _lines(random: Random, text: str) -> str:
    """A recipe of which some lines have another value, another key, another place, or are there twice."""
    lines = text.splitlines()
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(lines))
        key, equals, value = lines[place].partition(" = ")
        match random.randrange(7):
            case 0 | 1 | 2 if equals:
                lines[place] = f"{key} = {random.choice(TOML_VALUES)}"
            case 3:
                lines.insert(random.randrange(len(lines)), random.choice(lines))
            case 4:
                del lines[place]
                lines = lines or [""]
            case 5 if equals:
                lines[place] = f"{random.choice((key + 's', key.upper(), key + '.x', '«', _quoted(random)))} = {value}"
            case 6 if equals and value.strip("\"'"):
                end = random.randint(0, len(value))
                lines[place] = (
                    f"{key} = {value[:end]}{random.choice(ODD_TEXTS[:25]).encode('utf-8', 'replace').decode()}{value[end:]}"
                )
            case _:
                other = random.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
    return "\n".join(lines) + "\n"


def _quoted(random: Random) -> str:
    return '"' + re.sub(r'["\\\x00-\x1f]', "", random.choice(ODD_TEXTS).encode("utf-8", "replace").decode()) + '"'


def _lost(written: Mapping[str, Any], resolved: Mapping[str, Any], key: str = "") -> Iterator[str]:
    """Values of a recipe that its plan has not, or has with another value."""
    for name, value in written.items():
        place = f"{key}.{name}".lstrip(".")
        if name == "promote":
            continue  # a preset becomes its tests
        if name not in resolved and (value == {} or (isinstance(value, Mapping) and value.get("use") == "none")):
            continue  # of what is switched off, the rest says nothing
        if name not in resolved:
            yield f"{place} = {value!r} is gone"
        elif isinstance(value, Mapping) and isinstance(resolved[name], Mapping):
            yield from _lost(value, resolved[name], place)
        elif not _same(value, resolved[name]):
            yield f"{place} = {value!r} is {resolved[name]!r}"


def _same(written: Any, resolved: Any) -> bool:
    if written is True and isinstance(resolved, Mapping):
        return True  # with its defaults
    if isinstance(written, list) and isinstance(resolved, list):
        return len(written) == len(resolved) and all(map(_same, written, resolved))
    if isinstance(written, Mapping) and isinstance(resolved, Mapping):
        return not [*_lost(written, resolved)]
    if isinstance(written, str) and isinstance(resolved, str):
        return written == resolved or (resolved.startswith("/") and resolved.endswith(written.lstrip("./")))
    if isinstance(written, date | time) and isinstance(resolved, str):
        return str(written) == resolved  # a text may be written as TOML's own date
    return type(written) is not bool or type(resolved) is bool if written == resolved else False
