"""What a component or a classifier may be or do beyond what its kind must; nothing requires any of it.

Each is a protocol that code asks for with `isinstance` before it uses it. Import them from `ftkit.contracts`. Those of a platform
that need the plan, `Refusing` and `Publishing`, are in `ftkit.contracts.plan`.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from ftkit.contracts.classifier import Classifier, Probabilities
from ftkit.contracts.types import Data

T = TypeVar("T")


@runtime_checkable
class Counting(Protocol):
    """A classifier that tells how much of a text it reads. Nothing requires it."""

    def tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Tokens that `probabilities` reads of each text, special ones included and padding not.

        Where the classifier is `Reading` too, the length of what it reads of a text: a server counts by that.
        """
        ...


@runtime_checkable
class Reading(Protocol):
    """A classifier that reads texts and computes in two steps: a server does them side by side. Nothing requires it.

    For any texts, `computed(read(texts))` is `probabilities(texts)` but for rounding, whatever rows are computed together.
    """

    @property
    def calls(self) -> int:
        """Calls of `computed` that may go on at the same time, and are faster so than one after another."""
        ...

    def read(self, texts: Sequence[str]) -> Sequence[Sized]:
        """What the model is given of each text; the `len` of one is what it costs, in tokens or what the model counts."""
        ...

    def together(self, lengths: Sequence[int]) -> Sequence[int]:
        """Of rows that wait, by their lengths, the indices of those for the next call; the first waits longest and is one."""
        ...

    def computed(self, rows: Sequence[Any]) -> Probabilities:
        """Class probabilities of rows that were read, (rows, classes), in one call; more than `calls` at a time only wait."""
        ...


@runtime_checkable
class Exporting(Protocol):
    """A backbone whose models can be had in other forms, called engines, that answer faster. Nothing requires it.

    Engines lie in the folder that `Classifier.save` wrote, so that the bundle's hash covers them; a bundle names
    its own in the manifest. An engine answers the same texts with nearly the same probabilities, whatever texts it is
    asked beside them; how nearly is for the promotion gate to judge.
    """

    engines: tuple[str, ...]
    """The engines that the recipe asks for: a field, read-only as all fields of a component."""

    def export(self, folder: Path) -> None:
        """Add these engines to the folder of a saved model; called once in a run, for the selected model.

        Raises: StageError.
        """
        ...

    def load_engine(self, folder: Path, engine: str) -> Classifier:
        """Open an engine that `export` wrote, without the model it was made of. Raises: BundleError, PluginError."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A deployer whose deployments take longer than a process on this machine. Nothing requires it."""

    ready_timeout: ClassVar[float]
    """Seconds that a rollout waits for a deployment, where the recipe does not say."""
    poll: ClassVar[float]
    """Seconds between two looks at a deployment's health, where the recipe does not say."""


@runtime_checkable
class Mirroring(Protocol):
    """A deployer that can send a deployment copies of the live traffic, whose answers nobody gets. Nothing requires it."""

    @property
    def mirror(self) -> int:
        """Percent of the live traffic that a rollout has copied to a new deployment before it gets any: a field; 0 is none."""
        ...

    def mirror_to(self, deployment: str | None) -> None:
        """Begin to send copies, or end it; `set_traffic` and `delete` end it as well. Raises: DeployError."""
        ...


@runtime_checkable
class Packaging(Protocol):
    """A deployer whose deployments can also be made by hand, from a folder. Nothing requires it."""

    @classmethod
    def package(cls, bundle: Path, folder: Path, engine: str) -> None:
        """Write all that a deployment of a bundle's folder needs into a folder that is new or empty.

        Raises: PluginError, BundleError.
        """
        ...


@runtime_checkable
class Local(Protocol):
    """A registry or deployer that says whether it lives on the machine where the command was given. Nothing requires it."""

    @property
    def local(self) -> bool:
        """Whether only this machine can use it: a platform that runs elsewhere leaves to this machine what needs it."""
        ...


@runtime_checkable
class Confirming(Protocol):
    """A platform that says whether it trains the repeats that `[search] confirm` asks for. Nothing requires it.

    With any other platform, a recipe with `confirm` is refused when it is loaded.
    """

    confirms: ClassVar[bool]
    """True where it does."""


@runtime_checkable
class EngineChoosing(Protocol):
    """A deployer whose deployments answer by an engine of the bundle that the recipe names. Nothing requires it."""

    @property
    def engine(self) -> str:
        """An engine, `native`, or `auto`: a field, read-only as all fields of a component."""
        ...


@runtime_checkable
class EpochTrained(Protocol):
    """A backbone that is trained for a number of epochs. Nothing requires it."""

    @property
    def epochs(self) -> int:
        """Times that every training row is seen: a field."""
        ...


@runtime_checkable
class Estimable(EpochTrained, Protocol):
    """A backbone whose training time can be estimated before any trial has run. Nothing requires it."""

    encoder_parameters: ClassVar[int | None]
    """Parameters outside the embeddings; None where they are not known."""

    @property
    def max_length(self) -> int:
        """Tokens of a text that are read at most: a field."""
        ...


@runtime_checkable
class OfflineCapable(Protocol):
    """A component that can be told to make no connection. Nothing requires it.

    `[run] offline = true` sets the option wherever the recipe does not set it itself.
    """

    @property
    def offline(self) -> bool:
        """Whether it makes no connection: a field."""
        ...


def offline(component: T) -> T:
    """The component, told to make no connection where it can be told."""
    return replace(component, offline=True) if isinstance(component, OfflineCapable) else component  # type: ignore[type-var, return-value]


@runtime_checkable
class Foreseeing(Protocol):
    """A promotion test, backbone or deployer that can tell before any training whether it will do. Nothing requires it."""

    def foresee(self, data: Data) -> None:
        """Look at classes, columns, train and valid rows; the test split is closed.

        Raises: DataError for data that `check` could not judge, PluginError for what is not installed: what, where, and
        how to fix it.
        """
        ...


@runtime_checkable
class Requiring(Protocol):
    """A component that, by its options, needs more than its own distribution does. Nothing requires it."""

    @property
    def requires(self) -> Sequence[str]:
        """Requirements as pip takes them, such as `ftkit[engines]`: they go wherever the component goes."""
        ...
