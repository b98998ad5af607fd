"""One trial: fits the backbone with the trial's values, scores every evaluation, and saves the best model.

A worker process on this machine and a step on a cluster call the same `fit`; they differ in what they do with an evaluation.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit import files, options
from ftkit.bundle import answers, contents
from ftkit.contracts import (
    Adapting,
    Backbone,
    Classifier,
    Data,
    EndTraining,
    Report,
    Resumable,
    StopTrial,
    TrialInterrupted,
    capable,
)
from ftkit.contracts.plan import Plan
from ftkit.errors import BundleError, HopelessError, VerbError, in_one_line
from ftkit.plugins.calls import call
from ftkit.plugins.titles import title
from ftkit.redaction import redacted
from ftkit.runs import closed_rows
from ftkit.stages.checkpoints import FOLDER as CHECKPOINTS
from ftkit.stages.checkpoints import TrialCheckpoints

if TYPE_CHECKING:
    import numpy as np

LOG = "trial.log"
"""The log of a trial, in its folder; it stays when everything else of the trial is removed."""


class Answer(NamedTuple):
    """What is said to an evaluation."""

    goes_on: bool
    best: bool
    """Whether it is the trial's best so far."""
    ends: bool = False
    """Of a trial that does not go on: whether its training ends with the best model so far, where the backbone can do so."""


OnEvaluation = Callable[[dict[str, float]], tuple[bool, bool] | Answer]
"""Called with an evaluation: its epoch, every validation metric, and what the backbone adds. Returns an `Answer`, or its first two."""


