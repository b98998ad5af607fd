"""Fine-tuning: one loop, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ftkit.encoders import adaptation
from ftkit.encoders import temperature as temperatures
from ftkit.encoders.batches import pad, training_batches
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.encoders.inference.classifier import EncoderClassifier, compute_logits, softmax
from ftkit.encoders.tokenization import Tokenizer, tokenize
from ftkit.encoders.training.distributed import broadcast_evaluation, gather_rows
from ftkit.encoders.training.learner import Learner, find_hardware
from ftkit.encoders.training.losses import training_loss
from ftkit.encoders.training.progress import Keeper, Progress
from ftkit.errors import StageError

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Checkpoints, Data, Report
    from ftkit.encoders.adaptation import Numbers
    from ftkit.encoders.config import EncoderConfig

log = logging.getLogger(__name__)


def fit(
    encoder: EncoderConfig, data: Data, seed: int, report: Report, checkpoints: Checkpoints | None = None
) -> EncoderClassifier:
    """Fine-tune `encoder` on `data`; returns the weights of the evaluation that `report` called the best.

    With `checkpoints`, begins where the latest of them was written. Runs on the CPU, on one GPU, or on several: for that, `accelerate launch` or `torchrun` starts several processes,
    each calls this with the same arguments, and the first of them calls `report`.
    Raises: CheckpointError; StageError when memory runs out or the loss is not a number; StopTrial passes through.
    """
    import torch

    chosen = adaptation.numbers(encoder, data)
    try:
        return train(encoder, chosen, data, seed, report, checkpoints)
    except torch.OutOfMemoryError as error:
        raise StageError(
            f"the GPU's memory does not hold a step of {chosen.batch_size} rows of up to {chosen.max_length} tokens",
            where="backbone",
            hint=f"Set accumulation = {2 * encoder.accumulation}, which changes nothing else, or lower backbone.batch_size "
            "or backbone.max_length.",
        ) from error


def train(
    encoder: EncoderConfig,
    chosen: Numbers,
    data: Data,
    seed: int,
    report: Report,
    checkpoints: Checkpoints | None = None,
) -> EncoderClassifier:
    """The loop; `chosen` are the encoder's options with none left to the data. Raises: as `fit`, and torch's own errors."""
    import numpy as np
    import torch

    hardware, number_format = find_hardware(encoder.precision)
    ranks, rank, device = hardware.num_processes, hardware.process_index, hardware.device
    checkpoint = open_checkpoint(encoder)
    tokenizer = Tokenizer(checkpoint.tokenizer, checkpoint.limit)
    length = min(chosen.max_length, tokenizer.limit)
    train_rows = tokenize(data.train.texts, tokenizer, length, data.cache)
    valid_rows = tokenize(data.valid.texts, tokenizer, length, data.cache)
    lengths = train_rows.lengths  # (train rows,)
    objective = training_loss(encoder, data, device)

    def evaluate(indices: range) -> np.ndarray:
        rows = valid_rows.rows(indices)
        return compute_logits(model, rows, tokenizer, tokenizer.limit, len(data.classes), encoder.evaluation_batch_size)

    def rate(step: int) -> float:
        return chosen.learning_rate * schedule(step, chosen.epochs * batches, encoder.warmup)

    with seeded(seed, device):
        model = checkpoint.model(data.classes, encoder.dropout, attention=fastest_attention(device))
        learner = Learner(model, encoder, hardware, number_format, seed)
        random = np.random.default_rng(seed)
        batches = -(-len(train_rows) // chosen.batch_size)
        keeper = Keeper(checkpoints, learner, {"format": number_format, "device": device.type, "processes": ranks})
        progress = keeper.latest(Progress(random.bit_generator.state, torch.zeros((), device=device)))
        random.bit_generator.state = progress.order
        log.info("%s: %d rows, %d batches, %s on %s", encoder.name, len(train_rows), batches, number_format, device)
        if progress.step:
            log.info("goes on after step %d", progress.step)

        while progress.epoch <= chosen.epochs:
            model.train()
            epoch_start, trained, epoch = time.perf_counter(), 0, progress.epoch
            progress.order = random.bit_generator.state
            for batch in training_batches(lengths, chosen.batch_size, random)[progress.batches :]:
                batch_weight = objective.weight(batch)
                for micro_batch, is_last in micro_batches(batch, encoder.accumulation, ranks, rank):
                    # A process without a row computes one in vain, as models cannot compute none.
                    computed = micro_batch if len(micro_batch) else batch[:1]
                    rows = train_rows.rows(computed)
                    ids, mask = pad(rows, tokenizer.padding, tokenizer.limit, tokenizer.side)  # (rows, length)
                    with learner.synchronise_if(is_last):
                        logits = learner.logits(ids, mask)  # (rows, classes)
                        losses = objective.of_rows(logits, computed)  # (rows,)
                        # The weighted mean of the whole batch, however divided; processes average their gradients.
                        loss = losses[: len(micro_batch)].sum() / batch_weight
                        learner.backward(loss * ranks)
                    progress.train_loss += loss.detach()
                learner.update(rate(progress.step))
                progress.step, progress.batches, trained = progress.step + 1, progress.batches + 1, trained + len(batch)
                keeper.write_if_due(progress)
            rows_per_second = trained / (time.perf_counter() - epoch_start)
            mean_loss = float(hardware.reduce(progress.train_loss.clone(), "sum")) / batches
            if not math.isfinite(mean_loss):
                raise StageError(
                    f"the training loss is no longer a number in epoch {epoch}",
                    where="backbone",
                    hint="Lower backbone.learning_rate, or set backbone.precision to fp32.",
                )

            learner.apply_deferred()
            model.eval()
            valid_logits = gather_rows(evaluate, len(valid_rows), ranks, rank)  # (valid rows, classes)
            log.info("epoch %d: loss %.4f, %.1f rows/s", epoch, mean_loss, rows_per_second)
            numbers = {
                "train_loss": mean_loss,
                "learning_rate": rate(progress.step - 1),
                "rows_per_second": rows_per_second,
            }
            if encoder.calibration == "temperature":
                numbers["temperature"] = temperatures.fit(valid_logits, np.asarray(data.valid.labels))
            temperature = numbers.get("temperature", 1.0)
            probabilities = softmax(valid_logits, temperature)  # those that the model would serve
            keeper.write_if_due(progress)  # a process that is to end reports nothing: its successor evaluates again
            is_best, ends = broadcast_evaluation(lambda: report(epoch, probabilities, **numbers), ranks, rank)  # noqa: B023
            if is_best:
                progress.best, progress.best_temperature = learner.weights(), temperature
                progress.epochs_without_gain = 0
            else:
                progress.epochs_without_gain += 1
                if encoder.early_stopping and progress.epochs_without_gain >= encoder.early_stopping:
                    log.info("no better evaluation in %d epochs: stopped", progress.epochs_without_gain)
                    break
            if ends:
                break
            progress.epoch, progress.batches, progress.train_loss = epoch + 1, 0, torch.zeros((), device=device)

        best_model = checkpoint.model(data.classes, encoder.dropout)
        best_model.load_state_dict(progress.best or learner.weights())
        temperature = progress.best_temperature if progress.best else temperature
    reads_as_loaded = Tokenizer(checkpoint.tokenizer, length)  # how much of a long text is looked at follows its limit
    return EncoderClassifier(best_model.to(device), reads_as_loaded, length, temperature=temperature)


def schedule(step: int, steps: int, warmup: float) -> float:
    """The share of the highest learning rate at a step: it rises linearly in the warm-up, then falls linearly to zero.

    Source: Devlin et al. 2019, released code, `optimization.py`.
    """
    rising = int(steps * warmup)
    return (step + 1) / rising if step < rising else (steps - step) / max(steps - rising, 1)


def micro_batches(batch: np.ndarray, count: int, ranks: int, rank: int) -> Iterator[tuple[np.ndarray, bool]]:
    """This process's rows of a batch in at most `count` micro-batches, each with whether it is the last.

    In a last batch with fewer rows than processes, some processes get one empty micro-batch.
    """
    import numpy as np

    own_rows = batch[rank::ranks]
    if not len(own_rows):
        yield own_rows, True
    divided = [micro_batch for micro_batch in np.array_split(own_rows, count) if len(micro_batch)]
    for index, micro_batch in enumerate(divided):
        yield micro_batch, index == len(divided) - 1


def fastest_attention(device: Any) -> str | None:
    """The implementation of attention that trains fastest on a device; None leaves the choice to transformers."""
    if device.type != "cpu":
        return None
    from ftkit.encoders.training.cpu import attention

    attention.register()
    return attention.NAME


@contextlib.contextmanager
def seeded(seed: int, device: Any) -> Iterator[None]:
    """Seed torch's generators, and restore them afterwards: fitting does not change the caller's random numbers."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
