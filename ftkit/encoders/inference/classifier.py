"""A fine-tuned encoder that answers texts by torch: every request runs through it, so nothing is built per request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.encoders import long_texts as ways
from ftkit.encoders import packing
from ftkit.encoders import temperature as temperatures
from ftkit.encoders.batches import pad
from ftkit.encoders.inference import token_budget
from ftkit.encoders.long_texts import HEAD_ONLY, LongTexts, Pooling, Windows, flattened, pooled
from ftkit.encoders.paired_rows import inputs, tokenizer_of
from ftkit.encoders.task import reads_pairs, task_of
from ftkit.encoders.tokenization import Tokenizer
from ftkit.errors import BundleError, CheckpointError

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Probabilities, Task

BUDGET = 512
"""Tokens of one call, padding included: more make a processor slower."""
DEVICE_BUDGET = 16 * 1024
"""The same for an accelerator, which small calls leave idle; fewer where its memory does not hold so many."""
EVALUATION_BUDGET = 1024
"""Tokens that a processor computes at once in an evaluation."""


class EncoderClassifier:
    """Computes class probabilities of texts. Threads may share it: nothing in it changes while it answers."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        length: int,
        *,
        temperature: float = 1.0,
        long_texts: LongTexts = HEAD_ONLY,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.length = length
        """Tokens of a row, special ones included."""
        self.long_texts = long_texts
        """What is read of a text that is longer than a row."""
        self.temperature = temperature
        """What the logits are divided by: above 1 the answers are the same, and less certain."""
        self.classes: tuple[str, ...] = tuple(model.config.id2label[index] for index in range(model.config.num_labels))
        self.task: Task = task_of(model.config)
        self._budget = BUDGET if model.device.type == "cpu" else device_budget(model, length, free_memory(model.device))

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes), float64; empty, endless and broken texts are answered too."""
        import numpy as np

        rows = self.read(texts)
        probabilities = np.empty((len(rows), len(self.classes)))
        for batch in token_budget.batches(list(map(len, rows)), self._budget):
            probabilities[batch] = self.computed([rows[index] for index in batch])
        return probabilities

    @property
    def calls(self) -> int:
        """One at a time: torch spreads a call over all of its threads."""
        return 1

    def read(self, texts: Sequence[str]) -> list[np.ndarray | Windows]:
        """Each text's row of token ids, or its windows."""
        return self.tokenizer.rows(texts, self.length, self.long_texts)

    def together(self, lengths: Sequence[int]) -> list[int]:
        """Indices of the waiting rows for the next call: of similar length on a CPU, of any on an accelerator."""
        max_padding = token_budget.MAX_PADDING if self.model.device.type == "cpu" else 1.0
        return token_budget.next_batch(lengths, self._budget, max_padding)

    def computed(self, rows: Sequence[np.ndarray | Windows]) -> Probabilities:
        """Class probabilities of what was read of texts, (texts, classes)."""
        most = max(sum(flattened(rows)[1]), 1)
        pooling = self.long_texts.pooling
        logits = compute_logits(self.model, rows, self.tokenizer, self.length, len(self.classes), most, pooling)
        return probabilities_of(logits, self.task, self.temperature)

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text that the model reads, special ones included."""
        return self.tokenizer.lengths(texts, self.length, self.long_texts)

    def save(self, folder: Path) -> None:
        """Write the weights, config.json, the tokenizer's files, a temperature, how long texts are read. Raises: OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder, max_shard_size="100GB")
        self.tokenizer.wrapped.model_max_length = self.length  # a loaded model then reads as much as it was trained on
        self.tokenizer.wrapped.save_pretrained(folder)
        temperatures.save(self.temperature, folder)
        ways.save(self.long_texts, folder)


