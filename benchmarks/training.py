"""Fine-tuning speed on real rows: ftkit's engine against a transformers Trainer set up as the original's, in one run.

    FTKIT_SHARED=DIR python benchmarks/training.py [--rows 240] [--threads 2] [--rounds 2]

Rows are UCSD Musical Instruments reviews, the encoder is MiniLM as pip installs it, batches hold 8 rows of up to 512
tokens. Every run is a process of its own, and the contestants take turns, so that a busy machine slows all of them; read the
ratios. The first steps, in which kernels are built, are left out of no contestant's time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 8
LENGTH = 512


def reviews(count: int) -> tuple[list[str], list[int]]:
    """Texts and labels as the original makes them, the same ones in every process."""
    folder = Path(os.environ.get("FTKIT_SHARED", Path(__file__).parents[2] / "shared"))
    path = folder / "data" / "amazon" / "reviews_Musical_Instruments_5.json.gz"
    if not path.is_file():
        sys.exit(f"no rows: set FTKIT_SHARED to a folder that holds {path.relative_to(folder)}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    kept = [(row["reviewText"], int(row["overall"] > 3)) for row in rows if row["reviewText"] and row["overall"] != 3]
    random.Random(0).shuffle(kept)
    texts, labels = zip(*kept[:count], strict=True)
    return list(texts), list(labels)


def original(count: int) -> dict[str, float]:
    """The original's way: the Trainer in fp32, random batches padded to their longest row."""
    import torch
    import transformers
    from ftkit_quickstart.minilm import packaged

    transformers.utils.logging.set_verbosity_error()
    texts, labels = reviews(count)
    tokenizer = transformers.AutoTokenizer.from_pretrained(packaged())
    encoded = tokenizer(texts, truncation=True, max_length=LENGTH)
    rows = [
        {"input_ids": ids, "attention_mask": mask, "labels": label}
        for ids, mask, label in zip(encoded["input_ids"], encoded["attention_mask"], labels, strict=True)
    ]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(packaged(), num_labels=2)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=5.5e-5,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
        )
        began, cpu = time.perf_counter(), time.process_time()
        trainer.train()
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, **serving(None, torch)}


def engine(count: int, **options: object) -> dict[str, float]:
    """ftkit's engine on the same rows; its time includes tokenising nothing, as the original's does."""
    import torch
    from ftkit_quickstart.minilm import MiniLM

    from ftkit.contracts import Data, DataReport, Split
    from ftkit.encoders import training

    texts, labels = reviews(count)
    report = DataReport("Musical Instruments", count, {}, {}, {}, "")
    split = Split(tuple(texts), tuple(labels))
    first = Split(split.texts[:1], split.labels[:1])
    data = Data(("negative", "positive"), split, first, Split((), ()), report)
    clock: dict[str, float] = {}
    batches = training.training_batches

    def timed(*arguments):
        clock["wall"], clock["cpu"] = time.perf_counter(), time.process_time()
        return batches(*arguments)

    def evaluated(_epoch: int, _probabilities: object, rows_per_second: float, **_numbers: float) -> bool:
        clock["seconds"] = count / rows_per_second
        clock["spent"] = time.process_time() - clock["cpu"]
        return False

    training.training_batches = timed
    backbone = MiniLM(batch_size=BATCH, max_length=LENGTH, epochs=1, learning_rate=5.5e-5, warmup=0.0, weight_decay=0.0)
    classifier = type(backbone)(**{**vars(backbone), **options}).fit(data, 1, evaluated)
    return {"seconds": clock["seconds"], "cpu": clock["spent"], **serving(classifier, torch)}


def serving(classifier: object, torch: object) -> dict[str, float]:
    """Median milliseconds of one request of 60 tokens; nothing for the original, whose scoring is not rebuilt here."""
    if classifier is None:
        return {}
    text = "word " * 58
    for _ in range(5):
        classifier.probabilities([text])
    times = []
    for _ in range(50):
        began = time.perf_counter()
        classifier.probabilities([text])
        times.append(time.perf_counter() - began)
    return {"request_ms": 1000 * statistics.median(times)}


CONTESTANTS = {
    "original": original,
    "engine": engine,
    "engine, fp32": lambda count: engine(count, precision="fp32"),
    "engine, no dropout": lambda count: engine(count, dropout=0.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=CONTESTANTS, help="run one contestant in this process")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(CONTESTANTS[arguments.only](arguments.rows)))
        return

    from ftkit.encoders.environment import process_environment

    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(arguments.rounds):
        for name in CONTESTANTS:
            # The original's processes are started as a shell would start them, ours as ftkit starts its trials.
            ours = process_environment(arguments.threads) if name != "original" else {}
            threads = {"OMP_NUM_THREADS": str(arguments.threads), "MKL_NUM_THREADS": str(arguments.threads)}
            done = subprocess.run(
                [sys.executable, __file__, "--only", name, "--rows", str(arguments.rows)],
                env=os.environ | threads | ours,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    base = min(each["seconds"] for each in found["original"])
    base_cpu = min(each["cpu"] for each in found["original"])
    print(f"{'contestant':22} {'rows/s':>8} {'ratio':>7} {'CPU s/row':>10} {'ratio':>7} {'60 tokens, ms':>14}")
    for name, runs in found.items():
        seconds, cpu = min(each["seconds"] for each in runs), min(each["cpu"] for each in runs)
        request = min((each["request_ms"] for each in runs if "request_ms" in each), default=float("nan"))
        print(
            f"{name:22} {arguments.rows / seconds:8.1f} {base / seconds:7.1f} {cpu / arguments.rows:10.4f} "
            f"{base_cpu / cpu:7.1f} {request:14.1f}"
        )


if __name__ == "__main__":
    main()
