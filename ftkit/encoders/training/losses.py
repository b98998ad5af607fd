"""The losses that training minimises, chosen in one place: by the task of the data and the options of the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

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
    """The loss that these options ask for on these rows, on the device of the model."""
    return CrossEntropy(data.train.labels, class_weights(encoder, data), device)


class CrossEntropy:
    """One class a row; the loss of a batch is the mean weighted by the weights of the rows' classes."""

    def __init__(self, labels: Any, weights: np.ndarray, device: torch.device) -> None:
        """`labels` are class indices, (train rows,), and `weights` those of the classes, (classes,)."""
        import numpy as np
        import torch

        self._labels = torch.as_tensor(np.asarray(labels, dtype=np.int64), device=device)
        self._weights = torch.as_tensor(weights, device=device)

    def of_rows(self, logits: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        import torch

        return torch.nn.functional.cross_entropy(logits, self._labels[rows], self._weights, reduction="none")

    def weight(self, rows: np.ndarray) -> torch.Tensor:
        return self._weights[self._labels[rows]].sum()


def class_weights(encoder: EncoderConfig, data: Data) -> np.ndarray:
    """Each class's weight in the loss, (classes,), fp32: ones, or rows / (classes × rows of the class).

    Source: King and Zeng 2001, "Logistic Regression in Rare Events Data"; scikit-learn's `class_weight="balanced"`.
    """
    import numpy as np

    count = len(data.classes)
    if encoder.class_weights == "none":
        return np.ones(count, dtype=np.float32)
    rows = np.bincount(np.asarray(data.train.labels, dtype=np.int64), minlength=count)
    return (len(data.train) / (count * np.maximum(rows, 1))).astype(np.float32)
