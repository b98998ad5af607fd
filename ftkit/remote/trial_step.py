"""One trial as a step of a service: its values come from the service, and its result is left in a folder."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ftkit import files, options, runner, strict_json
from ftkit.contracts import Data, Emit, StopTrial, Trial, TrialInterrupted, events, space
from ftkit.contracts.plan import Plan
from ftkit.contracts.space import Choice, Dimension, Int, Uniform
from ftkit.errors import FtkitError, HopelessError, StageError, UsageError, VerbError
from ftkit.evaluation import metrics
from ftkit.remote.kept_checkpoints import kept, of_trial
from ftkit.runs import ledger as ledgers
from ftkit.stages import trial as trials

TRIAL = "trial.json"

LogMetrics = Callable[[Mapping[str, float]], None]
"""Called with every evaluation of a trial: logs it as metrics of the platform."""


def values(plan: Plan, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The values of the searched fields, from the texts that a service passes.

    A choice becomes the value in the recipe, not a parsed copy of it; a number is rounded to the steps of its range.
    Raises: UsageError for a value that is not in the search space.
    """
    missing = sorted(set(plan.search.space) - set(arguments))
    if missing:
        raise UsageError(f"the service passed no value for {', '.join(missing)}", hint="Submit the recipe again.")
    return {name: _value(name, each, arguments[name]) for name, each in plan.search.space.items()}


def seed(plan: Plan, number: int) -> int:
    """The seed of trial `number`: the recipe's, or one of its own if several trials may have equal values.

    The trials of a service do not know each other. Where values are drawn from a finite space, each trial has its own seed, so that
    trials with equal values show the effect of the seed.
    """
    finite = all(space.size(each) is not None for each in plan.search.space.values())
    drawn = plan.search.sampler != "grid" or not plan.search.space
    return plan.seed + number if finite and drawn else plan.seed


def trial(
    plan: Plan,
    folder: Path,
    work: Path,
    *,
    number: int,
    values: Mapping[str, Any],
    seed: int,
    log: LogMetrics,
    emit: Emit,
    checkpoints: Path | None = None,
    lost: Callable[[], str] = lambda: "",
) -> Trial:
    """Train one trial and write what `decide` needs into `folder`: trial.json, model/ and valid.npy.

    trial.json is written after every evaluation, so that it holds the curve of a trial which the service stops early. An error that
    comes from these values and this seed makes a failed trial; an error that every trial would meet is raised.
    `checkpoints` is a folder of this trial alone that the same trial finds again when the service starts it anew; with
    `[search] checkpoint` it goes on from there. Where the service starts several processes that train together, the first calls this
    and the others call `follow`; `lost` then says which of the others is gone, if one is.
    Raises: FtkitError; TrialInterrupted after SIGTERM, when a checkpoint is written.
    """
    ledger = ledgers.at(work / "run", plan.name, plan.text)
    data = runner.load_data(plan, ledger, emit)

    def write(trial: Trial) -> None:
        files.write_json(folder / TRIAL, {"trial": asdict(trial), "data": data.report.fingerprint})

    return train(
        plan,
        data,
        folder,
        number=number,
        values=values,
        seed=seed,
        log=log,
        emit=emit,
        keep=write,
        checkpoints=checkpoints,
        lost=lost,
    )


def follow(
    plan: Plan, work: Path, *, number: int, values: Mapping[str, Any], seed: int, checkpoints: Path | None = None
) -> None:
    """Train with the first process of a trial of several: from its own copy of the data, and from the checkpoint that the first reads.

    Nothing is reported, logged or saved. The arguments are those of `trial`. Raises: FtkitError; what the backbone raises.
    """
    data = runner.load_data(plan, ledgers.at(work / "run", plan.name, plan.text), lambda event: None)
    own = of_trial(plan, checkpoints, number=number, values=values, seed=seed)
    trials.follow(plan, data, values, seed, own)


