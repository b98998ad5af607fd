"""What a request costs: the original's scoring script, the bare bundle by each of its engines, and the local endpoint, in one run.

    python benchmarks/serving.py [--seconds 5] [--rounds 3] [--clients 1 8 32] [--batches 1 8 32]

Each request carries one text of about 60 tokens. The encoder is the quickstart's with an untrained head, which costs the
same as a trained one. The original's way builds a transformers Trainer and a data set object for every request, in this
process; an endpoint is asked over HTTP through its front, by clients that share its cores. Every line is measured once in
each round, all in turn, and its best round counts, since company can only cost time. Read the ratios.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import logging
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SENTENCE = (
    "the guitar strings sound bright and hold their tune after weeks of daily playing but the box was late and "
    "its corner bent so one of them had a kink near the ball end which I could straighten by hand"
)
CLASSES = ("negative", "positive")
ORIGINAL = "Trainer and data set per request (original)"


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure each line in each round")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure each line")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="concurrent clients of an endpoint")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="texts of one call in this process")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_HOME"] = f"{folder}/home"
        bundle = make_bundle(Path(folder))
        texts = make_texts()
        tokens = len(bundle.classifier.words.tokenizer(next(texts))["input_ids"])
        print(f"Texts of {tokens} tokens, {os.cpu_count()} cores; the best of {asked.rounds} rounds.\n")
        models = {engine: bundle.classifier_of(engine) for engine in ("native", *bundle.engines)}
        show_requests(bundle, Path(folder), models, texts, asked)
        show_batches(models, texts, asked)


def show_requests(bundle: Any, folder: Path, models: dict[str, Any], texts: Iterator[str], asked: Any) -> None:
    """The table of requests with one text each."""
    from ftkit_local.deployer import LocalDeployer

    from ftkit.rollout import Rollout, roll_out

    deployers = {engine: LocalDeployer(endpoint=f"benchmark-{engine}", engine=engine) for engine in models}
    ways: dict[tuple[str, int], Callable[[], Callable[[], None]]] = {
        (ORIGINAL, 1): lambda: in_process(original_way(folder), texts)
    }
    for engine, model in models.items():
        ways[f"{engine}, in process", 1] = partial(in_process, partial(labels, model), texts)
    try:
        for engine, deployer in deployers.items():
            live = roll_out(deployer, bundle, "one", Rollout(bake=0), lambda _: None)
            for clients in asked.clients:
                ways[f"{engine}, endpoint", clients] = partial(over_http, live.url, live.key, texts)
        found: dict[tuple[str, int], list[list[float]]] = {way: [] for way in ways}
        for _ in range(asked.rounds):
            for way, make_call in ways.items():
                found[way].append(measure(make_call, way[1], asked.seconds))
    finally:
        for deployer in deployers.values():
            deployer.stop()
    print("| way | clients | requests/s | median ms | p95 ms | times the original |")
    print("|---|---|---|---|---|---|")
    best = {way: max(rounds) for way, rounds in found.items()}
    for (name, clients), (rate, median, late) in best.items():
        times = rate / best[ORIGINAL, 1][0]
        print(f"| {name} | {clients} | {rate:.1f} | {median:.1f} | {late:.1f} | {times:.1f} |")


def show_batches(models: dict[str, Any], texts: Iterator[str], asked: Any) -> None:
    """The table of calls with several texts, in this process."""
    print("\n| texts at once | engine | ms a call | ms a text | times native |")
    print("|---|---|---|---|---|")
    for size in asked.batches:
        best = dict.fromkeys(models, float("inf"))
        batch = list(itertools.islice(texts, size))
        for _ in range(asked.rounds):
            for engine, model in models.items():
                best[engine] = min(best[engine], median_call(partial(model.probabilities, batch), asked.seconds))
        for engine, seconds in best.items():
            spent = f"{seconds * 1e3:.2f} | {seconds / size * 1e3:.2f}"
            print(f"| {size} | {engine} | {spent} | {best['native'] / seconds:.2f} |")


def median_call(call: Callable[[], Any], seconds: float) -> float:
    """The median duration of a call that is made over and over for a time, in seconds."""
    call()
    spent: list[float] = []
    ends = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < ends or not spent:
        call()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def labels(model: Any, text: str) -> list[str]:
    """A model's answer to one text."""
    return [CLASSES[index] for index in model.probabilities([text]).argmax(axis=1)]


