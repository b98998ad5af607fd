"""Fine-tuning: one loop, read from top to bottom."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ftkit.encoders import temperature as temperatures
from ftkit.encoders.batches import pad, training_batches
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.encoders.inference.classifier import EncoderClassifier, softmax
from ftkit.encoders.inference.classifier import logits as logits_of
from ftkit.encoders.tokenization import Words, tokenised
from ftkit.encoders.training.distributed import agreed, gathered
from ftkit.encoders.training.learner import Learner, accelerator
from ftkit.errors import StageError

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Data, Report
    from ftkit.encoders.config import EncoderConfig

log = logging.getLogger(__name__)


def fit(encoder: EncoderConfig, data: Data, seed: int, report: Report) -> EncoderClassifier:
    """Fine-tune `encoder` on `data`; the weights of the evaluation that `report` called the best.

    Runs on the CPU, on one GPU, or, where `accelerate launch` or `torchrun` started several processes and each calls
    this with the same arguments, on several; `report` is asked in the first of them.
    Raises: CheckpointError; StageError when memory runs out or the loss is no number; StopTrial passes through.
    """
    import torch

    try:
        return train(encoder, data, seed, report)
    except torch.OutOfMemoryError as error:
        raise StageError(
            f"the GPU's memory does not hold a step of {encoder.batch_size} rows of up to {encoder.max_length} tokens",
            where="backbone",
            hint=f"Set accumulation = {2 * encoder.accumulation}, which changes nothing else, or lower backbone.batch_size "
            "or backbone.max_length.",
        ) from error


def train(encoder: EncoderConfig, data: Data, seed: int, report: Report) -> EncoderClassifier:
    """The loop. Raises: as `fit`, and torch's own errors."""
    import numpy as np
    import torch

    processes, number_format = accelerator(encoder.precision)
    ranks, rank, device = processes.num_processes, processes.process_index, processes.device
    checkpoint = open_checkpoint(encoder)
    words = Words(checkpoint.tokenizer, checkpoint.limit)
    length = min(encoder.max_length, words.limit)
    rows = tokenised(data.train.texts, words, length, data.cache)
    valid = tokenised(data.valid.texts, words, length, data.cache)
    lengths = rows.lengths  # (train rows,)
    labels = torch.as_tensor(np.asarray(data.train.labels, dtype=np.int64), device=device)  # (train rows,)
    weights = torch.as_tensor(class_weights(encoder, data), device=device)  # (classes,)

    with seeded(seed, device):
        model = checkpoint.model(data.classes, encoder.dropout, attention=fastest_attention(device))
        learner = Learner(model, encoder, processes, number_format, seed)
        random = np.random.default_rng(seed)
        batches = -(-len(rows) // encoder.batch_size)
        step, stale, temperature, best = 0, 0, 1.0, None
        log.info("%s: %d rows, %d batches, %s on %s", encoder.name, len(rows), batches, number_format, device)

        for epoch in range(1, encoder.epochs + 1):
            model.train()
            began = time.perf_counter()
            train_loss = torch.zeros((), device=device)
            for batch in training_batches(lengths, encoder.batch_size, random):
                whole = weights[labels[batch]].sum()
                for part, is_last in parts(batch, encoder.accumulation, ranks, rank):
                    ids, mask = pad(rows.rows(part), words.padding, words.limit, words.side)  # (part, length)
                    with learner.exchange(is_last):
                        logits = learner.logits(ids, mask)  # (part, classes)
                        each = torch.nn.functional.cross_entropy(logits, labels[part], weights, reduction="none")
                        # The weighted mean of the whole batch, in however many parts; processes average gradients.
                        loss = each.sum() / whole
                        learner.backward(loss * ranks)
                    train_loss += loss.detach()
                rate = encoder.learning_rate * schedule(step, encoder.epochs * batches, encoder.warmup)
                learner.update(rate)
                step += 1
            speed = len(rows) / (time.perf_counter() - began)
            mean_loss = float(processes.reduce(train_loss, "sum")) / batches
            if not math.isfinite(mean_loss):
                raise StageError(
                    f"the training loss is no longer a number in epoch {epoch}",
                    where="backbone",
                    hint="Lower backbone.learning_rate, or set backbone.precision to fp32.",
                )

            learner.settle()
            model.eval()
            found = gathered(
                lambda share: logits_of(
                    model, valid.rows(share), words, words.limit, len(data.classes), encoder.evaluation_batch_size
                ),
                len(valid), ranks, rank,
            )  # (valid rows, classes)  # fmt: skip
            log.info("epoch %d: loss %.4f, %.1f rows/s", epoch, mean_loss, speed)
            numbers = {"train_loss": mean_loss, "learning_rate": rate, "rows_per_second": speed}
            if encoder.calibration == "temperature":
                temperature = numbers["temperature"] = temperatures.fit(found, np.asarray(data.valid.labels))
            served = softmax(found, temperature)  # what is reported is what would be served
            if agreed(lambda: report(epoch, served, **numbers), ranks, rank):  # noqa: B023  # asked at once
                best, stale = (learner.weights(), temperature), 0
            else:
                stale += 1
                if encoder.early_stopping and stale >= encoder.early_stopping:
                    log.info("no better evaluation in %d epochs: stopped", stale)
                    break

        tuned = checkpoint.model(data.classes, encoder.dropout)
        state, temperature = best if best is not None else (learner.weights(), temperature)
        tuned.load_state_dict(state)
    return EncoderClassifier(tuned.to(device), words, length, temperature=temperature)


def schedule(step: int, steps: int, warmup: float) -> float:
    """The share of the highest learning rate at a step: up in a line for the warm-up, then down in a line to zero.

    Source: Devlin et al. 2019, released code, `optimization.py`.
    """
    rising = int(steps * warmup)
    return (step + 1) / rising if step < rising else (steps - step) / max(steps - rising, 1)


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


def parts(batch: np.ndarray, count: int, ranks: int, rank: int) -> Iterator[tuple[np.ndarray, bool]]:
    """This process's rows of a batch in at most `count` parts, and whether each is the last.

    A process may be left with an empty part, of a last batch smaller than the processes are many.
    """
    import numpy as np

    own = batch[rank::ranks]
    if not len(own):
        yield own, True
    divided = [part for part in np.array_split(own, count) if len(part)]
    for index, part in enumerate(divided):
        yield part, index == len(divided) - 1


def fastest_attention(device: Any) -> str | None:
    """Which of transformers' attention implementations trains fastest on a device; None is transformers' own choice."""
    if device.type != "cpu":
        return None
    from ftkit.encoders.training.cpu import attention

    attention.register()
    return attention.NAME


@contextlib.contextmanager
def seeded(seed: int, device: Any) -> Iterator[None]:
    """torch's generators set to the seed, and put back as they were: fitting leaves the caller's random numbers alone."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