def compute_logits(
    model: Any,
    texts: Sequence[np.ndarray | Windows],
    tokenizer: Tokenizer,
    limit: int,
    classes: int,
    max_rows: int,
    pooling: Pooling = "mean",
) -> np.ndarray:
    """Logits of what was read of texts, (texts, classes), float64, in their order; at most `max_rows` rows at once."""
    import numpy as np
    import torch

    rows, counts = flattened(texts)
    logits = np.empty((len(rows), classes))
    device = model.device
    budget = EVALUATION_BUDGET if device.type == "cpu" else max_rows * limit
    waiting = token_budget.batches(list(map(len, rows)), budget, max_rows)[::-1]
    with torch.inference_mode():
        while waiting:
            batch = waiting.pop()
            ids, mask = pad([rows[index] for index in batch], tokenizer.padding, limit, tokenizer.side)
            try:
                if packed := packing.known(model):
                    output = packed.logits(model, inputs(ids, mask), device)
                else:
                    named = inputs(ids, None if bool(mask.all()) else mask)  # a mask of ones costs work without effect
                    output = model(**{name: each if each is None else each.to(device) for name, each in named.items()})
                logits[batch] = output.logits.cpu().double().numpy()  # (batch, classes)
            except torch.OutOfMemoryError:  # another process may have taken what was free before
                if len(batch) == 1:
                    raise
                waiting += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
    return pooled(logits, counts, pooling)


def free_memory(device: Any) -> int:
    """Bytes of an accelerator that a call may take: the free ones, and those that torch has kept for itself."""
    import torch

    free: int = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def device_budget(model: Any, length: int, free: int) -> int:
    """Tokens of one call for which half of the free bytes suffices, from those of one row to `DEVICE_BUDGET`.

    A token takes, at the most, eight vectors of the layers' width (the layer's input, query, key, value, context, their product, sum and
    normalisation) and two of the width between them, all in the format of the weights; where rows are padded also its scores with all
    tokens of its row, of each head: in single precision and in that format, and for DeBERTa two more, by relative position.
    """
    config, width = model.config, model.dtype.itemsize
    hidden = config.hidden_size
    token = width * (8 * hidden + 2 * getattr(config, "intermediate_size", 4 * hidden))
    if packing.known(model) is None:
        scores = 4 + width + (2 * width if "deberta" in config.model_type else 0)
        token += config.num_attention_heads * length * scores
    return min(max(free // 2 // token, length), DEVICE_BUDGET)


def probabilities_of(logits: np.ndarray, task: Task, temperature: float = 1.0) -> Probabilities:
    """Class probabilities of logits, (rows, classes), after dividing them by the temperature."""
    import numpy as np

    if task == "multi-label":
        return 0.5 * (1 + np.tanh(logits / (2 * temperature)))  # the sigmoid, without overflow
    return softmax(logits, temperature)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> Probabilities:
    """Probabilities of classes that exclude each other, (rows, classes), after dividing the logits by the temperature."""
    import numpy as np

    raised = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return raised / raised.sum(axis=1, keepdims=True)


def load(folder: Path) -> EncoderClassifier:
    """The classifier that `save` wrote to a folder; nothing is read from elsewhere. Raises: BundleError."""
    import torch

    from ftkit.encoders import checkpoint

    try:
        if not folder.is_dir():
            raise CheckpointError("there is no such folder", where=str(folder))
        saved = checkpoint.read(folder)
        packable = torch.cuda.is_available() and saved.config.model_type in packing.ARCHITECTURES
        attention = packing.register() if packable else None
        model = saved.model(saved.classes, task=task_of(saved.config), complete=True, attention=attention)
        tokenizer = tokenizer_of(saved, paired=reads_pairs(saved.config))
        temperature, long_texts = temperatures.load(folder), ways.load(folder)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be loaded: {error.what}",
            where=error.where or str(folder),
            hint="Fetch the bundle again from the registry, or run the recipe again.",
        ) from error
    if torch.cuda.is_available():
        model = model.to("cuda")
        packing.of(model.eval())
    logging.getLogger(__name__).debug("loaded %s on %s", folder, model.device)
    return EncoderClassifier(model, tokenizer, saved.limit, temperature=temperature, long_texts=long_texts)
