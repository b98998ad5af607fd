"""Kills at random moments of whole runs: what is lost, done twice, or left behind.

    python -m benchmarks faults [--kills 100] [--seconds N] [--seed N] [--scene whole kept trial] [--case N] [--json FILE]

A run of a real recipe is carried out undisturbed, then again and again with one to three kills each: SIGKILL or SIGTERM of the client (`ftkit run`),
the worker (a trial's process), the front (the endpoint's own process) or a server (of a model), at a moment that is drawn at random: a line of the output
and a time after it. After each kill, the same command is given until it ends. Then everything must be as without a kill: the same
trials and winner, the same weights to the byte, one version registered, an endpoint that answers as before, the same processes and files, and no
command that broke off without a kill. A command that takes too long is killed and counts as a violation.

`whole` searches, tests, registers, and replaces what is live; `kept` keeps what was live; `trial` trains an encoder that writes checkpoints;
`small` has nothing to replace. What a violation shows, `--seed` and `--case` repeat.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import command, results
from benchmarks.fault_clients import Clients, Ended, clients
from benchmarks.fault_facts import Facts, differences, facts
from benchmarks.fault_moments import Kill, Moment, drawn
from benchmarks.fault_scenes import KEPT, SMALL, TRIAL, WHOLE, Scene, Stage
from benchmarks.turns import Numbers

SCENES = {scene.name: scene for scene in (WHOLE, KEPT, TRIAL, SMALL)}
CODES = {0, 4, 5, 143, -signal.SIGKILL, -signal.SIGTERM}
"""How a command may end when something was killed."""
GIVEN = 3
"""How often the same command is given at most after the last kill."""
TOO_LONG = 10.0
"""A command that takes so many times as long as the undisturbed one hangs; a minute is added for a busy machine."""
END = 20.0
"""Seconds that a front may take to end."""
COLUMNS = {
    "kills": "kills",
    "by_itself": "went on by itself",
    "again": "command given again",
    "late": "came too late",
    "violations": "violations",
}


@dataclass
class Case:
    """One run with its kills."""

    name: str
    kills: list[Kill]
    commands: list[Ended] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> None:
    """Kill, compare, show and write."""
    parser = command.plain("faults", __doc__)
    parser.add_argument("--kills", type=int, default=100, help="kills in all (default: 100)")
    parser.add_argument(
        "--seconds", type=float, default=7200, help="begin no further run after so long (default: 7,200)"
    )
    parser.add_argument("--seed", type=int, help="repeats the moments of an earlier call")
    parser.add_argument(
        "--scene", nargs="*", choices=SCENES, default=["whole", "kept", "trial"], help="(default: whole kept trial)"
    )
    parser.add_argument("--case", type=int, help="play this case alone")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the results, machine and versions to this file"
    )
    options = parser.parse_args(arguments)
    in_a_session_of_its_own()
    options.seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left of what it has started
    report = results.Results("faults", command.settings(options))
    begun, cases = time.monotonic(), []
    ends = begun
    for scene, kills in zip(options.scene, _shared(options.kills, options.scene), strict=True):
        ends += options.seconds * kills / max(options.kills, 1)
        cases += played(SCENES[scene], options.seed, kills, ends, options.case)
    for kind in sorted({kill.kind for case in cases for kill in case.kills}):
        report.contenders[kind] = _counted(cases, kind)
    report.contenders["all"] = _counted(cases, "")
    report.bars = [results.Bar("violations", "all", report.contenders["all"]["violations"], most=0)]
    violations = [f"{case.name}: {each}" for case in cases for each in case.violations]
    report.contenders["all"]["runs"] = [
        {
            "case": case.name,
            "killed": [each.killed for each in case.commands],
            "codes": [each.code for each in case.commands],
        }
        for case in cases
    ]
    report.notes = [f"{len(cases)} runs, {time.monotonic() - begun:,.0f} s, seed {options.seed}.", *violations]
    print()
    report.show(COLUMNS)
    report.write(options.json)


def in_a_session_of_its_own() -> None:
    """Go on in a forked process that shares signals and its turn on the processor with nobody but what it starts."""
    if not (child := os.fork()):
        os.setsid()
        return
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    signal.signal(signal.SIGINT, lambda *_: os.kill(child, signal.SIGTERM))
    os._exit(abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


def _shared(kills: int, scenes: Sequence[str]) -> list[int]:
    """How many kills each scene gets: the whole run half of them, where there are others."""
    weights = [len(scenes) - 1 if scene == "whole" and len(scenes) > 1 else 1 for scene in scenes]
    ends = [kills * sum(weights[: number + 1]) // sum(weights) for number in range(len(scenes))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _counted(cases: Sequence[Case], kind: str) -> Numbers:
    """The numbers of one kind of kill, or of all; a violation counts for every kind of its run."""
    done = [each for case in cases for each in case.commands if each.killed.startswith(kind) and each.killed]
    drawn = sum(kill.kind.startswith(kind) for case in cases for kill in case.kills)
    return {
        "kills": len(done),
        "by_itself": sum(each.code == 0 for each in done),
        "again": sum(each.code != 0 for each in done),
        "late": drawn - len(done),
        "violations": sum(
            len(case.violations) for case in cases if any(kill.kind.startswith(kind) for kill in case.kills)
        ),
    }


def played(scene: Scene, seed: int, kills: int, ends: float, only: int | None = None) -> list[Case]:
    """Play a scene undisturbed, and then with kills until there were so many or time is over."""
    cases: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        stage = Stage(Path(folder).resolve(), scene)
        with clients(stage.variables, stage.now, "FTKIT_HOME") as some:
            expected, course = rehearsed(stage, some)
            for number in range(10**6) if only is None else [only]:
                done = sum(bool(each.killed) for case in cases for each in case.commands)
                if time.monotonic() > ends or done >= kills:
                    break
                case = Case(
                    f"--seed {seed} --scene {scene.name} --case {number}", drawn(scene, f"{seed}/{number}", course)
                )
                play(case, stage, some, expected, course)
                cases.append(case)
                for line in _told(case):
                    print(line, file=sys.stderr, flush=True)
    return cases


def rehearsed(stage: Stage, some: Clients) -> tuple[Facts, Ended]:
    """Prepare what each run begins from, and carry out one that is not disturbed. Raises: RuntimeError if one does not end."""
    some.load(["ftkit.cli", "ftkit.runner", "ftkit.commands.run"])
    patience = 1800.0
    if stage.scene.before:
        _whole(some.run(["run", "before.toml", "--plain"], stage.output / "before.txt", patience))
    _end_front(some)
    stage.keep()
    for _ in range(2 if stage.scene.before else 1):  # the first shows what the client loads
        stage.put_back()
        course = some.run(["run", "recipe.toml", "--plain"], stage.output / "undisturbed.txt", patience)
        _whole(course)
        expected = facts(stage, some)
        _end_front(some)
        some.load(json.loads((stage.output / "modules.json").read_text(encoding="utf-8")))
    return expected, course


def _whole(ended: Ended) -> None:
    if ended.code != 0:
        raise RuntimeError("\n".join(line.text for line in ended.lines))


def _end_front(some: Clients) -> None:
    """End the endpoint as a restart of the machine does: it keeps its deployments."""
    some.family.kill()


def play(case: Case, stage: Stage, some: Clients, expected: Facts, course: Ended) -> None:
    """Carry out a case, and write what is wrong into it; at the end nothing of it is left."""
    stage.put_back()
    patience = 60 + TOO_LONG * course.seconds
    waiting, unkilled = list(case.kills), 0
    while True:
        moment = Moment(waiting.pop(0)) if waiting else None
        ended = some.run(["run", "recipe.toml", "--plain"], stage.output / "case.txt", patience, moment)
        case.commands.append(ended)
        case.violations += wrong(ended)
        unkilled = 0 if ended.killed else unkilled + 1
        if ended.code is None or over(stage, ended) or unkilled == GIVEN:
            break
    if ended.code is not None and over(stage, ended):
        _bring_up(case, stage, some)
        case.violations += differences(expected, facts(stage, some))
    some.family.kill()


def over(stage: Stage, ended: Ended) -> bool:
    """Whether the run has come to its end: also one whose command was killed when it had only to say so."""
    from ftkit.runs import ledger

    os.environ["FTKIT_HOME"] = str(stage.now / "home")
    runs = ledger.runs()[: -1 if stage.scene.before else None]  # the last is the one before
    return ended.code == 0 or any(run.closed for run in runs)


def wrong(ended: Ended) -> Iterator[str]:
    """What is wrong with the end of one command, a sentence each."""
    end = " | ".join(line.text for line in ended.lines[-6:])
    if ended.code is None:
        yield f"the command took longer than {ended.seconds:,.0f} s; it came as far as: {end}"
    elif not ended.killed and ended.code != 0:
        yield f"nothing was killed, and the command ended with exit code {ended.code}: {end}"
    elif ended.code not in CODES:
        yield f"the command ended with exit code {ended.code}: {end}"
    if any(
        "Traceback (most recent call last)" in line.text or "an unexpected error" in line.text for line in ended.lines
    ):
        yield f"the command wrote a traceback: {end}"


def _bring_up(case: Case, stage: Stage, some: Clients) -> None:
    """Bring the endpoint up again where its front was killed when the run needed it no more: nothing else does."""
    if not case.commands[-1].killed.startswith("front"):
        return
    ends = time.monotonic() + END
    while "front" in some.family.processes().values():
        if time.monotonic() > ends:
            return
        time.sleep(0.1)
    from ftkit_local.deployer import LocalDeployer

    os.environ |= stage.variables
    LocalDeployer(endpoint="faults").prepare()


def _told(case: Case) -> Iterator[str]:
    moments = "; ".join(f"{each.killed or 'no kill'}: {each.code} in {each.seconds:.0f} s" for each in case.commands)
    yield f"{case.name}: {moments}"
    yield from (f"    VIOLATION {each}" for each in case.violations)
