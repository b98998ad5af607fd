"""Optional capabilities of components and classifiers.

Each is a protocol. Code asks `capable` before it uses one, and `ftkit.plugins.calls.call` reads its attributes and calls its verbs.
Import them from `ftkit.contracts`. The capabilities of a platform that need the plan, `Refusing` and `Publishing`, are in
`ftkit.contracts.plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from ftkit.contracts.classifier import Classifier, Probabilities
from ftkit.contracts.types import Data, Inspection


@runtime_checkable
class Counting(Protocol):
    """A classifier that counts the tokens it reads of a text. Nothing requires it."""

    def tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Tokens that `probabilities` reads of each text, with special tokens and without padding.

        If the classifier is `Reading` as well, the length of what `read` returns for a text: a server counts by that.
        """
        ...


@runtime_checkable
class Reading(Protocol):
    """A classifier that reads texts and computes in two steps, which a server runs in parallel. Nothing requires it.

    For any texts, `computed(read(texts))` is `probabilities(texts)` except for rounding, whichever rows are computed together.
    """

    @property
    def calls(self) -> int:
        """How many calls of `computed` may run at the same time and are then faster than one after another."""
        ...

    def read(self, texts: Sequence[str]) -> Sequence[Sized]:
        """The model's input for each text; its `len` is its cost, in tokens or in what the model counts."""
        ...

    def together(self, lengths: Sequence[int]) -> Sequence[int]:
        """The indices of the waiting rows, given by their lengths, for the next call; the first row waits longest and is included."""
        ...

    def computed(self, rows: Sequence[Any]) -> Probabilities:
        """Class probabilities of rows that `read` returned, (rows, classes), in one call; more than `calls` calls at a time wait."""
        ...


@runtime_checkable
class Exporting(Protocol):
    """A backbone whose models can be exported to other forms, called engines, that answer faster. Nothing requires it.

    Engines are stored in the folder that `Classifier.save` wrote, so that the bundle's hash covers them; the manifest names them. An
    engine gives nearly the same probabilities as the model: the kit allows a difference of 0.1, or what a test says. The same text gets
    the same answer within 0.0001 whichever texts are in the request. The promotion gate judges whether an engine is near enough.
    """

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that the recipe names: a field, read-only as all fields of a component."""
        ...

    def export(self, folder: Path) -> None:
        """Add these engines to the folder of a saved model; called once in a run, for the selected model.

        Raises: StageError.
        """
        ...

    def load_engine(self, folder: Path, engine: str) -> Classifier:
        """Load an engine that `export` wrote, without loading the model it was made from.

        Its `save` writes the whole saved model with this engine, so that `load` and `load_engine` read it again.
        Raises: BundleError, also for an engine that is not there; PluginError for what is not installed.
        """
        ...


@runtime_checkable
class Paced(Protocol):
    """A deployer whose deployments take longer to start than a process on this machine. Nothing requires it."""

    @property
    def ready_timeout(self) -> float:
        """Seconds that a rollout waits for a deployment, unless the recipe sets it: an attribute of the class."""
        ...

    @property
    def poll(self) -> float:
        """Seconds between two checks of a deployment's health, unless the recipe sets it: an attribute of the class."""
        ...


@runtime_checkable
class Mirroring(Protocol):
    """A deployer that can send copies of the live traffic to a deployment whose answers are dropped. Nothing requires it."""

    @property
    def mirror(self) -> int:
        """Percent of the live traffic that is copied to a new deployment before it gets any itself: a field; 0 copies none."""
        ...

    def mirror_to(self, deployment: str | None) -> None:
        """Begin to send copies to a deployment, or with None end it; `set_traffic` and `delete` end it as well. Raises: DeployError."""
        ...


@runtime_checkable
class Packaging(Protocol):
    """A deployer whose deployments can also be made by hand, from a folder. Nothing requires it."""

    @classmethod
    def package(cls, bundle: Path, folder: Path, engine: str) -> None:
        """Write everything that a deployment of this bundle needs into a folder that is new or empty.

        Raises: PluginError, BundleError.
        """
        ...


@runtime_checkable
class Local(Protocol):
    """A registry or deployer that declares whether it is on the client, the machine of the command. Nothing requires it."""

    @property
    def local(self) -> bool:
        """Whether only the client can use it: a platform that runs elsewhere then leaves the stages that need it to the client."""
        ...


