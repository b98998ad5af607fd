"""Fine-tuning: the original's loop, the same Trainer tuned, and ftkit, on the same rows in one run.

    python -m benchmarks train [--data PATH] [--rows N] [--epochs N] [--seeds N] [--json FILE]

All contenders train the same encoder on the same rows with the same batch size, learning rate and number of optimizer
steps, and all evaluate and save after each epoch. Every training is a process of its own, and the contenders take
turns: one round for each seed. `limit` is the measured peak of a bf16 matrix product, as tokens a second. Real tokens a
second leave out padding, evaluation and saving; seconds per epoch leave out only the loading of libraries. ftkit's
processes get the environment that ftkit gives its trials; those of the Trainers start as from a shell.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import command, results, rows
from benchmarks.product import FLOP
from benchmarks.turns import Numbers, measured, rounds
from ftkit.encoders.process_environment import process_environment
from ftkit.hardware import bf16_units, cores

COLUMNS = {
    "tokens_per_s": "real tokens/s",
    "times_original": "× original",
    "times_tuned": "× tuned",
    "share_of_peak": "share of peak",
    "seconds_per_epoch": "s per epoch, all in",
    "epoch_times_original": "× original",
    "peak_memory_mb": "peak MB",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "optimizer_steps": "steps",
}

CONTENDERS = ("limit", "original", "tuned_trainer", "ftkit", "ftkit_fp32")


def main(arguments: Sequence[str]) -> None:
    """Measure, judge by the bars, show and write."""
    parser = command.parser("train", __doc__, 640, "training rows, with validation rows in proportion; 0 takes all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3, help="how often each trains, with another seed each time")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--length", type=int, default=512, help="tokens of a text that are read")
    parser.add_argument("--learning-rate", type=float, default=5.5e-5)
    parser.add_argument("--backbone", default="minilm", help="a backbone by its name in a recipe")
    parser.add_argument("--checkpoint", type=command.there, help="a folder to take its weights from")
    parser.add_argument("--threads", type=int, default=0, help="of ftkit's processes; 0 takes one for each core")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    options = parser.parse_args(arguments)
    report = results.Results("train", command.settings(options))
    threads = options.threads or cores()
    with tempfile.TemporaryDirectory() as folder:
        rows_file = Path(folder) / "rows.json"
        data = rows.load(options.data, options.rows)
        rows.write(data, rows_file)
        task = {
            "rows": str(rows_file),
            "backbone": options.backbone,
            "checkpoint": str(options.checkpoint or _source(options.backbone)),
            "epochs": options.epochs,
            "batch_size": options.batch_size,
            "length": options.length,
            "learning_rate": options.learning_rate,
        }
        size = measured("benchmarks.trainers:parameters", **task)["parameters"]
        environment = process_environment(threads)
        contenders = {
            "limit": lambda _: measured("benchmarks.product:peak", parameters=size),
            "original": lambda seed: measured("benchmarks.trainers:original", seed=seed, **task),
            "tuned_trainer": lambda seed: measured("benchmarks.trainers:tuned", seed=seed, **task),
            "ftkit": lambda seed: measured("benchmarks.trainers:by_ftkit", environment, seed=seed, **task),
            "ftkit_fp32": lambda seed: measured(
                "benchmarks.trainers:by_ftkit", environment, seed=seed, options={"precision": "fp32"}, **task
            ),
        }
        runs = rounds({name: contenders[name] for name in options.contenders}, options.seeds)
    agree(runs)
    judge(report, runs, size)
    report.notes.append(
        f"{len(data.train):,} training and {len(data.valid):,} validation rows, {size / 1e6:.1f} million parameters "
        f"outside the embeddings, {options.seeds} seeds: medians with their spread, of macro F1 and AUC means."
    )
    report.show(COLUMNS)
    report.write(options.json)


def agree(runs: dict[str, list[Numbers]]) -> None:
    """Raises: AssertionError when a contender took fewer steps, or read fewer tokens, than the others."""
    taken = {(run["optimizer_steps"], run["tokens"]) for some in runs.values() for run in some if "tokens" in run}
    assert len(taken) <= 1, f"steps and tokens differ: {taken}"


def judge(report: results.Results, runs: dict[str, list[Numbers]], size: int) -> None:
    """Add ratios within each round, then the bars."""
    for number, limit in enumerate(runs.get("limit", ())):
        for name, some in runs.items():
            if name != "limit":
                spent = some[number]["tokens_per_s"] * FLOP * size
                some[number]["share_of_peak"] = spent / (limit["bf16_tflops"] * 1e12)
    report.contenders = {name: results.summary(some) for name, some in runs.items()}
    ratio = results.ratio
    for name, numbers in report.contenders.items():
        if name != "limit":
            for other, short in (("original", "times_original"), ("tuned_trainer", "times_tuned")):
                if other in report.contenders and name != other:
                    numbers[short] = ratio(numbers, report.contenders[other], "tokens_per_s")
            if "original" in report.contenders and name != "original":
                numbers["epoch_times_original"] = 1 / ratio(numbers, report.contenders["original"], "seconds_per_epoch")
    ftkit, fp32 = report.contenders.get("ftkit"), report.contenders.get("ftkit_fp32")
    if ftkit:
        times, tuned = (20, 5) if "amx_bf16" in bf16_units() else (15, 3.5)
        if report.settings["backbone"].startswith("deberta"):
            tuned = 3
        for short, what, least in (
            ("times_original", "real tokens/s against the original", times),
            ("epoch_times_original", "a whole epoch against the original", times),
            ("times_tuned", "real tokens/s against the tuned Trainer", tuned),
            ("share_of_peak", "share of the measured bf16 peak", 0.15),
        ):
            if short in ftkit:
                report.bars.append(results.Bar(what, "ftkit", ftkit[short], least=least))
        if base := report.contenders.get("original"):
            memory = ratio(ftkit, base, "peak_memory_mb")
            report.bars.append(results.Bar("peak memory against the original", "ftkit", memory, most=1))
            for name in ("macro_f1", "auc"):
                difference = statistics.fmean(run[name] for run in ftkit["runs"]) - statistics.fmean(
                    run[name] for run in base["runs"]
                )
                report.bars.append(results.Bar(f"{name} less that of the original", "ftkit", difference, least=-0.01))
    if fp32 and "times_original" in fp32:
        what = "real tokens/s against the original, fp32"
        report.bars.append(results.Bar(what, "ftkit_fp32", fp32["times_original"], least=3))


def _source(backbone: str) -> str | Path:
    from ftkit import plugins

    source: str | Path = plugins.load().find("backbones", backbone)().source()
    return source
