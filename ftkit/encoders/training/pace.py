"""How long training would take on this machine: by some steps on rows of the lengths that the texts have."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ftkit.encoders import adaptation, long_texts
from ftkit.encoders.batches import ROUND, training_batches
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.encoders.long_texts import flattened
from ftkit.encoders.paired_rows import tokenizer_of
from ftkit.encoders.training import tuning
from ftkit.encoders.training.learner import Learner, find_hardware
from ftkit.encoders.training.loop import fastest_attention, seeded
from ftkit.encoders.training.schedules import evaluation_steps

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Data
    from ftkit.encoders.config import EncoderConfig

TEXTS = 2_000
"""Training texts whose lengths are looked at, evenly spaced."""
TOKENS = 1_024
"""Tokens of a step that is timed, about: enough for the speed of a whole batch."""
QUANTILES = (0.25, 0.9)
"""The lengths that are timed, as quantiles of the rows' lengths: attention costs more per token the longer a row is."""
EVALUATION = 0.35
"""Time of a row in an evaluation, as a share of its time in training. Source: measured on MiniLM, 16 to 512 tokens."""
PATIENCE = 3.0
"""Seconds of a first step after which it is not repeated: the first is slower, as kernels are built for its shape."""


def epoch_seconds(encoder: EncoderConfig, data: Data) -> float | None:
    """Seconds of one epoch and its evaluation, or None where a GPU trains. Raises: CheckpointError, StageError."""
    import numpy as np

    accelerator, number_format = find_hardware(encoder.precision)
    if accelerator.device.type != "cpu":
        return None
    chosen = adaptation.numbers(encoder, data)
    checkpoint = open_checkpoint(encoder)
    tokenizer = tokenizer_of(checkpoint, paired=len(data.fields) > 1)
    texts = data.train.texts[:: -(-len(data.train) // TEXTS) or 1]
    length = min(chosen.max_length, tokenizer.limit)
    lengths = np.array([len(row) for row in flattened(tokenizer.rows(texts, length, long_texts.of(encoder)))[0]])
    windows = len(lengths) / max(len(texts), 1)
    padded = _padded(lengths, chosen.batch_size, tokenizer.limit)
    timed = sorted({int(each) for each in np.quantile(padded, QUANTILES, method="nearest")})
    with seeded(0, accelerator.device):
        attention = fastest_attention(accelerator.device, checkpoint.config.model_type)
        model = tuning.prepared(
            checkpoint.model(data.classes, encoder.dropout, task=data.task, attention=attention), encoder
        )
        tuning.train_mode(model, encoder)
        learner = Learner(model, encoder, accelerator, number_format, 0)
        most = max(chosen.batch_size // encoder.accumulation, 1)
        seconds, update = zip(*(_step(learner, min(max(TOKENS // each, 1), most), each) for each in timed), strict=True)
    row = np.interp(padded, timed, seconds) * np.where(padded > timed[-1], padded / timed[-1], 1.0)
    steps = -(-len(data.train) // chosen.batch_size)
    evaluations = len(evaluation_steps(encoder.evaluate_every, steps, chosen.epochs)) / chosen.epochs
    rows = windows * (len(data.train) + EVALUATION * len(data.valid) * evaluations)
    longest = math.inf if encoder.max_minutes is None else 60 * encoder.max_minutes / chosen.epochs
    return min(float(row.mean() * rows + min(update) * steps), longest)


def _padded(lengths: np.ndarray, batch_size: int, limit: int) -> np.ndarray:
    """Each row's length in its batch, padding included."""
    import numpy as np

    batches = training_batches(lengths, batch_size, np.random.default_rng(0))
    longest = np.concatenate([np.full(len(each), lengths[each].max()) for each in batches])
    return np.minimum(-(-longest // ROUND) * ROUND, limit)


def _step(learner: Learner, rows: int, length: int) -> tuple[float, float]:
    """Seconds of one row of this length in training, and of an optimizer step: the fastest of a few."""
    import torch

    ids = torch.randint(learner.model.config.vocab_size, (rows, length))
    mask, labels = torch.ones_like(ids), torch.zeros(rows, dtype=torch.int64)
    steps: list[tuple[float, float]] = []
    for _ in range(4):
        begun = time.perf_counter()
        learner.backward(torch.nn.functional.cross_entropy(learner.logits(ids, mask), labels))
        computed = time.perf_counter()
        learner.update(0.0)
        steps.append(((computed - begun) / rows, time.perf_counter() - computed))
        if computed - begun > PATIENCE:
            break
    return min(each[0] for each in steps), min(each[1] for each in steps)
