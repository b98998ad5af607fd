"""What a request costs: the original's scoring script, the bare bundle, and the local endpoint, in one run.

    python benchmarks/serving.py [--seconds 5] [--clients 1 8 32]

Each request carries one text of about 60 tokens. The encoder is the quickstart's with an untrained head, which costs the
same as a trained one. The original's way builds a transformers Trainer and a data set object for every request, in this
process; the endpoint is asked over HTTP through its front, by clients that share its cores. Read the ratios.
"""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SENTENCE = (
    "the guitar strings sound bright and hold their tune after weeks of daily playing but the box was late and "
    "its corner bent so one of them had a kink near the ball end which I could straighten by hand"
)
CLASSES = ("negative", "positive")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure each line")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="concurrent clients of the endpoint")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_HOME"] = f"{folder}/home"
        bundle = make_bundle(Path(folder))
        texts = make_texts()
        tokens = len(bundle.classifier.words.tokenizer(next(texts))["input_ids"])
        print(f"One text of {tokens} tokens a request, {os.cpu_count()} cores.\n")
        print("| way | clients | requests/s | median ms | p95 ms | times the original |")
        print("|---|---|---|---|---|---|")
        original = measure(lambda: in_process(original_way(Path(folder)), texts), 1, asked.seconds)
        show("Trainer and data set per request (original)", 1, original, original)
        bare = measure(lambda: in_process(bundle.predict, texts), 1, asked.seconds)
        show("bundle.predict, in process", 1, bare, original)
        from ftkit_local.deployer import LocalDeployer

        from ftkit.rollout import Rollout, roll_out

        deployer = LocalDeployer(endpoint="benchmark")
        try:
            endpoint = roll_out(deployer, bundle, "one", Rollout(bake=0), lambda _: None)
            for clients in asked.clients:
                served = measure(lambda: over_http(endpoint.url, endpoint.key, texts), clients, asked.seconds)
                show("endpoint, over HTTP", clients, served, original)
        finally:
            deployer.stop()


def make_bundle(folder: Path) -> Any:
    """The quickstart's encoder with a head of two classes, as a bundle."""
    from ftkit_quickstart.minilm import packaged

    from ftkit import bundle
    from ftkit.encoders import checkpoint
    from ftkit.encoders.classifier import EncoderClassifier
    from ftkit.encoders.tokens import Words

    saved = checkpoint.read(packaged())
    EncoderClassifier(saved.model(CLASSES), Words(saved.tokenizer, saved.limit), 512).save(folder / "model")
    return bundle.write(
        folder / "bundle",
        model=folder / "model",
        classes=CLASSES,
        backbone={"use": "minilm"},
        recipe='name = "benchmark"\n',
        card="# Benchmark\n",
        sample_texts=[SENTENCE],
        about={"run": "benchmark"},
    )


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


def show(way: str, clients: int, found: list[float], original: list[float]) -> None:
    """One line of the table."""
    rate, median, late = found
    print(f"| {way} | {clients} | {rate:.1f} | {median:.1f} | {late:.1f} | {rate / original[0]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
