"""A fine-tuned encoder answering texts: the hot path of every endpoint, so nothing is built per request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.encoders import temperature as temperatures
from ftkit.encoders.batches import pad
from ftkit.encoders.inference.token_budget import WASTE, portions, together
from ftkit.encoders.tokenization import Words
from ftkit.errors import BundleError, CheckpointError

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Probabilities

BUDGET = 512
"""Tokens computed at once, padding included: more make a processor slower."""
DEVICE_BUDGET = 16 * 1024
"""The same for an accelerator, which is idle unless it has much to do."""
EVALUATION_BUDGET = 1024
"""Tokens of an evaluation that a processor computes at once."""


class EncoderClassifier:
    """Texts in, class probabilities out. Threads may share it: nothing in it changes while it answers."""

    def __init__(self, model: Any, words: Words, length: int, *, temperature: float = 1.0) -> None:
        self.model = model.eval().requires_grad_(False)
        self.words = words
        self.length = length
        self.temperature = temperature
        """What the logits are divided by: above 1 the answers are less certain, and the same."""
        self.classes: tuple[str, ...] = tuple(model.config.id2label[index] for index in range(model.config.num_labels))

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes), float64; empty, endless and broken texts are answered too."""
        import numpy as np

        rows = self.read(texts)
        found = np.empty((len(rows), len(self.classes)))
        for portion in portions(list(map(len, rows)), self._budget):
            found[portion] = self.computed([rows[index] for index in portion])
        return found

    @property
    def calls(self) -> int:
        """One at a time: torch spreads a call over all threads that it has."""
        return 1

    def read(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text's tokens."""
        return [self.words.row(own, self.length) for own in self.words.own(texts)]

    def together(self, lengths: Sequence[int]) -> list[int]:
        """Rows of like length; an accelerator takes what there is."""
        return together(lengths, self._budget, WASTE if self._budget == BUDGET else 1.0)

    def computed(self, rows: Sequence[np.ndarray]) -> Probabilities:
        """Class probabilities of tokenised texts, (rows, classes), in one call of the model."""
        found = logits(self.model, rows, self.words, self.length, len(self.classes), max(len(rows), 1))
        return softmax(found, self.temperature)

    @property
    def _budget(self) -> int:
        return BUDGET if self.model.device.type == "cpu" else DEVICE_BUDGET

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text that the model reads, special ones included."""
        return self.words.lengths(texts, self.length)

    def save(self, folder: Path) -> None:
        """Write model.safetensors, config.json, the tokenizer's files and a temperature. Raises: OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder, max_shard_size="100GB")
        self.words.tokenizer.model_max_length = (
            self.length
        )  # so that whoever loads it reads as much as it was trained on
        self.words.tokenizer.save_pretrained(folder)
        temperatures.save(self.temperature, folder)


def logits(model: Any, rows: Sequence[np.ndarray], words: Words, limit: int, classes: int, size: int) -> np.ndarray:
    """Logits of tokenised rows, (rows, classes), float64, in their order; at most `size` rows of like length are computed together."""
    import numpy as np
    import torch

    found = np.empty((len(rows), classes))
    device = model.device
    budget = EVALUATION_BUDGET if device.type == "cpu" else size * limit
    with torch.inference_mode():
        for batch in portions(list(map(len, rows)), budget, size):
            ids, mask = pad([rows[index] for index in batch], words.padding, limit, words.side)  # (batch, length)
            masked = None if bool(mask.all()) else mask.to(device)  # a mask of ones is work without effect
            computed = model(input_ids=ids.to(device), attention_mask=masked).logits  # (batch, classes)
            found[batch] = computed.cpu().double().numpy()
    return found


def softmax(logits: np.ndarray, temperature: float = 1.0) -> Probabilities:
    """Class probabilities of logits, (rows, classes), after dividing them by the temperature."""
    import numpy as np

    raised = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return raised / raised.sum(axis=1, keepdims=True)


def load(folder: Path) -> EncoderClassifier:
    """A classifier from the folder `save` wrote: no network, nothing from elsewhere. Raises: BundleError."""
    import torch

    from ftkit.encoders import checkpoint

    try:
        if not folder.is_dir():
            raise CheckpointError("there is no such folder", where=str(folder))
        saved = checkpoint.read(folder)
        names = saved.config.id2label
        classes = tuple(names[index] for index in range(len(names)))
        model = saved.model(classes, complete=True)
        temperature = temperatures.load(folder)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be loaded: {error.what}",
            where=error.where or str(folder),
            hint="Fetch the bundle again from the registry, or run the recipe again.",
        ) from error
    if torch.cuda.is_available():
        model = model.to("cuda")
    logging.getLogger(__name__).debug("loaded %s on %s", folder, model.device)
    words = Words(saved.tokenizer, saved.limit)
    return EncoderClassifier(model, words, saved.limit, temperature=temperature)
