"""No secret that a component writes, logs or raises gets into output, journal, logs, records, reports, MLflow or telemetry."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("ftkit_mlflow")
pytest.importorskip("ftkit_local")

from ftkit.bundle import bundle as bundles
from ftkit.stages import known_endpoints
from ftkit.testing import toys
from tests.leaking_plugin import BEARER, CLIENT_SECRET, FAILING, SIGNATURE

SECRETS = (SIGNATURE, SIGNATURE.removesuffix("%3D%3D"), BEARER, BEARER.split(".")[1], CLIENT_SECRET)

RECIPE = """\
name = "leaking"
seed = 7

[dataset]
use = "leaking-reviews"

[backbone]
use = "leaking-words"

[search]
metric = "roc_auc"
trials = 1

[[promote]]
use = "leaking-test"

[registry]
use = "leaking-registry"
model = "leaking"

[deploy]
use = "leaking-deployer"
endpoint = "leaking"

[rollout]
bake = 0.0
"""


class Collector:
    """An OTLP collector that stores what it receives."""

    def __init__(self) -> None:
        self.received = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Write no access log."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.received += gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector of telemetry, to which texts are sent as well."""
    service = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", service.url)
    monkeypatch.setenv("FTKIT_TELEMETRY_TEXTS", "1")
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A recipe over the leaking components, whose plugin this process and its children find."""
    monkeypatch.setenv("AZURE_CLIENT_SECRET", CLIENT_SECRET)
    plugins = tmp_path / "plugins"
    root = Path(__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = plugins / "leaking-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: leaking\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[ftkit]\nleaking = tests.leaking_plugin\n")
    path = tmp_path / "leaking.toml"
    path.write_text(RECIPE)
    with toys.install(plugins):
        yield path
        for deployer in known_endpoints.known().values():
            deployer.stop()


def ftkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ftkit in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ftkit", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def leaks(text: str | bytes) -> list[str]:
    """The secrets in a text."""
    content = text if isinstance(text, bytes) else text.encode()
    return [secret for secret in SECRETS if secret.encode() in content]


def leaking_files() -> dict[str, list[str]]:
    """Every file of FTKIT_HOME that holds a secret, and which."""
    home = Path(os.environ["FTKIT_HOME"])
    by_file = {str(path): leaks(path.read_bytes()) for path in home.rglob("*") if path.is_file()}
    return {path: secrets for path, secrets in by_file.items() if secrets}


def written() -> str:
    """All text files of FTKIT_HOME."""
    home = Path(os.environ["FTKIT_HOME"])
    return "\n".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())


def test_a_run_without_failures_shows_no_secret(recipe: Path, collector: Collector) -> None:
    pytest.importorskip("ftkit_appinsights")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    ran = ftkit("run", str(recipe))
    assert ran.returncode == 0, ran.stderr
    assert not leaks(ran.stdout)
    assert not leaks(ran.stderr)
    assert leaking_files() == {}
    assert collector.received
    assert not leaks(collector.received)

    # The texts themselves are there, so the search above is not in vain.
    assert "dataset leaks: GET https://store.blob.core.windows.net/data/reviews.csv" in ran.stdout
    assert "test leaks" in ran.stdout
    assert b"test leaks" in collector.received
    run = json.loads(ftkit("runs", "--json").stdout)[0]
    folder = Path(os.environ["FTKIT_HOME"]) / "runs" / run["run"]
    for name in ("journal.jsonl", "report.html", "bundle/promotion.json"):
        assert "test leaks" in (folder / name).read_text().lower(), name
    assert "dataset leaks" in (folder / "bundle" / "README.md").read_text()
    assert "backbone leaks" in (folder / "trials" / "000" / "trial.log").read_text()
    logs = [path.read_text() for path in (Path(os.environ["FTKIT_HOME"]) / "endpoints").rglob("*.log")]
    assert any("backbone leaks" in log for log in logs)
    assert bundles.verify(folder / "bundle").record, "the redacted record verifies"
    for command in (("report", run["run"], "--json"), ("models", "--json"), ("endpoint", "status", "leaking")):
        shown = ftkit(*command)
        assert not leaks(shown.stdout + shown.stderr), command


@pytest.mark.parametrize("form", ["plain", "json", "debug"])
def test_a_foreign_error_of_the_dataset_shows_no_secret(recipe: Path, form: str) -> None:
    arguments = ("--json",) if form == "json" else ()
    ran = ftkit("run", str(recipe), *arguments, **{FAILING: "dataset", "FTKIT_DEBUG": "1" if form == "debug" else ""})
    assert ran.returncode == 3
    assert "dataset leaks" in ran.stderr
    assert not leaks(ran.stdout + ran.stderr)
    assert leaking_files() == {}
    assert form == "debug" or "Traceback" in written(), "the details of the error are kept"


@pytest.mark.parametrize(("stage", "code"), [("backbone", 4), ("test", 5), ("registry", 4), ("deployer", 4)])
def test_an_error_of_a_later_stage_shows_no_secret(recipe: Path, collector: Collector, stage: str, code: int) -> None:
    ran = ftkit("run", str(recipe), "--json", **{FAILING: stage})
    assert ran.returncode == code, ran.stderr
    assert f"{stage} leaks" in ran.stdout + ran.stderr
    assert f"{stage} leaks" in written()
    assert not leaks(ran.stdout)
    assert not leaks(ran.stderr)
    assert leaking_files() == {}
    assert not leaks(collector.received)


def test_a_secret_in_the_recipe_itself_is_not_shown(recipe: Path, collector: Collector) -> None:
    secret_source = f'use = "leaking-reviews"\nsource = "https://store/reviews?sig={SIGNATURE}"'
    secret_endpoint = 'use = "leaking-words"\nendpoint = "https://reader:correct-horse-4711@models.example.org/weights"'
    secret_token = 'use = "leaking-test"\napi_token = "battery-staple-0815"'
    text = RECIPE.replace('use = "leaking-reviews"', secret_source).replace('use = "leaking-words"', secret_endpoint)
    recipe.write_text(text.replace('use = "leaking-test"', secret_token).split("[deploy]")[0])
    planted = (SIGNATURE, "correct-horse-4711", "battery-staple-0815")

    for command in (
        ("plan", str(recipe)),
        ("plan", str(recipe), "--json"),
        ("check", str(recipe)),
        ("run", str(recipe)),
    ):
        shown = ftkit(*command)
        assert shown.returncode == 0, shown.stderr
        assert not [each for each in planted if each in shown.stdout + shown.stderr], command
    assert not [each for each in planted if each.encode() in collector.received]

    # What is executed keeps its values: the recipe of the run, and that of the bundle with its manifest.
    executed = ("recipe.toml", "manifest.json")
    home = Path(os.environ["FTKIT_HOME"])
    shown_files = [path for path in home.rglob("*") if path.is_file() and path.name not in executed]
    with_secrets = [str(path) for path in shown_files if any(each.encode() in path.read_bytes() for each in planted)]
    assert with_secrets == []
    (run,) = (home / "runs").iterdir()
    assert all(each in (run / "recipe.toml").read_text() for each in planted)
    again = ftkit("promote", run.name)
    assert again.returncode == 0, again.stderr
    lineage_recipes = list(home.rglob("lineage/recipe.toml"))
    assert lineage_recipes
    assert not [path for path in lineage_recipes for each in planted if each in path.read_text()]