@runtime_checkable
class Confirming(Protocol):
    """A platform that declares whether it trains the repeats of `[search] confirm`. Nothing requires it.

    With any other platform, a recipe with `confirm` is refused when it is loaded.
    """

    @property
    def confirms(self) -> bool:
        """Whether it trains them: an attribute of the class."""
        ...


@runtime_checkable
class Superseded(Protocol):
    """A component whose support has ended, and which another one replaces. Nothing requires it."""

    @property
    def successor(self) -> str:
        """The name of the component to use instead: an attribute of the class."""
        ...


@runtime_checkable
class EngineChoosing(Protocol):
    """A deployer whose recipe option names the engine of the bundle that answers. Nothing requires it."""

    @property
    def engine(self) -> str:
        """An engine, `native`, or `auto`: a field, read-only as all fields of a component."""
        ...


@runtime_checkable
class EpochTrained(Protocol):
    """A backbone that is trained for a number of epochs. Nothing requires it."""

    @property
    def epochs(self) -> int | str:
        """How many times the model is trained on every training row: a field; a text where `adapted` is yet to choose it."""
        ...


@runtime_checkable
class EndingEarly(Protocol):
    """A backbone whose `fit` catches `EndTraining` and returns the best model so far: so the trials that run when a budget is spent
    are not lost. Nothing requires it."""

    @property
    def ends_early(self) -> bool:
        """Whether it does: an attribute of the class."""
        ...


@runtime_checkable
class Estimable(EpochTrained, Protocol):
    """A backbone whose training time can be estimated before any trial has run. Nothing requires it."""

    @property
    def encoder_parameters(self) -> int | None:
        """Number of parameters outside the embeddings; None if it is not known: an attribute of the class."""
        ...

    @property
    def max_length(self) -> int | str:
        """The largest number of tokens that are read of a text: a field; a text where `adapted` is yet to choose it."""
        ...


@runtime_checkable
class Rehearsing(EpochTrained, Protocol):
    """A backbone that measures how long its training would take on this machine, by doing a little of it. Nothing requires it."""

    def epoch_seconds(self, data: Data) -> float | None:
        """Seconds of one epoch on these rows, its evaluation included; None if it cannot be known. Raises: FtkitError."""
        ...


@runtime_checkable
class OfflineCapable(Protocol):
    """A component that can work without any connection. Nothing requires it.

    `[run] offline = true` sets the option unless the recipe sets it itself.
    """

    @property
    def offline(self) -> bool:
        """Whether it makes no connection: a field."""
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """A promotion test, backbone or deployer that checks before training whether it can work. Nothing requires it."""

    def foresee(self, data: Data) -> None:
        """Check classes, columns, train and valid rows; the test split is closed.

        Raises: DataError for data that the component cannot work with, PluginError for what is not installed: what, where, and how
        to fix it.
        """
        ...


@runtime_checkable
class Requiring(Protocol):
    """A component that needs further distributions, depending on its options. Nothing requires it."""

    @property
    def requires(self) -> Sequence[str]:
        """Requirements as pip takes them, such as `ftkit[engines]`: they are installed wherever the component runs."""
        ...


@runtime_checkable
class Inspecting(Protocol):
    """A backbone that says before any training what it will see of the texts. Nothing requires it."""

    def inspect(self, data: Data) -> Inspection:
        """Read the train and valid texts as training would; the test split is closed. Raises: FtkitError."""
        ...


@runtime_checkable
class Adapting(Protocol):
    """A backbone with options that may be left to the data, such as `epochs = "auto"`. Nothing requires it."""

    def adapted(self, data: Data) -> Self:
        """The same backbone with a value in place of every option that is left to the data.

        It looks at the classes and the train rows only, and returns the same values for the same rows.
        """
        ...


@runtime_checkable
class FileReading(Protocol):
    """A data set that reads files of this machine. Nothing requires it."""

    def files(self) -> Mapping[str, Path]:
        """The files by the recipe option that names them; they need not exist."""
        ...


@runtime_checkable
class TextReading(Protocol):
    """A data set whose files can also be read for their texts alone, by `ftkit predict --file`. Nothing requires it."""

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether a file of this name has the form that the data set reads, rather than one text in each line."""
        ...

    @classmethod
    def texts(cls, path: Path, columns: Sequence[str]) -> Iterator[tuple[int, str | None]]:
        """The number and the text of every row, in order: the columns joined as for training, None where there is no text to read.

        The number is that of the line where the row begins, or of the row in formats without lines.

        Raises: DataError, also while the rows are read.
        """
        ...
