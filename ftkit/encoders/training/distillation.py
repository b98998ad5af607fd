"""Distillation: a model learns from the answers of another one beside the labels, on texts without labels as well.

Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import pairs, plugins
from ftkit.bundle import bundle as bundles
from ftkit.contracts import CHAMPION, TextReading
from ftkit.errors import DataError, LedgerError
from ftkit.plugins.calls import call

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ftkit.bundle.bundle import Bundle
    from ftkit.contracts import Data
    from ftkit.encoders.config import EncoderConfig
    from ftkit.encoders.tokenization import TokenizedSplit
    from ftkit.encoders.training.losses import TrainingLoss

TEACHER = "teacher"
"""The folder of the champion's bundle among what is derived from the data: see `ftkit.runs.teacher`."""
_TEXTS = 4096
"""Texts that the teacher answers at a time."""
_LEAST = 1e-7
"""Least probability of a teacher's answer: an answer that excludes a class teaches an infinite logit."""


class JoinedRows:
    """The rows of several tokenized splits, one after the other, as `TokenizedSplit` has those of one."""

    def __init__(self, splits: Sequence[TokenizedSplit]) -> None:
        import numpy as np

        self._splits = splits
        self.lengths = np.concatenate([split.lengths for split in splits])
        self._ends = np.cumsum([len(split) for split in splits])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def windows(self) -> np.ndarray:
        """How many rows each text has."""
        import numpy as np

        return np.concatenate([split.windows for split in self._splits])

    def rows(self, indices: Sequence[int] | np.ndarray) -> list[Any]:
        """What a split's own `rows` returns for its part of these."""
        import numpy as np

        owners = np.searchsorted(self._ends, indices, side="right")
        starts = [0, *self._ends]
        return [
            row
            for owner, index in zip(owners, indices, strict=True)
            for row in self._splits[owner].rows([index - starts[owner]])
        ]


