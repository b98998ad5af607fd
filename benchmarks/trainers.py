"""The contenders of `train`: the original's loop, the same Trainer tuned, and ftkit by its public interface.

Each function trains once and is called in a process of its own. Its clock starts when texts are in memory and libraries
are loaded, and stops when the last model is on the disk: opening the checkpoint, tokenising, evaluating and saving are
in it.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import memory, rows
from benchmarks.turns import Numbers
from ftkit.evaluation import metrics

EVALUATION_BATCH = 32
"""Rows of an evaluation step of the tuned Trainer, ftkit's default; the original has the Trainer's default, 8."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What all contenders do."""

    rows: str
    """File of the rows."""
    backbone: str
    checkpoint: str
    epochs: int
    batch_size: int
    length: int
    learning_rate: float

    def encoder(self, **options: Any) -> Any:
        """The backbone that a recipe would name, with the original's schedule: no warm-up and no weight decay."""
        from ftkit import plugins

        kind = plugins.load().find("backbones", self.backbone)
        return kind(
            checkpoint=self.checkpoint,
            epochs=self.epochs,
            batch_size=self.batch_size,
            max_length=self.length,
            learning_rate=self.learning_rate,
            warmup=0.0,
            weight_decay=0.0,
            **options,
        )


def original(seed: int, **task: Any) -> Numbers:
    """transformers' Trainer as the original sets it up: fp32, random batches padded to their longest row."""
    return _trainer(Task(**task), seed, optim="adamw_torch")


def tuned(seed: int, **task: Any) -> Numbers:
    """The same Trainer as its documentation advises: bf16, rows grouped by length, fused AdamW.

    Source: transformers' documentation, "GPU" and "CPU" of its part on training performance.
    """
    return _trainer(
        Task(**task),
        seed,
        bf16=True,
        train_sampling_strategy="group_by_length",
        optim="adamw_torch_fused",
        per_device_eval_batch_size=EVALUATION_BATCH,
    )


def by_ftkit(seed: int, options: dict[str, Any] | None = None, **task: Any) -> Numbers:
    """`fit` of the backbone, and its model saved, as a trial does."""
    import numpy as np
    import torch
    import transformers

    from ftkit.encoders.training import loop as training

    job = Task(**task)
    _quiet(transformers)
    _ = transformers.AutoModelForSequenceClassification  # loaded when first named
    steps = _steps(training)
    spent: list[float] = []
    evaluations: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = rows.read(job.rows, cache=Path(folder))

        def report(_epoch: int, probabilities: Any, **numbers: float) -> bool:
            spent.append(len(data.train) / numbers["rows_per_second"])
            evaluations.append(metrics.scores(probabilities, np.asarray(data.valid.labels)))
            return evaluations[-1]["roc_auc"] >= max(each["roc_auc"] for each in evaluations)

        start = time.perf_counter()
        classifier = job.encoder(**options or {}).fit(data, seed, report)
        classifier.save(Path(folder) / "model")
        seconds = time.perf_counter() - start
        tokens = sum(classifier.tokens(data.train.texts))
    return _numbers(torch, job, seconds, sum(spent), tokens, len(steps), evaluations[-1])


def parameters(**task: Any) -> Numbers:
    """The number of parameters outside the embeddings: those that cost operations for every token."""
    import torch
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(Task(**task).encoder().source())
    inside = {id(each.weight) for each in model.modules() if isinstance(each, torch.nn.Embedding)}
    return {"parameters": sum(each.numel() for each in model.parameters() if id(each) not in inside)}


def _trainer(job: Task, seed: int, **chosen: Any) -> Numbers:
    import numpy as np
    import torch
    import transformers
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    _quiet(transformers)
    data = rows.read(job.rows)
    source = job.encoder().source()

    class Clock(transformers.TrainerCallback):
        """Times the steps of an epoch; evaluation and saving come after them."""

        def __init__(self) -> None:
            self.spent = 0.0
            self.start = 0.0

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            self.spent += time.perf_counter() - self.start

    def compute_metrics(prediction: Any) -> dict[str, float]:
        raised = np.exp(prediction.predictions - prediction.predictions.max(axis=1, keepdims=True))
        return metrics.scores(raised / raised.sum(axis=1, keepdims=True), prediction.label_ids)

    transformers.set_seed(seed)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        tokenizer = AutoTokenizer.from_pretrained(source)
        splits = []
        for split in (data.train, data.valid):
            encoded = tokenizer(list(split.texts), truncation=True, max_length=job.length)
            splits.append(
                [
                    {"input_ids": ids, "attention_mask": mask, "labels": label}
                    for ids, mask, label in zip(
                        encoded["input_ids"], encoded["attention_mask"], split.labels, strict=True
                    )
                ]
            )
        model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(data.classes))
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                seed=seed,
                num_train_epochs=job.epochs,
                per_device_train_batch_size=job.batch_size,
                learning_rate=job.learning_rate,
                eval_strategy="epoch",
                save_strategy="epoch",
                load_best_model_at_end=True,
                metric_for_best_model="roc_auc",
                report_to=[],
                disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(),
                dataloader_pin_memory=torch.cuda.is_available(),
                **chosen,
            ),
            train_dataset=splits[0],
            eval_dataset=splits[1],
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            compute_metrics=compute_metrics,
            callbacks=[clock],
        )
        trainer.train()
        trainer.save_model(f"{folder}/model")
        seconds = time.perf_counter() - start
    last = [each for each in trainer.state.log_history if "eval_macro_f1" in each][-1]
    scores = {name: last[f"eval_{name}"] for name in ("macro_f1", "roc_auc")}
    tokens = sum(len(row["input_ids"]) for row in splits[0])
    return _numbers(torch, job, seconds, clock.spent, tokens, trainer.state.global_step, scores)


def _numbers(
    torch: Any, job: Task, seconds: float, spent: float, tokens: int, steps: int, last: dict[str, float]
) -> Numbers:
    on_card = torch.cuda.is_available()
    return {
        "tokens_per_s": tokens * job.epochs / spent,
        "seconds_per_epoch": seconds / job.epochs,
        "peak_memory_mb": torch.cuda.max_memory_reserved() / memory.MEGABYTE if on_card else memory.own_peak(),
        "macro_f1": last["macro_f1"],
        "auc": last["roc_auc"],
        "optimizer_steps": steps,
        "tokens": tokens,
    }


def _steps(training: Any) -> list[None]:
    """A list that grows by one with every optimizer step."""
    steps: list[None] = []

    class Counting(training.Learner):
        def update(self, *arguments: Any, **named: Any) -> Any:
            steps.append(None)
            return super().update(*arguments, **named)

    training.Learner = Counting
    return steps


def _quiet(transformers: Any) -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
