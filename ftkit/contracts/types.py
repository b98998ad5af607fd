"""The nouns that flow between the stages of a run: plain frozen values, which is why they travel anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

SPLITS = ("train", "valid", "test")

NATIVE = "native"
"""The engine that every bundle has: the model as its backbone loads it."""
AUTO = "auto"
"""In place of an engine: whichever is the fastest, on the machine that serves, of those that the tests passed."""


@dataclass(frozen=True)
class Split:
    """The rows of one split: texts, class indices, and any further columns, all of one length."""

    texts: Sequence[str]
    labels: Sequence[int]
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class DataReport:
    """What was read, what was dropped and why, and what is left: said to the user, kept with the run and the model."""

    source: str
    """Where the rows came from: a file, an address, a package."""
    rows_read: int
    """Rows before anything was dropped, damaged ones included."""
    dropped: Mapping[str, int]
    """Rows dropped, by reason."""
    counts: Mapping[str, Mapping[str, int]]
    """Rows by split and class name."""
    lengths: Mapping[str, int]
    """Quantiles of the text length in words over all splits: p5, p50, p95, max."""
    fingerprint: str
    """SHA-256 over classes, texts, labels and their assignment to splits."""
    damaged_lines: Sequence[int] = ()
    """Line numbers, counted from 1, of the first damaged lines."""
    notes: Sequence[str] = ()
    """Anything else a reader should know, a sentence each."""


@dataclass(frozen=True)
class Data:
    """A labelled data set in three splits that share no text. `labels` index into `classes`."""

    classes: tuple[str, ...]
    train: Split
    valid: Split
    test: Split
    report: DataReport
    cache: Path | None = None
    """A folder where a backbone may keep what it derives from these rows (tokens), for other trials to find."""

    def without_test(self) -> Data:
        """The same data as training may see it: with no row of the test split."""
        return replace(self, test=Split((), ()))


TrialState = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """One set of hyperparameter values and what became of it."""

    number: int
    """Counted from 0 within the run."""
    values: Mapping[str, Any]
    """The searched fields of the backbone."""
    seed: int
    state: TrialState
    history: Sequence[Mapping[str, float]] = ()
    """One mapping per evaluation: `epoch`, every validation metric, and what the backbone added."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Validation metrics of the best evaluation."""
    epoch: int = 0
    """The best evaluation's epoch."""
    seconds: float = 0.0
    attempts: int = 1
    error: str = ""
    """Why it failed, in one line."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Means and peaks over the trial: `cpu_percent`, `memory_peak_mb`, `gpu_percent`, `gpu_memory_peak_mb`."""
    repeats: int | None = None
    """Number of the trial whose values this one trains again with another seed, to tell luck from merit."""
    folder: str = ""
    """The trial's folder, relative to the run's: `trial.log`, and `model/` and `valid.npy` while they are kept."""


@dataclass(frozen=True)
class Spread:
    """What the values of one trial came to when they were trained again with other seeds, by the search's metric."""

    number: int
    """The trial of the search that was repeated."""
    values: Mapping[str, Any]
    searched: float
    """What that trial itself had reached; it was chosen for it, so it is no part of the mean."""
    mean: float | None
    """Over the repeats that finished; None where none did."""
    deviation: float | None
    """Standard deviation over them (of a sample: n - 1); None for fewer than two."""
    low: float | None
    high: float | None
    finished: int
    """Repeats that are part of the mean."""
    failed: int = 0
    """Repeats that came to no value."""


Status = Literal["passed", "failed", "not applicable", "error"]
"""`error` is a test that broke off: it decided nothing, so nothing is promoted."""


@dataclass(frozen=True)
class Verdict:
    """What one promotion test found."""

    test: str
    status: Status
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    figure: str | None = None
    """An SVG drawing, where one says more than the sentence."""


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from: kept beside it in the registry."""

    run: str
    recipe: str
    """The resolved recipe as TOML text."""
    data: DataReport
    metric: str
    trials: Sequence[Trial]
    best: int
    """Number of the winning trial."""
    verdicts: Sequence[Verdict] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Test metrics, measured by the promotion gate; empty before it."""
    bundle_hash: str = ""
    folder: Path | None = None
    """The run's folder on this machine."""


@dataclass(frozen=True)
class Version:
    """One registered version of a model."""

    model: str
    version: str
    aliases: tuple[str, ...] = ()
    bundle_hash: str = ""
    run: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    created: str = ""
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class Health:
    """How one deployment is doing."""

    state: Literal["starting", "ready", "failed"]
    reason: str = ""
    """Why it is not ready, in a sentence."""
    log: str = ""
    """The last lines of the deployment's own log, when it failed."""


@dataclass(frozen=True)
class Deployment:
    """One version of a model behind an endpoint."""

    name: str
    traffic: int
    """Share of the endpoint's requests, in percent."""
    state: str
    bundle_hash: str = ""
    engine: str = ""
    """What computes its answers, where that is known."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it stands: where it answers, and who takes which share of the traffic."""

    name: str
    url: str
    """Address that takes POST requests; empty while there is none."""
    key: str = ""
    """Sent as `Authorization: Bearer KEY`; empty where the endpoint asks for none."""
    deployments: tuple[Deployment, ...] = ()
    key_command: str = ""
    """A shell command that prints the key, where the key itself is not for a terminal."""

    @property
    def traffic(self) -> dict[str, int]:
        """Percent by deployment, those with none left out."""
        return {each.name: each.traffic for each in self.deployments if each.traffic}


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: str
    """The run's identifier."""
    folder: Path
    promoted: bool
    best: Trial
    trials: Sequence[Trial]
    verdicts: Sequence[Verdict]
    metrics: Mapping[str, float]
    """Test metrics of the candidate; empty when no split was opened."""
    bundle: Path
    version: Version | None = None
    champion: Version | None = None
    """The version the candidate was measured against."""
    endpoint: Endpoint | None = None
    deployment: str = ""
    """The deployment this run made, when it made one."""

    @property
    def exit_code(self) -> int:
        """0 when promoted (and deployed, if asked for), 5 when a promotion test said no."""
        return 0 if self.promoted else 5