class DistillationLoss:
    """Learns the labels by `hard` and the teacher's answers by their divergence; rows after the labelled ones have these alone."""

    def __init__(
        self, hard: TrainingLoss, labelled: int, answers: torch.Tensor, several: bool, weight: float, temperature: float
    ) -> None:
        """`answers` are the teacher's probabilities, (rows, classes), of `several` labels a row or of one; `weight` is their share."""
        self._hard, self._labelled = hard, labelled
        answers = answers.clamp(_LEAST, 1 - _LEAST)
        self._logits = answers.logit() if several else answers.log()
        self._several, self._weight, self._temperature = several, weight, temperature

    def of_rows(self, logits: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        import torch

        temperature = self._temperature
        own, wanted = logits / temperature, self._logits[rows] / temperature
        if self._several:
            soft = torch.nn.functional.binary_cross_entropy_with_logits(own, wanted.sigmoid(), reduction="none").mean(1)
        else:
            divergences = torch.nn.functional.kl_div(
                own.log_softmax(-1), wanted.log_softmax(-1), reduction="none", log_target=True
            )
            soft = divergences.sum(1)
        losses = self._weight * temperature**2 * soft  # the square keeps the size of the gradients, section 2
        labelled = torch.as_tensor(rows < self._labelled, device=logits.device)
        if rows.size and bool(labelled.any()):
            hard = self._hard.of_rows(logits[labelled], rows[rows < self._labelled])
            losses = losses.index_add(0, labelled.nonzero()[:, 0], (1 - self._weight) * hard)
        return losses

    def weight(self, rows: np.ndarray) -> torch.Tensor:
        import torch

        return torch.tensor(float(len(rows)), device=self._logits.device)


def taught(
    encoder: EncoderConfig,
    data: Data,
    read: Callable[[Sequence[str]], TokenizedSplit],
    hard: TrainingLoss,
    device: torch.device,
) -> tuple[JoinedRows, DistillationLoss]:
    """The rows to train on, and their loss. Raises: DataError, BundleError, LedgerError."""
    import numpy as np
    import torch

    further = unlabelled_texts(encoder, data.fields)
    answers = teacher_answers(encoder, data, further)
    rows = JoinedRows([read(data.train.texts), *([read(further)] if further else [])])
    probabilities = torch.as_tensor(np.array(answers), device=device)
    several = data.task == "multi-label"
    share, temperature = encoder.distillation_weight, encoder.distillation_temperature
    return rows, DistillationLoss(hard, len(data.train), probabilities, several, share, temperature)


def check(encoder: EncoderConfig, data: Data) -> None:
    """Check before any training that the teacher answers as the data ask, and that the texts can be read.

    Raises: DataError, BundleError. The champion is not there yet where no run has begun.
    """
    folder = teacher_folder(encoder, data)
    if folder is not None:
        _verified(folder, data)
    if encoder.unlabelled is not None and not unlabelled_texts(encoder, data.fields):
        raise DataError("the file has no text", where=str(encoder.unlabelled), hint="Name another, or leave it out.")


def teacher_folder(encoder: EncoderConfig, data: Data) -> Path | None:
    """The bundle to learn from; None for a champion that is not fetched yet."""
    if encoder.teacher != CHAMPION:
        return Path(str(encoder.teacher))
    folder = data.cache / TEACHER if data.cache is not None else None
    return folder if folder is not None and folder.is_dir() else None


def teacher_answers(encoder: EncoderConfig, data: Data, further: Sequence[str]) -> np.ndarray:
    """The teacher's probabilities of training and further texts, (rows, classes), float32; computed once in a run.

    Raises: DataError, BundleError, LedgerError.
    """
    import filelock
    import numpy as np

    folder = teacher_folder(encoder, data)
    if folder is None:
        raise DataError(
            "the champion's bundle is not in the run's folder",
            where="backbone.teacher",
            hint="Begin the run again with --fresh, or name the folder of a bundle.",
        )
    bundle = _verified(folder, data)
    if data.cache is None:
        return np.concatenate([*_answered(bundle, data, data.train.texts), *_answered(bundle, data, further)])
    digest = hashlib.sha256(f"{bundle.hash} {data.report.fingerprint} {len(data.train)}".encode())
    for text in further:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    path = data.cache / f"answers-{digest.hexdigest()[:20]}.npy"
    try:
        with filelock.FileLock(data.cache / f".{path.name}.lock"):  # trials that start together wait for the first
            if not path.is_file():
                answers = [*_answered(bundle, data, data.train.texts), *_answered(bundle, data, further)]
                partial = path.with_name(f".{path.name}")
                np.save(partial, np.concatenate(answers), allow_pickle=False)
                partial.replace(path)
    except OSError as error:
        raise LedgerError(
            f"the teacher's answers cannot be stored: {error.strerror or error}",
            where=str(data.cache),
            hint="Make room, or set FTKIT_HOME to a larger disk, then give the same command.",
        ) from error
    answers_on_disk: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return answers_on_disk


def unlabelled_texts(encoder: EncoderConfig, fields: Sequence[str] = pairs.TEXT) -> list[str]:
    """The texts of the file without labels: rows of a table, or lines; none where no file is named. Raises: DataError; PluginError."""
    path, paired = encoder.unlabelled, len(fields) > 1
    if path is None:
        return []
    if paired and len(encoder.unlabelled_text) != 2:
        raise DataError(
            f"the rows are pairs, {' and '.join(fields)}, and unlabelled_text names {len(encoder.unlabelled_text)} of two columns",
            where="backbone.unlabelled_text",
            hint=f"Name both columns of the table, as in unlabelled_text = {json.dumps([*fields])}.",
        )
    installed = plugins.load()
    for name in installed.names("datasets"):
        reader: Any = installed.find("datasets", name)
        if issubclass(reader, TextReading) and call(TextReading.reads, reader, path):  # type: ignore[call-arg]  # a class method
            names = encoder.unlabelled_text
            columns: list[tuple[str, ...]] = [(name,) for name in names] if paired else [names]
            sides = [call(TextReading.texts, reader, path, each) for each in columns]  # type: ignore[call-arg, arg-type]  # a class method
            rows = ([text for _, text in row] for row in zip(*sides, strict=True))
            whole = [texts for texts in rows if all(text and text.strip() for text in texts)]
            return [pairs.join(*map(str, texts)) if paired else str(texts[0]) for texts in whole]
    if paired:
        raise DataError("pairs without labels are the rows of a table, and this is none", where=str(path))
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file if line.strip()]
    except OSError as error:
        raise DataError(f"the texts cannot be read: {error.strerror}", where=str(path)) from error


def _verified(folder: Path, data: Data) -> Bundle:
    """The teacher. Raises: BundleError; DataError unless it answers with the classes and the task of the data."""
    from ftkit.data.class_names import shown_name
    from ftkit.formatting import listing

    bundle = bundles.verify(folder)
    if {*bundle.classes} != {*data.classes} or bundle.task != data.task:
        names = [listing(map(shown_name, classes), 10) for classes in (bundle.classes, data.classes)]
        raise DataError(
            f"the teacher is a {bundle.task} model of the classes {names[0]}; the data are {data.task} with {names[1]}",
            where="backbone.teacher",
            hint="Name a bundle that was trained on the same classes.",
        )
    if bundle.fields != data.fields:
        read, have = (" and ".join(names) for names in (bundle.fields, data.fields))
        raise DataError(
            f"the teacher reads {read}; the rows have {have}",
            where="backbone.teacher",
            hint="Name a bundle that was trained on rows of the same form.",
        )
    return bundle


def _answered(bundle: Bundle, data: Data, texts: Sequence[str]) -> Iterator[np.ndarray]:
    """Its probabilities, some texts at a time, columns in the order of the data's classes."""
    import numpy as np

    columns = [bundle.classes.index(name) for name in data.classes]
    for begin in range(0, len(texts), _TEXTS):
        some = [texts[index] for index in range(begin, min(begin + _TEXTS, len(texts)))]
        yield np.asarray(bundle.probabilities(some), dtype=np.float32)[:, columns]
