"""The benchmarks' commands run and write what is documented; no test pins what they measure."""

from __future__ import annotations

import gzip
import http.server
import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import datasets, load, results, servers
from benchmarks.__main__ import NAMES
from ftkit.testing.tiny_checkpoints import tiny_bert
from tests.azure.fixtures import require_scoring

ROOT = Path(__file__).resolve().parents[1]


def benchmark(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_every_benchmark_lists_its_options(name: str) -> None:
    help_text = benchmark(name, "--help")
    assert f"python -m benchmarks {name}" in help_text
    if name not in ("abstain", "canary", "faults", "fuzz", "gate", "rollout", "telemetry"):
        source = "--folder" if name == "datasets" else "--data"
        assert all(option in help_text for option in (source, "--rows", "--json"))


@pytest.mark.parametrize(
    ("name", "option"),
    [("train", "--data"), ("train", "--checkpoint"), ("quality", "--data"), ("tuning", "--data"), ("datasets", "--folder"),
     ("data", "--data"), ("serve", "--data")],
)  # fmt: skip
def test_what_is_not_there_is_refused_before_anything_runs(name: str, option: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, option, str(tmp_path / "away")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"argument {option}: there is no {tmp_path / 'away'}" in done.stderr


def test_overhead_writes_one_object_for_each_contender_with_machine_and_versions(tmp_path: Path) -> None:
    output = benchmark("overhead", "--repeats=1", "--rounds=1", "--trials=1", f"--json={tmp_path / 'results.json'}")
    measured = json.loads((tmp_path / "results.json").read_text())
    for name in ("python", "ftkit_help", "ftkit_check", "ftkit_plan"):
        assert measured[name]["p50_ms"] > 0
        assert measured[name]["spread"]["p50_ms"] == [measured[name]["p50_ms"]] * 2
        assert f"| {name} |" in output
    assert {"data_ms", "search_ms", "select_ms", "test_ms"} <= measured["run"].keys()
    assert {bar["contender"] for bar in measured["bars"]} == {"ftkit_help", "ftkit_check"}
    assert measured["machine"]["cores"] and measured["versions"]["ftkit"]


def test_no_request_is_lost_or_answered_wrongly_while_versions_replace_each_other(tmp_path: Path) -> None:
    small = ("--rate=10", "--bake=0.5", "--train-rows=300", "--seed=3", f"--json={tmp_path / 'results.json'}")
    benchmark("rollout", "--swaps=1", "--failing=1", "--faults", "killed while it bakes", *small)
    measured = json.loads((tmp_path / "results.json").read_text())
    assert measured["all"]["requests"] > 20
    assert measured["swaps"]["as_meant"] == measured["killed while it bakes"]["as_meant"] == 1
    assert all(bar["met"] for bar in measured["bars"]), measured["notes"]


def test_overload_is_refused_and_clients_that_misbehave_harm_nobody(tmp_path: Path) -> None:
    kinds = ("a head without an end", "100 MB in chunks", "10,000 texts", "broken UTF-8", "deep JSON")
    small = ("--seconds=2", "--train-rows=300", f"--json={tmp_path / 'results.json'}")
    benchmark("rollout", "--overload", *small, "--kinds", *kinds)
    measured = json.loads((tmp_path / "results.json").read_text())
    assert measured["beyond capacity"]["429"] + measured["beyond capacity"]["answered"] > 0
    assert all(bar["met"] for bar in measured["bars"]), measured["bars"]


def test_every_stage_of_large_data_has_seconds_and_memory(tmp_path: Path) -> None:
    benchmark("data", "--rows=400", "--without", "tokens", f"--json={tmp_path / 'results.json'}")
    measured = json.loads((tmp_path / "results.json").read_text())
    for stage in ("read", "clean", "near copies", "load in all", "store", "read back, in each trial"):
        assert measured[stage]["seconds"] > 0
        assert measured[stage]["peak_mb"] > 1


def test_an_order_of_classes_and_pairs_are_measured_on_reviews(tmp_path: Path) -> None:
    words = ("awful", "poor", "fair", "good", "superb")
    rows = [
        {"asin": f"product {n % 40}", "overall": float(1 + n % 5), "reviewText": f"a {words[n % 5]} lamp of kind {n % 40}, order {n}"}
        for n in range(480)
    ]  # fmt: skip
    reviews = tmp_path / "reviews.json.gz"
    reviews.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    options = ("--rows=200", "--seeds=1", "--set", "backbone.use=linear", f"--json={tmp_path / 'results.json'}")
    output = benchmark("tasks", f"--data={reviews}", *options)
    measured = json.loads((tmp_path / "results.json").read_text())
    assert measured["stars_ordinal"]["quadratic_kappa"] > 0.9
    assert {"quadratic_kappa", "mae", "accuracy", "difference_low"} <= measured["stars_single"].keys()
    for name in ("pairs_pair", "pairs_joined"):
        assert measured[name]["train_rows"] > 50
        assert f"| {name} |" in output


def test_a_recipe_is_compared_with_logistic_regression_on_the_same_rows(tmp_path: Path) -> None:
    lines = [
        f"the {'good' if row % 3 else 'bad'} thing of {chr(97 + row % 26)}{row},{'yes' if row % 3 else 'no'}"
        for row in range(90)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    (tmp_path / "rows.toml").write_text(
        'dataset = { use = "table", path = "rows.csv" }\nbackbone = { use = "minilm" }\n'
    )
    numbers = datasets.compared(
        str(tmp_path / "rows.toml"), ["backbone.epochs=1", "dataset.near_copies=ignored"], 40, ["accuracy"], 1
    )
    assert (numbers["train_rows"], numbers["classes"], numbers["epochs"], numbers["max_length"]) == (40, 2, 1, 64)
    assert numbers["words_f1"] == numbers["characters_f1"] == 1.0
    assert numbers["linear"] == 1.0
    assert 0 <= numbers["macro_f1"] <= 1
    assert 0 <= numbers["accuracy"] <= 1


def test_quality_trains_on_some_of_the_rows_and_a_second_time_by_the_modules_of_transformers(tmp_path: Path) -> None:
    (tmp_path / "trec").mkdir()
    lines = [f"{row % 3} a {('good', 'fine', 'bad')[row % 3]} thing, number {row}" for row in range(60)]
    for part in ("train", "test"):
        (tmp_path / "trec" / f"TREC.{part}.all").write_text("\n".join(lines), encoding="utf-8")
    checkpoint = tiny_bert(tmp_path / "checkpoint")
    written = tmp_path / "results.json"
    options = ("--seeds=1", "--rows=20", "--rate=0.01", f"--checkpoint={checkpoint}", "--plain", f"--json={written}")
    output = benchmark("quality", f"--data={tmp_path}", "--backbone=bert-base-cased", "--sets=trec", *options)
    measured = json.loads(written.read_text())
    for name in ("trec", "trec, plain"):
        assert f"| {name} |" in output
        assert measured[name]["train_rows"] == 20
        assert 0 <= measured[name]["accuracy"] <= 1
    assert [bar["contender"] for bar in measured["bars"]] == ["trec"]


def test_ratios_are_taken_within_each_round() -> None:
    fast, slow = ({"runs": [{"speed": first}, {"speed": second}]} for first, second in ((8.0, 30.0), (2.0, 10.0)))
    assert results.ratio(fast, slow, "speed") == 3.5


def test_quality_is_the_mean_over_seeds_and_speed_the_median() -> None:
    measured = results.summary([{"macro_f1": value, "p50_ms": value} for value in (1.0, 2.0, 6.0)])
    assert (measured["macro_f1"], measured["p50_ms"], measured["spread"]["p50_ms"]) == (3.0, 2.0, [1.0, 6.0])


def test_a_bar_is_missed_when_the_value_is_nan() -> None:
    assert results.Bar("speed", "ftkit", 15.0, least=15).met
    assert not results.Bar("speed", "ftkit", 14.9, least=15).met
    assert not results.Bar("speed", "ftkit", float("nan"), most=15).met


@pytest.fixture
def url() -> Iterator[str]:
    """A server that accepts one text and refuses any other."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            (row,) = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]
            allowed = self.headers["Authorization"] == "Bearer key" and row["text"] == "Größe\n"
            self.send_response(200 if allowed else 503)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/score"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("program", ["wrk", None])
def test_every_load_generator_sends_whole_texts_and_raises_when_one_is_refused(
    url: str, program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program and not shutil.which(program):
        pytest.skip("wrk is not installed")
    monkeypatch.setattr(load.shutil, "which", lambda _: program)
    measured = load.ask(url, {"Authorization": "Bearer key"}, ["Größe\n"], clients=2, seconds=0.2)
    assert measured["requests_per_s"] > 0
    assert 0 < measured["p50_ms"] <= measured["p95_ms"] <= measured["p99_ms"]
    with pytest.raises(RuntimeError, match="not every request was answered"):
        load.ask(url, {"Authorization": "Bearer key"}, ["Größe\n", "refused"], clients=2, seconds=0.2)


def test_the_original_scoring_script_serves_the_model_that_it_is_given(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from ftkit.encoders import checkpoint
    from ftkit.encoders.inference.classifier import EncoderClassifier
    from ftkit.encoders.tokenization import Tokenizer
    from ftkit.testing.backbones import tiny_bert

    pretrained = checkpoint.read(tiny_bert(tmp_path))
    model = EncoderClassifier(pretrained.model(("bad", "good")), Tokenizer(pretrained.tokenizer, pretrained.limit), 64)
    model.save(tmp_path / "model")
    texts = ["ship wave harbour", "bread", "guitar song " * 40]
    labels = [model.classes[index] for index in model.probabilities(texts).argmax(axis=1)]
    with servers.original(require_scoring(), tmp_path / "model", texts[0]) as live:
        request = urllib.request.Request(
            live.url,
            json.dumps({"data": [{"text": text} for text in texts]}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer) == labels
