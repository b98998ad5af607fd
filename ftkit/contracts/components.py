"""One Protocol per hook point: what a component of each kind does.

A component is a frozen dataclass with a `name`; its fields are its recipe options. Conformance kits in `ftkit.testing`
check the protocols. What a component may do besides is in `ftkit.contracts.capabilities`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from ftkit.contracts.classifier import Classifier, Probabilities
from ftkit.contracts.events import Emit
from ftkit.contracts.space import Dimension
from ftkit.contracts.types import Data, Endpoint, Health, Lineage, Verdict, Version

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


# --------------------------------------------------------------------------------------- promotion


class ModelServer(Protocol):
    """Servers of one bundle that the promotion tests of a gate share; `ftkit.serving.server_process` has the real one."""

    @property
    def threads(self) -> int:
        """Threads of the model's matrix products; 0 is one for each core."""
        ...

    @property
    def engine(self) -> str:
        """The engine that answers."""
        ...

    def get(self) -> Any:
        """A running server, `ftkit.serving.server_process.ServerProcess`: started with the first call, and again when it is gone.

        Raises: DeployError when the bundle cannot be served; PluginError.
        """
        ...


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
    serving: ModelServer | None = None
    """A server of the bundle that all tests of a gate share; `ftkit.serving.server_process.shared_server` gives it, or one of its own."""


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
class PromotionPreset(Component, Protocol):
    """A ready-made set of promotion tests."""

    def tests(self) -> Sequence[PromotionTest]:
        """The tests in the order in which they run, each installed and with its options filled in; never two of one name.

        A recipe has these tests in the place of the preset, except for those it names itself.
        """
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
