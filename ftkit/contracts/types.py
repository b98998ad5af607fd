"""The values that pass between the stages of a run: frozen and plain, so that any process can get them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ftkit import pairs
from ftkit.contracts.released import Deployment, Endpoint, Health, Version

__all__ = [
    "AUTO",
    "NATIVE",
    "SPLITS",
    "TASKS",
    "Data",
    "DataReport",
    "Deployment",
    "Endpoint",
    "Health",
    "Inspection",
    "Lineage",
    "Outcome",
    "Split",
    "Spread",
    "Status",
    "Task",
    "Trial",
    "TrialState",
    "Verdict",
    "Version",
]

SPLITS = ("train", "valid", "test")

NATIVE = "native"
"""The engine that every bundle has: the model as its backbone loads it."""
AUTO = "auto"
"""In place of an engine: the fastest one, on the machine that serves, of those that passed the promotion tests."""


Task = Literal["single-label", "multi-label", "ordinal"]
"""What is asked of a text: one class; any number of classes, also none; or one class of an order, as of one to five stars."""

TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True)
class Split:
    """The rows of one split: texts, labels, and any further columns, all of one length."""

    texts: Sequence[str]
    """One text for each row; of a pair both, joined by `ftkit.pairs`."""
    labels: Sequence[Any]
    """A class index for each row; with the task `multi-label` a tuple of them, rising, and empty for a text without a class."""
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Further values for each row, by name: texts, numbers, true, false and None, as JSON holds them."""

    def __len__(self) -> int:
        return len(self.texts)

    def each_label(self) -> Iterator[int]:
        """The class index of every row, all of them where a row has several."""
        for label in self.labels:
            if isinstance(label, tuple):
                yield from label
            else:
                yield label


@dataclass(frozen=True)
class DataReport:
    """What was read, what was dropped and why, and what is left: shown to the user, and stored with the run and the model."""

    source: str
    """Where the rows came from: a file, an address, a package."""
    rows_read: int
    """Rows before anything was dropped, damaged ones included."""
    dropped: Mapping[str, int]
    """Rows dropped, by reason."""
    counts: Mapping[str, Mapping[str, int]]
    """Rows by split and class name; a row of several classes counts for each of them."""
    lengths: Mapping[str, int]
    """Quantiles of the text length in words over all splits: p5, p50, p95, max."""
    fingerprint: str
    """SHA-256 over classes, texts, labels and their assignment to splits."""
    damaged_lines: Sequence[int] = ()
    """Line numbers, counted from 1, of the first damaged lines."""
    notes: Sequence[str] = ()
    """Further remarks for a reader, one sentence each."""
    warnings: Sequence[str] = ()
    """What is probably wrong with the data or does not suit the backbone, and how to repair it, one sentence each."""
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """How each file was read, by its name: the options as they were decided, such as `encoding` and `delimiter`."""
    tokens: Mapping[str, float] = field(default_factory=dict)
    """What the backbone reads of the train and valid texts, as `Inspection.tokens`; empty if it does not say."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows by split where a row can have several classes or none; else empty, and `sizes` adds up `counts`."""
    shared: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By option of the recipe (`group`, `time`) and column: the share of test rows whose group has training rows as well, or that are
    older than the newest hundredth of the training rows. Empty for data that need not be kept apart."""

    @property
    def sizes(self) -> dict[str, int]:
        """Rows by split."""
        return {**self.rows} or {split: sum(by_class.values()) for split, by_class in self.counts.items()}


@dataclass(frozen=True)
class Data:
    """A labelled data set in three splits that share no text. `labels` index into `classes`."""

    classes: tuple[str, ...]
    """Names of the classes; with the task `ordinal` in their order, the lowest first."""
    train: Split
    """The rows that a model learns from."""
    valid: Split
    """The rows by which the search chooses."""
    test: Split
    """The rows by which the promotion tests judge; empty while a model is trained."""
    report: DataReport
    """What was read, dropped and kept."""
    cache: Path | None = None
    """A folder where a backbone may store what it derives from these rows, such as tokens, for other trials."""
    task: Task = "single-label"
    """What is asked of a text."""
    fields: tuple[str, ...] = pairs.TEXT
    """The names of the texts of a row: of a pair two, and its texts are made and parted by `ftkit.pairs`."""

    def without_test(self) -> Data:
        """The same data with an empty test split, for training."""
        return replace(self, test=Split((), ()))


@dataclass(frozen=True)
class Inspection:
    """What a backbone will see of a data set, before any training."""

    tokens: Mapping[str, float] = field(default_factory=dict)
    """Numbers by name, such as the share of texts that are cut, of unknown tokens, of texts that become the same tokens."""
    warnings: Sequence[str] = ()
    """What does not suit the backbone, and how to repair it, one sentence each."""


TrialState = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """One set of hyperparameter values and its result."""

    number: int
    """Counted from 0 within the run."""
    values: Mapping[str, Any]
    """The searched fields of the backbone."""
    seed: int
    """What it was trained with; no two trials with the same values have the same."""
    state: TrialState
    """`stopped` is one that a policy or a budget ended early: only a finished one can win."""
    history: Sequence[Mapping[str, float]] = ()
    """One mapping per evaluation: `epoch`, every validation metric, and what the backbone added."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Validation metrics of the best evaluation."""
    epoch: int = 0
    """The best evaluation's epoch."""
    seconds: float = 0.0
    """How long it took, of its last attempt."""
    attempts: int = 1
    """How often it was started, the last time included."""
    error: str = ""
    """Why it failed, in one line."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Means and peaks over the trial: `cpu_percent`, `memory_peak_mb`, `gpu_percent`, `gpu_memory_peak_mb`."""
    repeats: int | None = None
    """Number of the trial whose values this one trains again with another seed; None for a trial of the search."""
    folder: str = ""
    """The trial's folder, relative to the run's: `trial.log`, and `model/` and `valid.npy` while they are kept."""


