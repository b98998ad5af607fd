"""What training a part of a model, computing layers again and learning from a teacher cost and bring.

    python -m benchmarks tuning --data DIR [--rows N] [--epochs N] [--seeds N] [--without PART ...] [--json FILE]

Quality: MiniLM on TREC questions, DIR as `quality` takes it; the first N of its training rows in an order of their own, the weights of
the best evaluation of the validation rows, and the test rows once for each seed. Learning rates are those of "auto". The student has
three of MiniLM's six layers; its teacher is the model of `full` with the same seed, which answers TREC's other training questions as
well for `student_more_texts`; `student_longer` has no teacher and as many steps as that. Latency is that of one question at a time.
Memory: a step of 16 texts of 256 tokens with a BERT of the size of bert-base and random weights; the peak is that
of the whole process, which has read the checkpoint and returned the model.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, turns
from benchmarks.results import Bar, Results, ratio, summary
from benchmarks.turns import Numbers

STUDENT: dict[str, Any] = {"layers": 3}
TAUGHT: dict[str, Any] = {"distillation_weight": 0.9}
TAUGHT_ONES = ("student_distilled", "student_more_texts")
QUALITY: dict[str, dict[str, Any]] = {
    "full": {},
    "gradient_checkpointing": {"gradient_checkpointing": True},
    "lora": {"tuning": "lora"},
    "head": {"tuning": "head"},
    "student": STUDENT,
    "student_distilled": STUDENT | TAUGHT,
    "student_more_texts": STUDENT | TAUGHT,
    "student_longer": STUDENT,
}
MEMORY: dict[str, dict[str, Any]] = {
    "bert_full": {},
    "bert_full_checkpointing": {"gradient_checkpointing": True},
    "bert_lora": {"tuning": "lora"},
    "bert_lora_checkpointing": {"tuning": "lora", "gradient_checkpointing": True},
    "bert_head": {"tuning": "head"},
}
COLUMNS = {
    "accuracy": "test accuracy",
    "macro_f1": "test macro F1",
    "seconds": "seconds of training",
    "latency_ms": "ms a question",
    "peak_mb": "peak MB",
}


def main(arguments: Sequence[str]) -> None:
    """Measure, print the table, write the JSON."""
    parser = command.plain("tuning", __doc__)
    parser.add_argument("--data", type=command.there, required=True, metavar="DIR", help="the folder that holds trec")
    parser.add_argument("--rows", type=int, default=1500, metavar="N", help="training rows (default: 1500)")
    parser.add_argument("--epochs", type=int, default=6, metavar="N", help="epochs of each training (default: 6)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each (default: 3)")
    parser.add_argument(
        "--without", nargs="+", choices=("quality", "memory"), default=[], help="parts that are left out"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the results, machine and versions to this file"
    )
    options = parser.parse_args(arguments)
    results = Results("tuning", command.settings(options))
    with tempfile.TemporaryDirectory() as folder:
        if "quality" not in options.without:
            runs = _rounds(QUALITY, options.seeds, "train", folder, rows=options.rows, epochs=options.epochs,
                           data=str(options.data.resolve()))  # fmt: skip
            results.contenders |= {name: summary(each) for name, each in runs.items()}
            _compare_quality(results)
        if "memory" not in options.without:
            runs = _rounds(MEMORY, 1, "fit_large", folder)
            results.contenders |= {name: summary(each) for name, each in runs.items()}
            for name in list(MEMORY)[1:]:
                share = ratio(results.contenders[name], results.contenders["bert_full"], "peak_mb")
                results.bars.append(Bar("peak memory against full fine-tuning", name, share, most=1))
    results.show(COLUMNS)
    results.write(options.json)


def _rounds(
    contenders: dict[str, dict[str, Any]], count: int, function: str, folder: str, **arguments: Any
) -> dict[str, list[Numbers]]:
    """The numbers of each contender by round; in their order, since a student needs the model of `full`."""
    from ftkit.encoders.process_environment import process_environment
    from ftkit.hardware import cores

    def run(name: str, number: int) -> Numbers:
        environment = process_environment(cores())
        return turns.measured(
            f"benchmarks.tuning:{function}", environment, name=name, folder=folder, seed=number + 1, **arguments
        )

    rounds: dict[str, list[Numbers]] = {name: [] for name in contenders}
    for number in range(count):
        for name in contenders:
            rounds[name].append(run(name, number))
            print(f"round {number + 1} of {count}: {name}: {rounds[name][-1]}", flush=True)
    return rounds


def _compare_quality(results: Results) -> None:
    """Bars: a part keeps most of the quality, and a distilled student is better than a plain one and faster than its teacher."""
    mean = {
        name: statistics.fmean(run["accuracy"] for run in each["runs"]) for name, each in results.contenders.items()
    }
    for name, each in results.contenders.items():
        each["accuracy"] = mean[name]
    for name, least in (("gradient_checkpointing", -0.005), ("lora", -0.02)):
        results.bars.append(Bar("test accuracy less that of full", name, mean[name] - mean["full"], least=least))
    for name, plain in zip(TAUGHT_ONES, ("student", "student_longer"), strict=True):
        gain = mean[name] - mean[plain]
        results.bars.append(Bar(f"test accuracy less that of {plain}", name, gain, least=0))
    faster = ratio(results.contenders["full"], results.contenders["student_distilled"], "latency_ms")
    results.bars.append(Bar("times as fast as its teacher", "student_distilled", faster, least=1.5))


def train(name: str, folder: str, seed: int, data: str, rows: int, epochs: int, **further: Any) -> Numbers:
    """Train MiniLM once, and use the test rows once; `further` are options besides those of the contender."""
    import numpy as np
    from ftkit_quickstart.minilm import MiniLM

    from benchmarks.memory import own_peak
    from benchmarks.quality import trec
    from ftkit.contracts import Data, DataReport, Split
    from ftkit.evaluation import metrics

    (texts, labels), valid, test = trec(Path(data))
    classes = tuple(map(str, sorted(set(labels))))
    training = Split(tuple(texts[:rows]), tuple(labels[:rows]))
    report_of_data = DataReport("trec", rows, {}, {}, {}, "trec")
    rows_of = Data(classes, training, Split(*map(tuple, valid)), Split((), ()), report_of_data)
    best = -1.0

    def report(_epoch: int, probabilities: Any, **_numbers: float) -> bool:
        nonlocal best
        value = metrics.score("accuracy", probabilities, np.asarray(valid[1]))
        better, best = value > best, max(value, best)
        return better

    teacher = Path(folder) / f"teacher-{seed}"
    if name in TAUGHT_ONES:
        further["teacher"] = str(teacher / "bundle")
    if name == "student_more_texts":
        further["unlabelled"] = Path(folder) / "unlabelled.jsonl"
        further["unlabelled"].write_text(
            "".join(json.dumps({"text": text}) + "\n" for text in texts[rows:]), encoding="utf-8"
        )
    if name == "student_longer":
        epochs = round(epochs * len(texts) / rows)
    encoder = MiniLM(epochs=epochs, batch_size=16, max_length=64, **QUALITY[name], **further)
    start = time.perf_counter()
    classifier = encoder.fit(rows_of, seed, report)
    seconds = time.perf_counter() - start
    if name == "full":
        _write_bundle(classifier, teacher)
    answers = classifier.probabilities(test[0])
    times = []
    for text in test[0][:200]:
        begun = time.perf_counter()
        classifier.probabilities([text])
        times.append(1000 * (time.perf_counter() - begun))
    return {
        **{metric: metrics.score(metric, answers, np.asarray(test[1])) for metric in ("accuracy", "macro_f1")},
        "valid_accuracy": best,
        "seconds": seconds,
        "latency_ms": statistics.median(times),
        "peak_mb": own_peak(),
    }


def _write_bundle(classifier: Any, folder: Path) -> None:
    from ftkit.bundle import bundle

    classifier.save(folder / "model")
    bundle.write(
        folder / "bundle", model=folder / "model", classes=classifier.classes, backbone={"use": "minilm"}, recipe="",
        card="", sample_texts=["a question"], about={},
    )  # fmt: skip


def fit_large(name: str, folder: str, seed: int) -> Numbers:
    """Train a BERT of the size of bert-base for one step, and return the peak of the memory."""
    from ftkit_quickstart.minilm import MiniLM, packaged

    from benchmarks.memory import own_peak
    from ftkit.contracts import Data, DataReport, Split

    checkpoint = Path(folder) / "large"
    if not checkpoint.is_dir():
        turns.measured("benchmarks.tuning:make_large", folder=str(checkpoint), tokenizer=str(packaged()))
    text = "why " * 300
    rows = [Split((text,) * count, tuple(number % 2 for number in range(count))) for count in (16, 2)]
    data = Data(("no", "yes"), *rows, Split((), ()), DataReport("made up", 16, {}, {}, {}, "made up"))
    encoder = MiniLM(
        checkpoint=str(checkpoint), epochs=1, batch_size=16, max_length=256, learning_rate=1e-4, **MEMORY[name]
    )
    start = time.perf_counter()
    encoder.fit(data, seed, lambda *_, **__: True)
    return {"seconds": time.perf_counter() - start, "peak_mb": own_peak()}


def make_large(folder: str, tokenizer: str) -> Numbers:
    """Write a checkpoint of the size of bert-base with random weights, in a process whose memory nobody measures."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    BertModel(BertConfig()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return {}
