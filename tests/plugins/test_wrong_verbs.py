"""Every verb of every kind of component raises or returns what it must not: the command ends with a sentence that names plugin and verb.

A seeded sample runs each time; with FTKIT_ALL_WRONG_VERBS=1 all of them run.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from pathlib import Path

import pytest

from ftkit.cli import main
from tests.odd_components import RECIPE, RETURN_NOTHING, WRONG

RUN = ("run", "odd.toml", "--plain")

VERBS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    **{f"dataset.{verb}": ("dataset 'odd-reviews'", (RUN,)) for verb in ("load", "files")},
    **{f"backbone.{verb}": ("backbone 'odd-words'", (RUN,)) for verb in ("inspect", "adapted", "foresee", "export")},
    "backbone.fit": ("backbone 'odd-words'|backbone 'odd-words' of ftkit-odd 1.2 ended its training without", (RUN,)),
    "backbone.load": ("backbone 'odd-words'|backbone 'odd-words' of ftkit-odd 1.2: what was loaded is", (RUN,)),
    "backbone.save": ("classifier OddClassifier", (RUN,)),
    "backbone.probabilities": (
        "classifier OddClassifier|backbone 'odd-words' of ftkit-odd 1.2: the model answers",
        (RUN,),
    ),
    "search.space.dimensions": ("search space 'odd-space'", (RUN, ("check", "odd.toml"))),
    "promote.0.tests": ("promotion preset 'odd-preset'", (RUN, ("check", "odd.toml"))),
    **{f"promote.1.{verb}": ("promotion test 'odd-test'", (RUN,)) for verb in ("check", "foresee")},
    **{
        f"registry.{verb}": ("registry 'odd-registry'", (RUN,)) for verb in ("champion", "track", "register", "promote")
    },
    "registry.versions": ("registry 'odd-registry'", (("models", "odd.toml"),)),
    **{
        f"deploy.{verb}": ("deployer 'odd-deployer'", (RUN,)) for verb in ("prepare", "create", "health", "set_traffic")
    },
    "deploy.describe": ("deployer 'odd-deployer'|deployer 'odd-deployer' of ftkit-odd 1.2 reports", (RUN,)),
    "deploy.invoke": ("deployer 'odd-deployer'|the smoke test failed: ", (RUN,)),
    "run.run": ("platform 'odd-platform'", (RUN,)),
    "run.refusals": ("platform 'odd-platform'", (RUN, ("check", "odd.toml"))),
    "run.outline": ("platform 'odd-platform'", (("plan", "odd.toml"),)),
    "run.publish": ("platform 'odd-platform'", (("publish", "odd.toml"),)),
}
"""Each verb by the section of its component, the words that name it (or others, where an answer is judged), and the commands."""

RIGHT: dict[str, tuple[str, ...]] = {
    "files": ("empty mapping",),
    "dimensions": ("empty mapping",),
    "tests": ("empty list", "empty tuple"),
    "refusals": ("empty list", "empty tuple"),
    "outline": ("empty list", "empty tuple"),
    "publish": ("empty mapping", "mapping"),
    "versions": ("empty list", "empty tuple", "a version of nothing"),
    "champion": ("None",),
}
"""Values that are right for a verb."""

Case = tuple[str, str, tuple[str, ...]]

CASES: list[Case] = [
    (verb, wrong, command) for verb, (_, commands) in VERBS.items() for command in commands for wrong in WRONG
]


def sample() -> list[Case]:
    """The cases to run."""
    return CASES if os.environ.get("FTKIT_ALL_WRONG_VERBS") else random.Random(13).sample(CASES, 25)


def arguments(case: Case) -> list[str]:
    """The command line of a case."""
    place, wrong, command = case
    section, _, verb = place.rpartition(".")
    further: dict[str, tuple[str, ...]] = {
        "promote.1": ("--set", 'promote=[{use="odd-preset"}, {use="odd-test"}]'),
        "backbone.export": ("--set", 'backbone.engines=["half"]'),
    }
    settings = (f"{section}.verb={verb}", f"{section}.wrong={wrong}")
    if command[0] == "models":  # it takes recipes as they are
        use = 'use = "odd-registry"\n'
        Path("odd.toml").write_text(RECIPE.replace(use, f'{use}verb = "{verb}"\nwrong = "{wrong}"\n'))
        return list(command)
    return [*command, *further.get(section, further.get(place, ())), *(f"--set={each}" for each in settings)]


def fault(case: Case, code: int, shown: str) -> str:
    """What is wrong with how a command ended; empty if nothing is."""
    place, wrong, command = case
    titles, verb = VERBS[place][0].split("|"), place.rpartition(".")[2]
    if wrong.removeprefix("returns ") != wrong and (
        verb in RETURN_NOTHING or wrong.removeprefix("returns ") in RIGHT.get(verb, ())
    ):
        return "" if code in (0, 5) else f"exit code {code} for what is right"
    if code not in (2, 3, 4, 5) and command[0] != "models":  # which lists the other registries all the same
        return f"exit code {code}"
    if "Traceback" in shown or "unexpected error" in shown or "hunter2" in shown:
        return "a traceback or a secret"
    named = re.search(rf"\b{verb} of ", shown) and "ftkit-odd 1.2" in shown and titles[0] in shown
    return "" if named or any(title in shown for title in titles[1:]) else "not named"


def test_nothing_is_wrong_with_the_components_themselves(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (RUN, ("check", "odd.toml"), ("plan", "odd.toml"), ("publish", "odd.toml"), ("models", "odd.toml")):
        assert main(list(command)) == 0, capsys.readouterr().err


def test_whatever_goes_wrong_in_a_verb_is_told_with_the_plugin_and_the_verb(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = []
    for case in sample():
        shutil.rmtree(workplace / "home", ignore_errors=True)
        (workplace / "odd.toml").write_text(RECIPE)
        capsys.readouterr()
        code = main(arguments(case))
        shown = "".join(capsys.readouterr())
        if problem := fault(case, code, shown):
            faults.append((case, problem, shown[-500:]))
    assert faults == []