@dataclass(frozen=True)
class Spread:
    """The results of one trial's values when they were trained again with other seeds, by the search's metric."""

    number: int
    """The trial of the search that was repeated."""
    values: Mapping[str, Any]
    """Its values of the searched fields."""
    searched: float
    """The result of that trial itself; it was chosen for this value, so the mean leaves it out."""
    mean: float | None
    """Mean over the repeats that finished; None if none did."""
    deviation: float | None
    """Their sample standard deviation (n - 1); None for fewer than two."""
    low: float | None
    """The least result of a repeat; None if none finished."""
    high: float | None
    """The greatest result of a repeat; None if none finished."""
    finished: int
    """Repeats that are part of the mean."""
    failed: int = 0
    """Repeats that failed."""


Status = Literal["passed", "failed", "not applicable", "error"]
"""`error` is a test that broke off: without its decision, nothing is promoted."""


@dataclass(frozen=True)
class Verdict:
    """The result of one promotion test."""

    test: str
    """Name of the test."""
    status: Status
    """How it ended."""
    sentence: str
    """The result and its reason in one line, for people."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What it was decided by, such as the value and the limit: finite numbers by name."""
    figure: str | None = None
    """A chart as SVG, where it shows more than the sentence: `ftkit.evaluation.charts.svg` draws one with matplotlib."""


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from: stored with it in the registry."""

    run: str
    """Identifier of the run."""
    recipe: str
    """The resolved recipe as TOML text."""
    data: DataReport
    """The report on the rows that it was trained on."""
    metric: str
    """The metric by which the search chose."""
    trials: Sequence[Trial]
    """All trials of the run."""
    best: int
    """Number of the winning trial."""
    verdicts: Sequence[Verdict] = ()
    """Results of the promotion tests; empty before them."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Test metrics, measured by the promotion gate; empty before it."""
    bundle_hash: str = ""
    """SHA-256 of the bundle of the winning trial; empty before there is one."""
    folder: Path | None = None
    """The run's folder on this machine."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: str
    """The run's identifier."""
    folder: Path
    """The folder of the run on this machine."""
    promoted: bool
    """Whether the model was promoted."""
    best: Trial
    """The trial that won."""
    trials: Sequence[Trial]
    """All trials, by number."""
    verdicts: Sequence[Verdict]
    """Results of the promotion tests."""
    metrics: Mapping[str, float]
    """Test metrics of the candidate; empty if the test split was not opened."""
    bundle: Path
    """The folder of the bundle."""
    version: Version | None = None
    """The registered version; None if the model was not promoted or there is no registry."""
    champion: Version | None = None
    """The version that the candidate was compared with."""
    endpoint: Endpoint | None = None
    """The endpoint as the run left it; None if the recipe deploys nothing."""
    deployment: str = ""
    """The deployment that this run created; empty if it created none."""

    @property
    def exit_code(self) -> int:
        """0 if promoted (and deployed, if the recipe deploys), 5 if not promoted."""
        return 0 if self.promoted else 5