class Reporter:
    """The report callback of `Backbone.fit`: scores each evaluation, passes it on, and stores the best probabilities."""

    def __init__(self, evaluated: OnEvaluation, data: Data, folder: Path, who: str = "the backbone") -> None:
        self.history: list[Mapping[str, float]] = []
        self.stopped = self.ended = False
        self._evaluated = evaluated
        self._labels, self._task = data.valid.labels, data.task
        self._shape = (len(data.valid), len(data.classes))
        self._folder = folder
        self._who = who
        self._epoch = 0

    def __call__(self, epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
        import numpy as np

        from ftkit.evaluation import decisions, metrics

        if self.ended:  # it was told to end
            self.stopped = True
            raise StopTrial
        probabilities = np.asarray(probabilities)
        if probabilities.shape != self._shape:
            raise HopelessError(f"{self._who} reported probabilities of shape {probabilities.shape}, not {self._shape}")
        if probabilities.dtype.kind == "f" and not np.isfinite(probabilities).all():
            raise HopelessError(f"the training diverged: in epoch {epoch} the probabilities are not finite")
        if wrong := answers.wrong_probabilities(probabilities, *self._shape, self._task):
            raise HopelessError(f"{self._who} reported {wrong}")
        if not isinstance(epoch, Integral):
            raise HopelessError(f"{self._who} reported {epoch!r:.60}, which is no epoch: they are counted from 1")
        if epoch <= self._epoch:
            raise HopelessError(f"{self._who} reported epoch {epoch} after epoch {self._epoch}")
        self._epoch = epoch
        labels = decisions.targets(self._labels, self._shape[1], self._task)
        scores = metrics.scores(probabilities, labels, self._task)
        extra = {name: float(value) for name, value in numbers.items()}
        evaluation = {"epoch": int(epoch), **extra, **scores}
        answer = Answer(*self._evaluated(evaluation))
        self.history.append(evaluation)
        if answer.best:
            self._store(probabilities)
        if answer.ends:
            self.ended = True
            raise EndTraining(answer.best)
        if not answer.goes_on:
            self.stopped = True
            raise StopTrial
        return answer.best

    @property
    def evaluations(self) -> int:
        """How many there were."""
        return len(self.history)

    def best_probabilities(self) -> np.ndarray | None:
        """Those of the best evaluation so far, (validation rows, classes); None before the first."""
        import numpy as np

        path = self._folder / "valid.npy"
        return np.load(path, allow_pickle=False) if path.is_file() else None

    def restore(self, history: Sequence[Mapping[str, float]], best: np.ndarray | None) -> None:
        """Go on after these evaluations."""
        self.history = list(history)
        self._epoch = int(history[-1]["epoch"]) if history else 0
        (self._folder / "valid.npy").unlink(missing_ok=True)
        if best is not None:
            self._store(best)

    def _store(self, probabilities: np.ndarray) -> None:
        import numpy as np

        partial = self._folder / ".valid.partial.npy"
        np.save(partial, probabilities, allow_pickle=False)
        os.replace(partial, self._folder / "valid.npy")


def fit(
    plan: Plan,
    data: Data,
    values: Mapping[str, Any],
    seed: int,
    folder: Path,
    evaluated: OnEvaluation,
    checkpoints: TrialCheckpoints | None = None,
) -> None:
    """Train on the training rows and save the best model, whole or not at all, as `model` in the trial's folder.

    With `checkpoints`, the training goes on from the latest of them. Raises: HopelessError; StopTrial; FtkitError, of which VerbError
    comes of this trial alone.
    """
    if not first_process():
        return follow(plan, data, values, seed, checkpoints)
    folder.mkdir(parents=True, exist_ok=True)
    clear(folder)
    backbone = _backbone(plan, data, values)
    who = title("backbones", backbone)
    report = Reporter(evaluated, data, folder, who)
    if checkpoints is not None:
        checkpoints.evaluations = report
    try:
        classifier = _trained(backbone, data, seed, report, checkpoints)
    except VerbError as error:  # a backbone must not catch StopTrial, but some libraries do
        if report.stopped or report.ended:
            raise StopTrial from error
        if checkpoints is not None and checkpoints.ended:
            raise TrialInterrupted from error
        raise
    if checkpoints is not None and checkpoints.ended:
        raise TrialInterrupted
    if report.stopped:
        raise StopTrial
    if not report.evaluations:
        raise HopelessError(f"{who} ended its training without reporting an evaluation")
    if wrong := answers.wrong_classifier(classifier, data.classes, ("probabilities", "save"), data.task):
        raise BundleError(
            f"fit of {title('backbones', backbone)} returned {wrong}",
            where="[backbone] of the recipe",
            hint="Its author can mend it: the tests of ftkit.testing.backbones show where.",
        )
    with files.atomic_folder(folder / "model") as partial:
        call(Classifier.save, classifier, partial)
        contents.check(partial, contents.names(partial), backbone.name)  # here already, and not after hours of search
    return None


def first_process() -> bool:
    """Whether this process reports and saves: of several that train one model together, the first does."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def follow(
    plan: Plan, data: Data, values: Mapping[str, Any], seed: int, checkpoints: TrialCheckpoints | None = None
) -> None:
    """Train with the first process of a trial of several, which does everything else. Raises: HopelessError; FtkitError."""

    def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
        raise HopelessError(
            f"{title('backbones', plan.drawn(values)[0])} reported an evaluation in a process that is not the first"
        )

    with contextlib.suppress(StopTrial):
        _trained(_backbone(plan, data, values), data, seed, report, checkpoints)


def _backbone(plan: Plan, data: Data, values: Mapping[str, Any]) -> Any:
    """The backbone with the trial's values, and with none left to the data."""
    drawn, fields = plan.drawn(values)
    try:
        backbone = options.changed(drawn, fields)
    except options.Mistakes as error:
        raise HopelessError(f"the values do not fit the backbone: {error}") from error
    return call(Adapting.adapted, backbone, data) if capable(backbone, Adapting) else backbone


def _trained(backbone: Any, data: Data, seed: int, report: Report, checkpoints: TrialCheckpoints | None) -> Classifier:
    with closed_rows.closed():
        if checkpoints is not None and capable(backbone, Resumable):
            return call(Resumable.resume, backbone, data, seed, report, checkpoints)
        return call(Backbone.fit, backbone, data, seed, report)


def clear(folder: Path) -> None:
    """Remove the files of an earlier attempt, except its log and its checkpoints."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in (LOG, CHECKPOINTS):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def line(error: BaseException) -> str:
    """The error of a failed trial in one line, without secrets."""
    if isinstance(error, HopelessError | VerbError):
        return redacted(error.what if isinstance(error, VerbError) else str(error))
    return in_one_line(error)
