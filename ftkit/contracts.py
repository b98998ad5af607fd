"""The nouns that flow between the stages of a run, and one Protocol per hook point.

A component is a frozen dataclass with a `name`; its fields are its recipe options. The protocols below say
what a component of each kind does; conformance kits in `ftkit.testing` check it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from ftkit.events import Event
    from ftkit.recipe import Plan
    from ftkit.space import Dimension

    Probabilities = np.ndarray
    """Class probabilities, float, (rows, classes); every row sums to one."""

Emit = Callable[["Event"], None]
"""Where a stage tells what it did; never raises."""

SPLITS = ("train", "valid", "test")

FolderOrId = Annotated[str, "a local folder, or a name elsewhere"]
"""The type of a field that names a local folder or something remote, such as a checkpoint on a model hub.

A recipe's relative folder is found from the recipe's own place.
"""


# ---------------------------------------------------------------------------------------------- data


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


# ------------------------------------------------------------------------------------------- training


class StopTrial(Exception):
    """Raised by `Report` when the search has ended this trial early; a backbone lets it pass."""


class Report(Protocol):
    """What `fit` calls after each evaluation of the validation split."""

    def __call__(self, epoch: int, probabilities: Probabilities, **numbers: float) -> bool:
        """Tell the search how the model does now.

        `epoch` counts from 1 and rises with every call; `probabilities` are those of the validation rows in
        their order; `numbers` are any others worth a curve (`train_loss`, `learning_rate`).
        Returns whether this is the best evaluation of the trial so far, by the recipe's metric.
        Raises: StopTrial when the search ends this trial.
        """
        ...


class Classifier(Protocol):
    """A trained model: texts in, class probabilities out."""

    classes: tuple[str, ...]

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (rows, classes), in the order of the texts; any text is answered."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything `Backbone.load` needs into an empty folder; safetensors and text, never a pickle."""
        ...


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
    folder: str = ""
    """The trial's folder, relative to the run's: `trial.log`, and `model/` and `valid.npy` while they are kept."""


# --------------------------------------------------------------------------------------- promotion


@dataclass(frozen=True)
class Contender:
    """A model in the promotion gate, loaded from its bundle and scored on the rows of `data.test`."""

    title: str
    """What to call it in a sentence: `the candidate`, `champion version 3`."""
    bundle: Path
    classifier: Classifier
    probabilities: Probabilities
    """(test rows, classes), columns in the order of `data.classes`."""
    data: Data
    metric: str
    """The recipe's metric, which tests judge by unless told otherwise."""
    seed: int


Status = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True)
class Verdict:
    """What one promotion test found."""

    test: str
    status: Status
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    figure: str | None = None
    """An SVG drawing, where one says more than the sentence."""


# ----------------------------------------------------------------------------------------- registry


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


# ------------------------------------------------------------------------------------------- rollout


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


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it stands: where it answers, and who takes which share of the traffic."""

    name: str
    url: str
    """Address that takes POST requests; empty while there is none."""
    key: str = ""
    """Sent as `Authorization: Bearer KEY`; empty where the endpoint asks for none."""
    deployments: tuple[Deployment, ...] = ()

    @property
    def traffic(self) -> dict[str, int]:
        """Percent by deployment, those with none left out."""
        return {each.name: each.traffic for each in self.deployments if each.traffic}


# --------------------------------------------------------------------------------- what components do


class Component(Protocol):
    """Anything a recipe can name: a frozen dataclass whose fields are its options."""

    name: ClassVar[str]


@runtime_checkable
class Dataset(Component, Protocol):
    """Loads labelled texts."""

    def load(self, seed: int, emit: Emit) -> Data:
        """Read, clean and split the rows; the same seed gives the same splits.

        Raises: DataError.
        """
        ...


@runtime_checkable
class Backbone(Component, Protocol):
    """A model family that can be fine-tuned; each hyperparameter is a field."""

    def fit(self, data: Data, seed: int, report: Report) -> Classifier:
        """Train on `data.train`, calling `report` with the probabilities of `data.valid` after each evaluation.

        Returns the weights of the evaluation that `report` called the best.
        Raises: CheckpointError; StopTrial passes through.
        """
        ...

    def load(self, folder: Path) -> Classifier:
        """Read back what `Classifier.save` wrote. Raises: BundleError."""
        ...


@runtime_checkable
class SearchSpace(Component, Protocol):
    """A ready-made search space."""

    def dimensions(self) -> Mapping[str, Dimension]:
        """The fields to search and where."""
        ...


@runtime_checkable
class PromotionTest(Component, Protocol):
    """A condition a candidate must meet before it is registered and deployed."""

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Judge the candidate; both contenders were scored on the same rows. No champion: there is none yet."""
        ...


@runtime_checkable
class Registry(Component, Protocol):
    """Keeps bundles as versions of a named model, with aliases champion and challenger."""

    model: str

    def track(self, lineage: Lineage) -> None:
        """Record every trial's values and metrics; calling it again for the same run changes nothing."""
        ...

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        """Store a bundle as a new version with alias challenger; the same bundle of the same run is stored once."""
        ...

    def promote(self, version: str) -> Version:
        """Make a version the champion."""
        ...

    def champion(self) -> Version | None:
        """The version that is live, or None when there is none yet."""
        ...

    def fetch(self, version: str, folder: Path) -> Path:
        """Bring a version's bundle into `folder` (created) and return the bundle's path."""
        ...

    def versions(self) -> Sequence[Version]:
        """All versions, newest first."""
        ...


@runtime_checkable
class Deployer(Component, Protocol):
    """A deployment target. The first six verbs are all that a rollout needs. Raises: DeployError."""

    @property
    def endpoint(self) -> str:
        """The endpoint's name: a field, read-only as all fields of a component."""
        ...

    def prepare(self) -> Endpoint:
        """Make sure the endpoint exists, leaving deployments and traffic as they are."""
        ...

    def create(self, deployment: str, bundle: Path) -> None:
        """Begin a deployment that gets no traffic; returns before it is ready."""
        ...

    def health(self, deployment: str) -> Health:
        """How the deployment is doing now; never waits for it."""
        ...

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request, to one deployment or by the traffic shares, and return the decoded answer."""
        ...

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic, all others none; at once or not at all."""
        ...

    def delete(self, deployment: str) -> None:
        """Remove a deployment once its requests in flight are answered; one that is gone already is fine."""
        ...

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        ...

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of a deployment's own log."""
        ...

    def stop(self) -> None:
        """Take the endpoint down with all its deployments."""
        ...


@runtime_checkable
class Platform(Component, Protocol):
    """Where a run happens."""

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Carry out the plan: `ftkit.runner.carry_out` with a search of its own, or the whole plan elsewhere."""
        ...


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
