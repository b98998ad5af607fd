"""One Protocol per hook point: what a component of each kind does.

A component is a frozen dataclass with a `name`; its fields are its recipe options. Conformance kits in `ftkit.testing` check the
protocols. Optional capabilities of components are in `ftkit.contracts.capabilities`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from ftkit.contracts.classifier import Classifier, Probabilities
from ftkit.contracts.deciding import AnswerRule
from ftkit.contracts.events import Emit
from ftkit.contracts.space import Dimension
from ftkit.contracts.types import Data, Endpoint, Health, Lineage, Verdict, Version

# ------------------------------------------------------------------------------------------- training


class StopTrial(Exception):
    """Raised by `Report` when the search ends this trial early; a backbone must not catch it."""


class EndTraining(StopTrial):
    """Raised by `Report` when the training is to end with the best model so far; a backbone that does not end early lets it pass."""

    def __init__(self, best: bool) -> None:
        super().__init__("the training ends with its best model so far")
        self.best = best
        """Whether the evaluation that was reported is the best, as `Report` returns otherwise."""


class Report(Protocol):
    """The callback that `fit` calls after each evaluation of the validation split."""

    def __call__(self, epoch: int, probabilities: Probabilities, **numbers: float) -> bool:
        """Report an evaluation to the search.

        `epoch` is the number of the evaluation: it counts from 1 and rises with every call. A backbone that evaluates more or less
        often than once an epoch reports how many are done as `epochs`. `probabilities` are those of the validation rows in their order; `numbers` are
        further values to be shown as curves (`train_loss`, `learning_rate`).
        Returns whether this is the best evaluation of the trial so far, by the recipe's metric: keep its weights.
        Raises: StopTrial when the search ends this trial; EndTraining, which is one, when its best model so far is wanted.
        """
        ...


# --------------------------------------------------------------------------------------- promotion


class ModelServer(Protocol):
    """A server of one bundle that all promotion tests of a gate share; implemented in `ftkit.serving.server_process`."""

    @property
    def threads(self) -> int:
        """Threads of the model's matrix products; 0 means one for each core."""
        ...

    @property
    def engine(self) -> str:
        """The engine that answers."""
        ...

    def get(self) -> Any:
        """A running server, `ftkit.serving.server_process.ServerProcess`: started by the first call, and again if it has ended.

        Raises: DeployError when the bundle cannot be served; PluginError.
        """
        ...


@dataclass(frozen=True)
class Contender:
    """A model in the promotion gate, loaded from its bundle and scored on the rows of `data.test`."""

    title: str
    """Its name in a sentence: `the candidate`, `champion version 3`."""
    bundle: Path
    """The folder of its bundle."""
    classifier: Classifier
    """The model itself, for further texts."""
    probabilities: Probabilities
    """(test rows, classes), columns in the order of `data.classes`."""
    data: Data
    """Classes and rows; both contenders are scored on the same."""
    metric: str
    """The recipe's metric: tests use it unless an option of theirs names another."""
    seed: int
    """What a test draws by, so that it gives the same verdict again."""
    serving: ModelServer | None = None
    """The server that all tests of a gate share; `ftkit.serving.server_process.shared_server` returns it, or starts one if it is None."""
    rule: AnswerRule | None = None
    """How its bundle decides on answers, with the classes of the data, if not as every model does."""


# --------------------------------------------------------------------------------- what components do


class Component(Protocol):
    """Anything a recipe can name: a frozen dataclass whose fields are its options."""

    name: ClassVar[str]
    """What a recipe calls it: an attribute of the class."""


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

        Returns the model of the best evaluation, for which `report` returned True last.
        Raises: CheckpointError; StopTrial, which `report` raised.
        """
        ...

    def load(self, folder: Path) -> Classifier:
        """Load the model that `Classifier.save` wrote. Raises: BundleError."""
        ...


@runtime_checkable
class SearchSpace(Component, Protocol):
    """A ready-made search space."""

    def dimensions(self) -> Mapping[str, Dimension]:
        """The fields to search, each with its values."""
        ...


@runtime_checkable
class PromotionTest(Component, Protocol):
    """A condition a candidate must meet before it is registered and deployed."""

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Judge the candidate; both contenders were scored on the same rows. `champion` is None if there is none yet."""
        ...


@runtime_checkable
class PromotionPreset(Component, Protocol):
    """A ready-made set of promotion tests."""

    def tests(self) -> Sequence[PromotionTest]:
        """The tests in the order in which they run, with their options; no two have the same name.

        They take the place of the preset in the recipe, except those that the recipe names itself.
        """
        ...


@runtime_checkable
class Registry(Component, Protocol):
    """Stores bundles as versions of a named model, with the aliases champion and challenger."""

    @property
    def model(self) -> str:
        """The name of the model whose versions it stores: a field, read-only as all fields of a component."""
        ...

    def track(self, lineage: Lineage) -> None:
        """Store values and metrics of all trials; calling it again for the same run changes nothing."""
        ...

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        """Store a bundle as a new version with the alias challenger; the same bundle of the same run is stored once."""
        ...

    def promote(self, version: str) -> Version:
        """Make a version the champion."""
        ...

    def champion(self) -> Version | None:
        """The version that is live, or None when there is none yet."""
        ...

    def fetch(self, version: str, folder: Path) -> Path:
        """Download a version's bundle into `folder`, which is created, and return the bundle's path."""
        ...

    def versions(self) -> Sequence[Version]:
        """All versions, newest first."""
        ...


@runtime_checkable
class Deployer(Component, Protocol):
    """A deployment target. A rollout needs the first six methods only. Raises: DeployError."""

    @property
    def endpoint(self) -> str:
        """The endpoint's name: a field, read-only as all fields of a component."""
        ...

    def prepare(self) -> Endpoint:
        """Create the endpoint if it does not exist; deployments and traffic stay as they are."""
        ...

    def create(self, deployment: str, bundle: Path) -> None:
        """Begin to create a deployment without traffic; returns before it is ready."""
        ...

    def health(self, deployment: str) -> Health:
        """The present state of the deployment; returns without waiting. Raises: DeployError for one that does not exist."""
        ...

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request to the deployment, or by the traffic shares if it is None, and return the decoded answer."""
        ...

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Set the traffic of these deployments, in percent, and of all others to none; as a whole or not at all."""
        ...

    def delete(self, deployment: str) -> None:
        """Remove a deployment after its requests in flight are answered; does nothing if it is gone already."""
        ...

    def describe(self) -> Endpoint | None:
        """The present state of the endpoint, or None if it does not exist; changes nothing."""
        ...

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of a deployment's own log."""
        ...

    def stop(self) -> None:
        """Take down the endpoint with all its deployments."""
        ...
