"""A run as plain lines, one for every important event: for pipes, logs, CI and notebooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TypeVar

from ftkit import formatting
from ftkit.contracts import SPLITS, DataReport, Spread, Task, Trial, events
from ftkit.contracts.preference import COSTS, Alternative
from ftkit.contracts.tasks import SINGLE_LABEL
from ftkit.data import description
from ftkit.display import terminal
from ftkit.display.board import Board

V = TypeVar("V")

SHOW_EVERY = 10.0
"""Seconds between two lines about the same piece of work."""
SHOW_AFTER = 2.0
"""Seconds before a piece of work gets its first line: most work is done by then."""

INTERRUPTED = ("KeyboardInterrupt", "Terminated")
"""The error of a failed stage that a person interrupted."""

ENDING = "No trial starts any more; those that run end at their next evaluation."
"""What follows when the budget is spent."""
CLASSES = 12
"""The most classes of a data report that are shown one by one."""


@dataclass
class Lines:
    """Writes each event as a line or a few, without colour or cursor movement."""

    stream: IO[str]
    clock: Callable[[], float] = time.monotonic
    board: Board = field(default_factory=Board)
    due: dict[str, float] = field(default_factory=dict)
    """When each piece of work gets its next line."""
    shown: set[str] = field(default_factory=set)
    """Pieces of work that have had a line."""

    def __call__(self, event: events.Event) -> None:
        self.board.update(event)
        if isinstance(event, events.Progressed) and not self._due(event):
            return
        for line in sentences(event, self.board):
            terminal.write(line, self.stream)

    def close(self) -> None:
        """Nothing is held open."""

    def _due(self, event: events.Progressed) -> bool:
        """Whether this progress gets a line: one every few seconds, and the last if there was a line before it."""
        now = self.clock()
        due = self.due.setdefault(event.label, now + SHOW_AFTER)
        if event.total is not None and event.done >= event.total:
            del self.due[event.label]
            was_shown = event.label in self.shown
            self.shown.discard(event.label)
            return was_shown
        if now < due:
            return False
        self.due[event.label] = now + SHOW_EVERY
        self.shown.add(event.label)
        return True


def sentences(event: events.Event, board: Board) -> Iterator[str]:
    """An event in words; unimportant events give no line."""
    where = board.stage or "run"
    match event:
        case events.RunStarted(run, folder, _, resumed):
            yield f"run {run}{': goes on where it was interrupted' if resumed else ''}"
            yield f"run: everything is kept in {folder}"
        case events.StageStarted(stage):
            yield f"{stage}: starts"
        case events.StageFinished(stage, seconds, reused):
            yield (
                f"{stage}: already done before the interruption"
                if reused
                else (f"{stage}: done in {formatting.duration(seconds)}")
            )
        case events.StageFailed(stage, seconds, error):
            why = "" if error in INTERRUPTED else f": {formatting.beginning(error, 200)}"
            yield f"{stage}: {how_failed(error)} after {formatting.duration(seconds)}{why}"
        case events.Progressed():
            yield f"{where}: {progress(event)}"
        case events.Noticed(text, warning):
            yield f"{where}: {'warning: ' if warning else ''}{' '.join(text.split())}"
        case events.DataLoaded(report, task):
            yield from (f"data: {line}" for line in data(report, task))
        case events.SearchStarted():
            yield f"search: {search(event)}"
        case events.ConfirmationStarted():
            yield f"search: {confirmation(event)}"
        case events.BudgetSpent():
            yield f"search: {event.sentence} {ENDING}"
        case events.TrialStarted(number, values, seed, attempt):
            again = f", attempt {attempt}" if attempt > 1 else ""
            settings = (
                formatting.values(values, 60) if event.repeats is None else f"trial {event.repeats} with seed {seed}"
            )
            place = f" on {event.node}" if event.node else ""
            yield f"search: trial {number} starts{place}{again}: {settings}"
        case events.TrialReported(number, numbers):
            others = {board.metric: numbers[board.metric]} if board.metric in numbers else dict(numbers)
            others.pop("epoch", None)
            yield f"search: trial {number}, epoch {numbers.get('epoch', 0):g}: {formatting.metrics(others)}"
        case events.TrialRetried(number, reason):
            yield f"search: trial {number} starts again: {formatting.beginning(reason, 160)}"
        case events.TrialFinished(one):
            yield f"search: {trial(one, board.metric)}"
        case _:
            yield from decisions(event)


def decisions(event: events.Event) -> Iterator[str]:
    """The events of the stages after the search, in words."""
    match event:
        case events.BestSelected(_, metric, spreads, preference) if preference:
            yield from (f"select: {spread(each, metric)}" for each in spreads)
            yield from (f"select: {cost(each, metric)}" for each in preference.alternatives)
            yield f"select: {preference.sentence}"
        case events.BestSelected(trial, metric, spreads):
            yield from (f"select: {spread(each, metric)}" for each in spreads)
            rank = "the best" if not spreads else f"the best of the models with the values of trial {spreads[0].number}"
            yield (
                f"select: trial {trial.number} is {rank}: {metric} {formatting.score(trial.metrics.get(metric))}"
                f" at epoch {trial.epoch}, {formatting.values(trial.values, 60)}"
            )
        case events.VerdictReached(verdict):
            yield f"test: {verdict.test}: {verdict.status}: {verdict.sentence}"
        case events.PromotionDecided(_, sentence):
            yield f"test: {sentence}"
        case events.ModelRegistered(version):
            aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
            yield f"register: {version.model} version {version.version}{aliases}"
        case events.DeploymentChanged(_, deployment, step, detail):
            yield f"deploy: {deployment} {step}{': ' + formatting.beginning(detail, 200) if detail else ''}"
        case events.DeploymentJudged(_, deployment, state, sentence):
            yield f"deploy: {deployment} is {state}: {sentence}"
        case events.CopiesCompared(_, deployment, compared):
            yield (
                f"deploy: {deployment} answers {compared.flipped:,} of {compared.texts:,} copied texts otherwise; probabilities"
                f" differ by {compared.shift:.3f} in the mean, {compared.largest:.3f} at most"
            )
        case events.TrafficMoved(endpoint, shares):
            yield f"deploy: traffic of {endpoint}: {formatting.traffic(shares)}"
        case events.ReportWritten(path):
            yield f"report: {path}"
        case events.RunFinished(run, promoted, _, seconds):
            yield f"run {run}: {'promoted' if promoted else 'not promoted'} after {formatting.duration(seconds)}"
        case _:
            pass


def metrics_of(mapping: Mapping[str, float], first: str) -> str:
    """Metrics in one line, the one that the search uses first."""
    return formatting.metrics({first: mapping[first], **mapping} if first in mapping else mapping)


def how_failed(error: str) -> str:
    """Whether a stage failed or was interrupted."""
    return "interrupted" if error in INTERRUPTED else "failed"


def progress(event: events.Progressed) -> str:
    """How much of a piece of work is done."""
    if event.total:
        if event.unit == "%":
            return f"{event.label}: {100 * event.done // event.total} %"
        share = f"{100 * event.done // event.total} %"
        return f"{event.label}: {formatting.amount(event.done, event.unit)} of {formatting.amount(event.total, event.unit)}, {share}"
    return f"{event.label}: {formatting.amount(event.done, event.unit)}"


def search(event: events.SearchStarted) -> str:
    """What the search will do."""
    text = formatting.count(event.total, "trial")
    if event.concurrency > 1 and event.total > 1:
        text += f", {min(event.concurrency, event.total)} at a time"
    text += f", ranked by {event.metric} on the validation rows"
    return f"{text}; {event.done} already done" if event.done else text


def confirmation(event: events.ConfirmationStarted) -> str:
    """Which trials are repeated, and how often."""
    several = len(event.repeated) != 1
    text = f"trial{'s' * several} {formatting.listing(map(str, event.repeated))} {'are' if several else 'is'} trained again"
    text += f" with {formatting.count(event.seeds, 'other seed')}{' each' if several else ''}; the best mean wins"
    return f"{text}; {event.done} of {event.total} already done" if event.done else text


def spread(one: Spread, metric: str) -> str:
    """The results of a trial and of its repeats with other seeds."""
    text = f"trial {one.number} reached {metric} {formatting.score(one.searched)} in the search, "
    if one.mean is None:
        return f"{text}and none of its {one.failed} repeats has a value"
    seeds = formatting.count(one.finished, "other seed")
    text += f"and over {seeds} a mean of {formatting.score(one.mean)}"
    if one.deviation is not None:
        text += f" (standard deviation {formatting.score(one.deviation)}, {formatting.score(one.low)} to {formatting.score(one.high)})"
    return f"{text}; {one.failed} failed" if one.failed else text


def cost(one: Alternative, metric: str) -> str:
    """What a finished model costs, and whether it is shown to be worse than the best one."""
    costs = [one.cost_in_words(each) for each in COSTS if one.cost(each) is not None]
    text = f"{one.title}: {metric} {formatting.score(one.value)}, {', '.join(costs)}"
    return f"{text}; shown to be worse" if one.worse else text


def trial(one: Trial, metric: str) -> str:
    """How a trial ended."""
    took = formatting.duration(one.seconds)
    if one.state == "failed":
        text = f"trial {one.number} failed after {took}: {formatting.beginning(one.error or 'no reason given', 300)}"
        return f"{text} (log: {one.folder}/trial.log in the folder of the run)" if one.folder else text
    end = "finished" if one.state == "finished" else "was stopped early"
    scored = f": {metric} {formatting.score(one.metrics[metric])} at epoch {one.epoch}" if metric in one.metrics else ""
    return f"trial {one.number} {end}{scored}, {took}"


def data(report: DataReport, task: Task = SINGLE_LABEL) -> Iterator[str]:
    """A data report in words: rows read, rows dropped and why, and rows left."""
    yield f"{report.rows_read:,} rows read from {report.source}{of_task(task)}"
    yield dropped(report)
    if report.damaged_lines:
        lines = formatting.listing((f"{number}" for number in report.damaged_lines), 10)
        yield f"damaged: line{'s' * (len(report.damaged_lines) != 1)} {lines}"
    for split, counts in by_split(report).items():
        classes = [f"{count:,} {name}" for name, count in counts.items() if count]
        yield f"{split} {report.sizes[split]:,} rows: {formatting.listing(classes, CLASSES)}"
    if report.lengths:
        yield lengths(report)
    yield from description.how_read(report)
    if tokens := description.what_is_seen(report.tokens):
        yield f"tokens: {tokens}"
    yield from report.notes
    yield from (f"warning: {warning}" for warning in report.warnings)
    yield f"fingerprint {report.fingerprint[:16]}"


def of_task(task: Task) -> str:
    """The task at the end of a line; empty for the one that needs no word."""
    return "" if task == SINGLE_LABEL else f", {task}"


def dropped(report: DataReport) -> str:
    """How many rows were dropped, and why."""
    reasons = [f"{reason} {count:,}" for reason, count in report.dropped.items() if count]
    if not reasons:
        return "no rows dropped"
    return f"{sum(report.dropped.values()):,} rows dropped: {formatting.listing(reasons, CLASSES)}"


def lengths(report: DataReport) -> str:
    """How long the texts are."""
    quantiles = _in_order(report.lengths, ("p5", "p50", "p95", "max"))
    return "words in a text: " + ", ".join(f"{name} {count:,}" for name, count in quantiles.items())


def by_split(report: DataReport) -> dict[str, Mapping[str, int]]:
    """Rows by split and class, the splits in the order of their use."""
    return _in_order(report.counts, SPLITS)


def _in_order(mapping: Mapping[str, V], first: Sequence[str]) -> dict[str, V]:
    """The mapping with these keys first: a stored mapping is read back in alphabetical order."""
    return {key: mapping[key] for key in dict.fromkeys([*first, *mapping]) if key in mapping}