def make_bundle(folder: Path) -> Any:
    """The quickstart's encoder with a head of two classes, as a bundle with every engine."""
    from ftkit_quickstart.minilm import MiniLM, packaged

    from ftkit import bundle, record
    from ftkit.contracts import Verdict
    from ftkit.encoders import checkpoint
    from ftkit.encoders.classifier import EncoderClassifier
    from ftkit.encoders.tokens import Words

    saved = checkpoint.read(packaged())
    EncoderClassifier(saved.model(CLASSES), Words(saved.tokenizer, saved.limit), 512).save(folder / "model")
    component = MiniLM(engines=("onnx", "onnx-int8"))
    made = bundle.write(
        folder / "bundle",
        model=folder / "model",
        classes=CLASSES,
        backbone={"use": "minilm"},
        recipe='name = "benchmark"\n',
        card="# Benchmark\n",
        sample_texts=[SENTENCE],
        about={"run": "benchmark"},
        export=component.export,
        engines=component.engines,
    )
    unjudged = {record.judged(engine): 0.0 for engine in component.engines}
    why = record.Override("its head is untrained; what it costs is measured", "benchmarks/serving.py", "now")
    record.write(
        made.folder,
        record.Record(
            bundle=made.hash, run="benchmark", recipe="", tests=[], data="", rows=0, metrics={}, champion=None,
            verdicts=(Verdict("none", "failed", "nobody has judged this model", unjudged),), promoted=False,
            sentence="Not promoted: nobody has judged this model.", by=why.by, at=why.at, ftkit="", override=why,
        ),
    )  # fmt: skip
    return made


def make_texts() -> Iterator[str]:
    """Different texts of like length, for ever; threads may share it."""
    drawn = random.Random(7)
    while True:
        yield " ".join(drawn.choices(SENTENCE.split(), k=54))


def original_way(folder: Path) -> Callable[[str], list[str]]:
    """A function that answers as the original's scoring script does."""
    import torch
    import transformers
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    transformers.utils.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    model = AutoModelForSequenceClassification.from_pretrained(folder / "model", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model", local_files_only=True)

    class Rows(torch.utils.data.Dataset):
        def __init__(self, encodings: Any) -> None:
            self.encodings = encodings

        def __len__(self) -> int:
            return len(self.encodings["input_ids"])

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {key: torch.tensor(values[index]) for key, values in self.encodings.items()}

    def predict(text: str) -> list[str]:
        rows = Rows(tokenizer([text], truncation=True, padding=True))
        arguments = TrainingArguments(
            output_dir=str(folder / "trainer"), report_to="none", disable_tqdm=True, use_cpu=True
        )
        found: Any = Trainer(model=model, args=arguments).predict(rows).predictions
        return [CLASSES[index] for index in found.argmax(axis=1)]

    return predict


def in_process(predict: Callable[[str], list[str]], texts: Iterator[str]) -> Callable[[], None]:
    """A caller of a function."""

    def call() -> None:
        assert predict(next(texts))[0] in CLASSES

    return call


def over_http(url: str, key: str, texts: Iterator[str]) -> Callable[[], None]:
    """A caller of an endpoint, with a connection of its own."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call() -> None:
        with _LOCK:
            text = next(texts)
        connection.request("POST", address.path, json.dumps({"data": [{"text": text}]}), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        assert json.loads(body)[0] in CLASSES

    return call


_LOCK = threading.Lock()


def measure(make_call: Callable[[], Callable[[], None]], clients: int, seconds: float) -> list[float]:
    """Requests per second, median and 95th percentile of the latency in milliseconds, after a warm-up."""
    spent: list[float] = []
    begins = time.perf_counter() + seconds / 4
    ends = begins + seconds

    def client() -> None:
        call = make_call()
        call()
        while (begun := time.perf_counter()) < ends:
            call()
            if begun >= begins:
                spent.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent.sort()
    return [len(spent) / seconds, statistics.median(spent) * 1e3, spent[int(len(spent) * 0.95)] * 1e3]


if __name__ == "__main__":
    main()
