"""The losses that training minimises, chosen in one place: by the task of the data and the options of the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ftkit.errors import DataError
from ftkit.evaluation.decisions import targets

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ftkit.contracts import Data
    from ftkit.encoders.config import EncoderConfig


class TrainingLoss(Protocol):
    """The loss of the training rows, which are named by their indices: that of a batch is Σ `of_rows` / `weight`."""

    def of_rows(self, logits: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """The weighted loss of each row, fp32, (rows,), of its logits, (rows, outputs of the head)."""
        ...

    def weight(self, rows: np.ndarray) -> torch.Tensor:
        """What the losses of the rows of a batch are divided by, fp32, ()."""
        ...


def training_loss(encoder: EncoderConfig, data: Data, device: torch.device) -> TrainingLoss:
    """The loss that these options ask for on these rows, on the device of the model. Raises: DataError."""
    gamma = encoder.focal_gamma if encoder.loss == "focal" else None
    if data.task == "multi-label":
        labels = targets(data.train.labels, len(data.classes), data.task)
        return BinaryCrossEntropy(labels, class_weights(encoder, data), device, encoder.label_smoothing, gamma)
    return CrossEntropy(data.train.labels, class_weights(encoder, data), device, encoder.label_smoothing, gamma)


class CrossEntropy:
    """One class a row; the loss of a batch is the mean weighted by the weights of the rows' classes."""

    def __init__(
        self, labels: Any, weights: np.ndarray, device: torch.device, smoothing: float = 0.0, gamma: float | None = None
    ) -> None:
        """`labels` are class indices, (train rows,), and `weights` those of the classes, (classes,); `gamma` makes it focal.

        Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 7, on smoothing; Lin et
        al. 2017, "Focal Loss for Dense Object Detection", section 3.
        """
        import numpy as np
        import torch

        self._labels = torch.as_tensor(np.asarray(labels, dtype=np.int64), device=device)
        self._weights = torch.as_tensor(weights, device=device)
        self._smoothing, self._gamma = smoothing, gamma

    def of_rows(self, logits: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        import torch

        labels = self._labels[rows]
        losses = torch.nn.functional.cross_entropy(
            logits, labels, self._weights, reduction="none", label_smoothing=self._smoothing
        )
        if self._gamma is None:
            return losses
        missing = 1 - logits.softmax(-1).gather(1, labels[:, None])[:, 0]  # 1 - probability of the row's class
        return losses * focus(missing, self._gamma)

    def weight(self, rows: np.ndarray) -> torch.Tensor:
        return self._weights[self._labels[rows]].sum()


class BinaryCrossEntropy:
    """Any number of labels a row; the loss of a row is the mean over the decisions on each label, and that of a batch over its rows."""

    def __init__(
        self, labels: np.ndarray, weights: np.ndarray, device: torch.device, smoothing: float, gamma: float | None
    ) -> None:
        """`labels` are 0 and 1, (train rows, classes), and `weights` those of the rows that have a label, (classes,)."""
        import torch

        smoothed = labels * (1 - smoothing) + smoothing / 2
        self._labels = torch.as_tensor(smoothed, dtype=torch.float32, device=device)
        self._weights = torch.as_tensor(weights, device=device)
        self._gamma = gamma

    def of_rows(self, logits: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        import torch

        labels = self._labels[rows]
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, labels, pos_weight=self._weights, reduction="none"
        )
        if self._gamma is not None:
            losses = losses * focus((labels - logits.sigmoid()).abs(), self._gamma)
        return losses.mean(1)

    def weight(self, rows: np.ndarray) -> torch.Tensor:
        import torch

        return torch.tensor(float(len(rows)), device=self._weights.device)


def focus(missing: torch.Tensor, gamma: float) -> torch.Tensor:
    """The factor of the focal loss, where `missing` is what the probability of the right answer lacks to 1.

    Never of zero alone, whose power below 1 has no gradient.
    """
    return missing.clamp(min=1e-6) ** gamma


def class_weights(encoder: EncoderConfig, data: Data) -> np.ndarray:
    """Each class's weight in the loss, (classes,), fp32: ones, or rows / (classes × rows of the class), or those given by name.

    Of several labels a row it is the weight of the rows that have the label, balanced: rows without it / rows with it.

    Source: King and Zeng 2001, "Logistic Regression in Rare Events Data"; scikit-learn's `class_weight="balanced"`.
    Raises: DataError for a name that no class has.
    """
    import numpy as np

    count, wanted = len(data.classes), encoder.class_weights
    if isinstance(wanted, Mapping):
        check_names(wanted, data)
        return np.array([wanted.get(name, 1.0) for name in data.classes], dtype=np.float32)
    if wanted == "none":
        return np.ones(count, dtype=np.float32)
    rows = np.bincount(np.fromiter(data.train.each_label(), dtype=np.int64), minlength=count)
    if data.task == "multi-label":
        return ((len(data.train) - rows) / np.maximum(rows, 1)).clip(1e-3).astype(np.float32)
    return (len(data.train) / (count * np.maximum(rows, 1))).astype(np.float32)


def check_names(weights: Mapping[str, float], data: Data) -> None:
    """Raises: DataError for a name that no class has."""
    from ftkit.data.class_names import shown_name
    from ftkit.formatting import listing

    if unknown := [name for name in weights if name not in data.classes]:
        raise DataError(
            f"class_weights names {listing(map(shown_name, unknown), 5)}, which is no class of the data",
            where="backbone.class_weights",
            hint=f"The classes are {listing(map(shown_name, data.classes), 20)}.",
        )