def train(
    plan: Plan,
    data: Data,
    folder: Path,
    *,
    number: int,
    values: Mapping[str, Any],
    seed: int,
    emit: Emit,
    log: LogMetrics = lambda numbers: None,
    keep: Callable[[Trial], None] = lambda trial: None,
    repeats: int | None = None,
    place: str = "",
    checkpoints: Path | None = None,
    lost: Callable[[], str] = lambda: "",
) -> Trial:
    """Train in this process and return the trial; `keep` is called with its present state after every evaluation, and at its end.

    `checkpoints` and `lost` are as in `trial`.
    """
    import os

    begun = time.monotonic()
    metric = plan.search.metric
    history: list[dict[str, float]] = []
    best = 0

    def ended(state: Any, error: str = "") -> Trial:
        top = history[best] if history and state != "failed" else {}
        return Trial(
            number=number,
            values=options.toml_value(values),
            seed=seed,
            state=state,
            history=tuple(history),
            metrics={name: top[name] for name in metrics.METRICS if name in top},
            epoch=int(top.get("epoch", 0)),
            seconds=round(time.monotonic() - begun, 3),
            error=error,
            repeats=repeats,
            resources=_resources(time.monotonic() - begun),
            folder=place,
        )

    def evaluated(numbers: dict[str, float]) -> tuple[bool, bool]:
        nonlocal best
        history.append(numbers)
        best = _best(history, metric)
        emit(events.TrialReported(number, numbers))
        keep(ended("stopped"))  # its state if the service ends the process now
        log(numbers)
        return True, best == len(history) - 1

    def resumed(earlier: Sequence[Mapping[str, float]]) -> None:
        nonlocal best
        history[:] = map(dict, earlier)
        best = _best(history, metric)
        notice("goes on from a checkpoint" + (f", after epoch {history[-1]['epoch']}" if history else ""))

    def notice(text: str) -> None:
        emit(events.Noticed(f"Trial {number}: {text}."))

    emit(events.TrialStarted(number, options.toml_value(values), seed, 1, os.getpid(), "", repeats))
    with kept(plan, checkpoints, number=number, values=values, seed=seed, notice=notice, resumed=resumed) as own:
        try:
            trials.fit(plan, data, values, seed, folder, evaluated, own)
            trained = ended("finished")
        except TrialInterrupted:
            raise
        except StopTrial:
            trained = ended("stopped")
        except (HopelessError, StageError) as error:
            if isinstance(error, FtkitError) and type(error) is not StageError:
                raise  # such as a missing checkpoint: every other trial would meet it, too
            message = f"{error.what}. {error.hint}" if isinstance(error, StageError) else str(error)
            traceback.print_exc()
            trained = ended("failed", " ".join(message.split()))
        except VerbError as error:  # an error of the backbone ends this trial only
            traceback.print_exc()
            trained = ended("failed", lost() or trials.line(error))
        except FtkitError:
            raise
        except Exception as error:
            traceback.print_exc()
            trained = ended("failed", trials.line(error))
        if trained.state == "failed":
            trials.clear(folder)
        keep(trained)
    emit(events.TrialFinished(trained))
    return trained


def read_trial(folder: Path) -> tuple[Trial, str] | None:
    """The trial of a folder and the fingerprint of its data, or None if the folder has no readable trial.json."""
    try:
        table = strict_json.read_object(folder / TRIAL)
        return Trial(**table["trial"]), str(table["data"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _best(history: Sequence[Mapping[str, float]], metric: str) -> int:
    """Index of the best evaluation, the first of equal ones; 0 where there is none."""
    best = 0
    for index, numbers in enumerate(history):
        if metrics.better(metric, numbers[metric], history[best][metric]):
            best = index
    return best


def _value(name: str, dimension: Dimension, text: str) -> Any:
    if isinstance(dimension, Choice):
        choices = [options.toml_value(value) for value in dimension.values]
        matches: tuple[Callable[[Any], bool], ...] = (
            lambda value: text == json.dumps(value),
            lambda value: text == str(value),
            lambda value: type(value) in (int, float) and _number(text) == value,
        )
        if matching := [value for is_match in matches for value in choices if is_match(value)]:
            return matching[0]
        raise UsageError(f"{text!r} is no value of {name} in the search space", hint="Submit the recipe again.")
    number = _number(text)
    if number is None or not math.isfinite(number):
        raise UsageError(f"{text!r} is no number for {name}", hint="Submit the recipe again.")
    number = min(max(number, dimension.low), dimension.high)
    if isinstance(dimension, Int) or (isinstance(dimension, Uniform) and dimension.step):
        if isinstance(dimension, Int) and dimension.log:
            return round(number)
        steps = space.grid(dimension)
        return min(steps, key=lambda step: abs(step - number))
    return number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _resources(seconds: float) -> dict[str, float]:
    """The CPU time and memory that this process and its children used, as the system counts them."""
    import resource
    import sys

    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    used = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return {
        "cpu_percent": round(100 * used / max(seconds, 1e-9), 1),
        "memory_peak_mb": round(own.ru_maxrss * unit / 2**20, 1),
    }
