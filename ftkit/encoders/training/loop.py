"""Fine-tuning: one loop, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.encoders import adaptation, long_texts, packing
from ftkit.encoders import temperature as temperatures
from ftkit.encoders.batches import pad, training_batches
from ftkit.encoders.checkpoint import open_checkpoint
from ftkit.encoders.inference.classifier import EncoderClassifier, compute_logits, probabilities_of
from ftkit.encoders.long_texts import flattened, pooled_tensor
from ftkit.encoders.paired_rows import tokenizer_of
from ftkit.encoders.task import set_pairs
from ftkit.encoders.tokenization import tokenize
from ftkit.encoders.training import ordinal_head, tuning
from ftkit.encoders.training.distillation import taught
from ftkit.encoders.training.distributed import broadcast_evaluation, gather_rows
from ftkit.encoders.training.head import begin_at_rates
from ftkit.encoders.training.learner import Learner, find_hardware
from ftkit.encoders.training.losses import class_weights, training_loss
from ftkit.encoders.training.progress import Clock, Keeper, Progress
from ftkit.encoders.training.schedules import evaluation_steps, rate_share
from ftkit.errors import StageError
from ftkit.evaluation.decisions import targets

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Checkpoints, Data, Report
    from ftkit.encoders.adaptation import Numbers
    from ftkit.encoders.config import EncoderConfig
    from ftkit.encoders.tokenization import TokenizedSplit
    from ftkit.encoders.training.distillation import JoinedRows

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
    paired = len(data.fields) > 1
    tokenizer = tokenizer_of(checkpoint, paired=paired)
    length = min(chosen.max_length, tokenizer.limit)

    way = long_texts.of(encoder)

    def read(texts: Sequence[str]) -> TokenizedSplit:
        return tokenize(texts, tokenizer, length, data.cache, way)

    train_rows: TokenizedSplit | JoinedRows = read(data.train.texts)
    valid_rows = read(data.valid.texts)
    objective = training_loss(encoder, data, device)
    if encoder.teacher:
        train_rows, objective = taught(encoder, data, read, objective, device)
    windows = train_rows.windows  # (train rows,)
    valid_labels = targets(data.valid.labels, len(data.classes), data.task)
    ordered = data.task == "ordinal"
    batches = -(-len(train_rows) // chosen.batch_size)
    steps = chosen.epochs * batches
    evaluated_after = evaluation_steps(encoder.evaluate_every, batches, chosen.epochs)

    def new_model(attention: str | None = None) -> Any:
        model = checkpoint.model(data.classes, encoder.dropout, task=data.task, attention=attention)
        return tuning.prepared(ordinal_head.learn_order(model) if ordered else model, encoder)

    def evaluate(indices: range) -> np.ndarray:
        texts, most = valid_rows.rows(indices), encoder.evaluation_batch_size
        return compute_logits(model, texts, tokenizer, tokenizer.limit, len(data.classes), most, way.pooling)

    def rate(step: int) -> float:
        return chosen.learning_rate * rate_share(step, steps, encoder.warmup, encoder.schedule)

    with seeded(seed, device):
        model = new_model(fastest_attention(device, checkpoint.config.model_type))
        if data.task == "multi-label":
            labels = targets(data.train.labels, len(data.classes), data.task)
            begin_at_rates(model, labels, class_weights(encoder, data))
        learner = Learner(model, encoder, hardware, number_format, seed)
        random = np.random.default_rng(seed)
        keeper = Keeper(checkpoints, learner, {"format": number_format, "device": device.type, "processes": ranks})
        progress = keeper.latest(Progress(random.bit_generator.state, torch.zeros((), device=device)))
        random.bit_generator.state = progress.order
        log.info("%s: %d rows, %d batches, %s on %s", encoder.name, len(train_rows), batches, number_format, device)
        if progress.step:
            log.info("goes on after step %d", progress.step)
        clock = Clock(encoder.max_minutes, progress.seconds, ranks, rank)
        tuning.train_mode(model, encoder)
        stretch_start, trained = time.perf_counter(), 0  # since the last evaluation, for the rows per second

        for batch in remaining_batches(progress, train_rows.lengths, chosen, random):
            if batch is not None:  # else this step is done, and was interrupted before its evaluation
                batch_weight = objective.weight(batch)
                # Windows are divided further, so that no more rows are computed at once than without them.
                parts = encoder.accumulation * -(-int(windows[batch].sum()) // len(batch))
                for micro_batch, is_last in micro_batches(batch, parts, ranks, rank):
                    # A process without a row computes one in vain, as models cannot compute none.
                    computed = micro_batch if len(micro_batch) else batch[:1]
                    rows, counts = flattened(train_rows.rows(computed))
                    ids, mask = pad(rows, tokenizer.padding, tokenizer.limit, tokenizer.side)  # (rows, length)
                    with learner.synchronise_if(is_last):
                        logits = pooled_tensor(learner.logits(ids, mask), counts, way.pooling)  # (texts, classes)
                        losses = objective.of_rows(logits, computed)  # (rows,)
                        # The weighted mean of the whole batch, however divided; processes average their gradients.
                        loss = losses[: len(micro_batch)].sum() / batch_weight
                        learner.backward(loss * ranks)
                    progress.train_loss += loss.detach()
                learner.update(rate(progress.step))
                progress.step, progress.batches, trained = progress.step + 1, progress.batches + 1, trained + len(batch)
                progress.seconds = clock.seconds
                keeper.write_if_due(progress)
            out_of_time = clock.over()
            if progress.step not in evaluated_after and not out_of_time:
                continue

            rows_per_second = trained / (time.perf_counter() - stretch_start)
            mean_loss = float(hardware.reduce(progress.train_loss.clone(), "sum")) / (
                progress.step - progress.evaluated
            )
            if not math.isfinite(mean_loss):
                raise StageError(
                    f"the training loss is no longer a number in epoch {progress.epoch}",
                    where="backbone",
                    hint="Lower backbone.learning_rate, or set backbone.precision to fp32.",
                )
            learner.apply_deferred()
            model.eval()
            valid_logits = gather_rows(evaluate, len(valid_rows), ranks, rank)  # (valid rows, classes)
            log.info("step %d: loss %.4f, %.1f rows/s", progress.step, mean_loss, rows_per_second)
            numbers = {
                "train_loss": mean_loss,
                "learning_rate": rate(progress.step - 1),
                "rows_per_second": rows_per_second,
            }
            if encoder.evaluate_every != 1 or out_of_time:
                numbers["epochs"] = progress.step / batches
            if encoder.calibration == "temperature":
                numbers["temperature"] = temperatures.fit(valid_logits, valid_labels)
            temperature = numbers.get("temperature", 1.0)
            probabilities = probabilities_of(valid_logits, data.task, temperature)  # those that the model would serve
            keeper.write_if_due(progress)  # a process that is to end reports nothing: its successor evaluates again
            progress.evaluations, progress.evaluated = progress.evaluations + 1, progress.step
            is_best, ends = broadcast_evaluation(
                lambda: report(progress.evaluations, probabilities, **numbers),  # noqa: B023
                ranks,
                rank,
            )
            if is_best:
                progress.best, progress.best_temperature = learner.weights(), temperature
                progress.epochs_without_gain = 0
            else:
                progress.epochs_without_gain += 1
                if encoder.early_stopping and progress.epochs_without_gain >= encoder.early_stopping:
                    log.info("no better evaluation of %d in a row: stopped", progress.epochs_without_gain)
                    break
            if out_of_time:
                log.info("max_minutes = %g are over: stopped", encoder.max_minutes)
            if ends or out_of_time:
                break
            progress.train_loss = torch.zeros((), device=device)
            tuning.train_mode(model, encoder)
            stretch_start, trained = time.perf_counter(), 0

        best_model = tuning.finished(new_model(), encoder, progress.best or learner.weights())
        best_model = ordinal_head.as_linear(best_model) if ordered else best_model
        temperature = progress.best_temperature if progress.best else temperature
    set_pairs(best_model.config, paired)
    reads_as_loaded = tokenizer_of(
        checkpoint, paired=paired, limit=length
    )  # how much of a long text is looked at follows its limit
    return EncoderClassifier(best_model.to(device), reads_as_loaded, length, temperature=temperature, long_texts=way)


def remaining_batches(
    progress: Progress, lengths: np.ndarray, chosen: Numbers, random: np.random.Generator
) -> Iterator[np.ndarray | None]:
    """The batches after the latest checkpoint, epoch by epoch, which `progress` follows; None for a step yet to be evaluated."""
    if progress.evaluated < progress.step:
        yield None
    while progress.epoch <= chosen.epochs:
        progress.order = random.bit_generator.state
        yield from training_batches(lengths, chosen.batch_size, random)[progress.batches :]
        progress.epoch, progress.batches = progress.epoch + 1, 0


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


def fastest_attention(device: Any, model_type: str) -> str | None:
    """The implementation of attention that trains fastest on a device; None leaves the choice to transformers."""
    if device.type == "cuda":
        return packing.register() if model_type in packing.ARCHITECTURES else None
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
