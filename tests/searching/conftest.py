"""Searches by workers that evaluate from a table, in no time."""

import functools

import pytest

from ftkit.runs import ledger
from ftkit.searching import run_trials, under_way
from ftkit.searching.budget import Budget
from ftkit.stages import search_results
from ftkit.testing import toys


class Clock:
    """Stands still, unless it is told to go on."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


class Table:
    """Workers whose trial `number` evaluates as `curves[number]` says; an evaluation takes ten minutes, a None kills the process."""

    node_retries = 0

    def __init__(self, book, clock, curves):
        self.book, self.clock, self.curves, self.started = book, clock, curves, []

    def start(self, job, log, slot, inbox):
        self.started.append(job["number"])
        return Evaluating(self, job, inbox)

    def end(self, attempts):
        """Nothing runs."""


class Evaluating:
    """An attempt of a trial by the table."""

    node, killed, pid = "", "", 1

    def __init__(self, table, job, inbox):
        self.table, self.number, self.inbox, self.started = table, job["number"], inbox, table.clock()
        curve = table.curves[self.number % len(table.curves)]
        self.values = [(epoch, value) for epoch, value in enumerate(curve, 1)]
        self.send({"go": True})

    def send(self, message):
        """The answer to an evaluation: the next one, or the end."""
        if not message["go"]:
            return self.exit("finished" if message.get("ends") else "stopped")
        if not self.values:
            return self.exit("finished")
        self.table.clock.seconds += 600
        epoch, value = self.values.pop(0)
        if value is None:
            return self.put(kind="exited", error="killed (SIGKILL), probably out of memory")
        return self.put(kind="report", numbers={"epoch": epoch, "roc_auc": value})

    def exit(self, kind):
        if kind == "finished":
            (self.table.book.trial_folder(self.number) / "model").mkdir(parents=True, exist_ok=True)
        self.put(kind=kind)
        self.put(kind="exited")

    def put(self, **message):
        self.inbox.put((self, message))

    def sample(self):
        return None

    def resources(self, usage):
        return {}

    def collect(self, *, model):
        """It is there."""

    def release(self):
        """Nothing is held."""


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def searched(tmp_path, monkeypatch, clock):
    """Runs a search by a table of curves; returns its trials, its ledger, the numbers that were started, and the events."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(under_way, "Budget", functools.partial(Budget, clock=clock))

    def run(curves, *, ends_early=True, facts=(), emit=None, **settings):
        monkeypatch.setattr(toys.ToyWords, "ends_early", ends_early)
        plan = toys.plan(tmp_path, {f"search.{key}": value for key, value in settings.items()})
        book, _ = ledger.begin(plan.name, plan.text)
        for fact, values in facts:
            book.append(fact, **values)
        emitted, workers = [], Table(book, clock, curves)
        trials = run_trials(plan, book, emit or emitted.append, plan.platform, workers)
        search_results.check(plan, book, trials)
        return trials, book, workers.started, emitted

    with toys.install(tmp_path / "plugins"):
        yield run
