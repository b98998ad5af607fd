"""An encoder as a backbone: what a run does with the options of `EncoderConfig`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from ftkit.contracts import TASKS, Task
from ftkit.encoders.config import EncoderConfig

if TYPE_CHECKING:
    from ftkit.contracts import Checkpoints, Classifier, Data, Inspection, Report


@dataclass(frozen=True, kw_only=True)
class Encoder(EncoderConfig):
    """A Hugging Face encoder with a classification head, fine-tuned as a whole.

    A subclass names a checkpoint and is a backbone; it may change any default. Options that are "auto" follow the
    training rows. Other defaults are those of Devlin et al. 2019, "BERT", section A.3 (fine-tuning), and of its released
    code where the paper gives none.
    """

    tasks: ClassVar[tuple[Task, ...]] = TASKS
    reads_pairs: ClassVar[bool] = True

    def fit(self, data: Data, seed: int, report: Report) -> Classifier:
        """Fine-tune on `data.train`, evaluate on `data.valid` after every epoch, and return the best weights.

        The same seed gives the same weights on a CPU. Raises: CheckpointError, StageError; StopTrial passes through.
        """
        from ftkit.encoders.process_environment import set_thread_waiting

        set_thread_waiting()
        from ftkit.encoders.training.loop import fit

        return fit(self, data, seed, report)

    def resume(self, data: Data, seed: int, report: Report, checkpoints: Checkpoints) -> Classifier:
        """Train as `fit` does, from the latest checkpoint. Raises: as `fit`; TrialInterrupted passes through."""
        from ftkit.encoders.process_environment import set_thread_waiting

        set_thread_waiting()
        from ftkit.encoders.training.loop import fit

        return fit(self, data, seed, report, checkpoints)

    def adapted(self, data: Data) -> Self:
        """The encoder with a number in place of every "auto", see `ftkit.encoders.adaptation`. Raises: CheckpointError."""
        from ftkit.encoders import adaptation

        return replace(self, **asdict(adaptation.numbers(self, data)))

    def inspect(self, data: Data) -> Inspection:
        """What the encoder will see of the texts, see `ftkit.encoders.inspection`. Raises: CheckpointError."""
        from ftkit.encoders.process_environment import set_thread_waiting

        set_thread_waiting()
        from ftkit.encoders import inspection

        return inspection.inspect(self, data)

    def epoch_seconds(self, data: Data) -> float | None:
        """Seconds of one epoch on this machine, see `ftkit.encoders.training.pace`. Raises: CheckpointError, StageError."""
        from ftkit.encoders.process_environment import set_thread_waiting

        set_thread_waiting()
        from ftkit.encoders.training import pace

        return pace.epoch_seconds(self, data)

    def load(self, folder: Path) -> Classifier:
        """Read back what `save` wrote, from this folder and nowhere else. Raises: BundleError."""
        from ftkit.encoders.process_environment import set_thread_waiting

        set_thread_waiting()
        from ftkit.encoders.inference.classifier import load

        return load(folder)

    @property
    def requires(self) -> tuple[str, ...]:
        """What trains this way, exports these engines and computes with them: extras, and ftkit-native."""
        packed = [engine for engine in self.engines if engine.startswith("packed-")]
        return (
            *["ftkit[engines]"] * (len(packed) < len(self.engines)),
            *["ftkit-native"] * bool(packed),
            *["ftkit[lora]"] * (self.tuning == "lora"),
        )

    def foresee(self, data: Data) -> None:
        """Check before any training that the packages are installed, and that model and data have what the options name.

        Raises: PluginError, CheckpointError, DataError.
        """
        if self.engines:
            from ftkit.encoders.export import engines

            engines.require_packages(self.engines)
        from ftkit.encoders import licence
        from ftkit.encoders.training import foresight

        licence.check(self)
        foresight.check(self, data)

    def export(self, folder: Path) -> None:
        """Add the engines to what `save` wrote. Raises: PluginError, BundleError, StageError."""
        from ftkit.encoders.process_environment import set_thread_waiting

        set_thread_waiting()
        from ftkit.encoders.export import engines

        engines.export(folder, self.engines)

    def load_engine(self, folder: Path, engine: str) -> Classifier:
        """Open an engine that `export` wrote. Raises: PluginError, BundleError."""
        from ftkit.encoders.process_environment import set_thread_waiting

        set_thread_waiting()
        from ftkit.encoders.inference import engines

        return engines.load(folder, engine)
