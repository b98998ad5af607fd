"""Fine-tuning: one loop, read from top to bottom."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ftkit.encoders.batches import pad, training_batches
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.encoders.classifier import EncoderClassifier, probabilities
from ftkit.encoders.learner import Learner, accelerator
from ftkit.encoders.tokens import Words, tokenised
from ftkit.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ftkit.contracts import Data, Report
    from ftkit.encoders.component import Encoder

log = logging.getLogger(__name__)


def fit(encoder: Encoder, data: Data, seed: int, report: Report) -> EncoderClassifier:
    """Fine-tune `encoder` on `data`; the weights of the evaluation that `report` called the best.

    Runs on the CPU, on one GPU, or, where `accelerate launch` or `torchrun` started several processes and each calls
    this with the same arguments, on several; `report` is asked in the first of them.
    Raises: CheckpointError; StageError when memory runs out or the loss is no number; StopTrial passes through.
    """
    import numpy as np
    import torch

    processes, number_format = accelerator(encoder.precision)
    ranks, rank = processes.num_processes, processes.process_index
    checkpoint = open_checkpoint(encoder)
    words = Words(checkpoint.tokenizer, checkpoint.limit)
    length = min(encoder.max_length, words.limit)
    train = tokenised(data.train.texts, words, length, data.cache)
    valid = tokenised(data.valid.texts, words, length, data.cache)
    lengths = train.lengths
    labels = torch.as_tensor(np.asarray(data.train.labels, dtype=np.int64), device=processes.device)  # (rows,)
    weights = torch.as_tensor(class_weights(encoder, data), device=processes.device)  # (classes,)

    with seeded(seed, processes.device):
        # torch's fused attention has a slow backward pass on CPUs: 46 % of a bf16 step at 64 tokens.
        attention = "eager" if processes.device.type == "cpu" else "sdpa"
        model = checkpoint.model(data.classes, encoder.dropout, attention=attention)
        learner = Learner(model, encoder, processes, number_format)
        torch.manual_seed(seed * ranks + rank)  # dropout differs between the processes
        random = np.random.default_rng(seed)
        steps = encoder.epochs * -(-len(train) // encoder.batch_size)
        step, stale, last = 0, 0, False
        best: dict[str, torch.Tensor] | None = None
        log.info("%s: %d rows, %d steps, %s on %s", encoder.name, len(train), steps, number_format, processes.device)

        for epoch in range(1, encoder.epochs + 1):
            model.train()
            began, losses = time.perf_counter(), []
            for batch in training_batches(lengths, encoder.batch_size, random):
                whole = weights[labels[batch]].sum()
                for part, is_last in parts(batch, encoder.accumulation, ranks, rank):
                    ids, mask = pad(train.rows(part), words.padding, words.limit, words.side)  # (part, length)
                    with learner.whole(is_last):
                        logits = learner.logits(ids, mask)  # (part, classes)
                        each = torch.nn.functional.cross_entropy(logits, labels[part], weights, reduction="none")
                        # The weighted mean of the whole batch, in however many parts; processes average gradients.
                        loss = each.sum() / whole
                        learner.backward(loss * ranks)
                    losses.append(loss.detach())
                rate = encoder.learning_rate * schedule(step, steps, encoder.warmup)
                learner.update(rate)
                step += 1
            seconds = time.perf_counter() - began

            model.eval()
            found = probabilities(
                model,
                valid.rows(range(len(valid))),
                words,
                words.limit,
                len(data.classes),
                encoder.evaluation_batch_size,
            )  # (valid rows, classes)
            train_loss = float(torch.stack(losses).sum()) / -(-len(train) // encoder.batch_size)
            log.info("epoch %d: loss %.4f, %.1f rows/s", epoch, train_loss, len(train) / seconds)
            is_best = report(
                epoch, found, train_loss=train_loss, learning_rate=rate, rows_per_second=len(train) / seconds
            )
            if is_best:
                best, stale = learner.weights(), 0
            else:
                stale += 1
                if encoder.early_stopping and stale >= encoder.early_stopping:
                    break

    model = checkpoint.model(data.classes, attention="sdpa")
    model.load_state_dict(best if best is not None else learner.weights())
    return EncoderClassifier(model.to(processes.device), words, length)


def schedule(step: int, steps: int, warmup: float) -> float:
    """The share of the highest learning rate at a step: up in a line for the warm-up, then down in a line to zero.

    Source: Devlin et al. 2019, released code, `optimization.py`.
    """
    rising = int(steps * warmup)
    return (step + 1) / rising if step < rising else (steps - step) / max(steps - rising, 1)


def class_weights(encoder: Encoder, data: Data) -> np.ndarray:
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
    """This process's rows of a batch in at most `count` parts, and whether each is the last."""
    import numpy as np

    own = batch[rank::ranks]
    divided = [part for part in np.array_split(own, count) if len(part)]
    for index, part in enumerate(divided):
        yield part, index == len(divided) - 1


@contextlib.contextmanager
def seeded(seed: int, device: Any) -> Iterator[None]:
    """torch's generators set to the seed, and put back as they were: fitting leaves the caller's random numbers alone."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
