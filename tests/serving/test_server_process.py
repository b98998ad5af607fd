"""A real server process: it becomes ready, is measured, and ends when it is closed or its owner dies."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Contender
from ftkit.errors import DeployError, PluginError
from ftkit.serving import server, server_process
from ftkit.serving.limits import Limits
from ftkit.serving.server_process import ServerProcess, SharedServer, shared_server
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle

UNRULY = '''
"""A backbone whose model misbehaves on certain texts."""
import os, signal, time
from dataclasses import dataclass
from typing import ClassVar
from ftkit import hookimpl
from ftkit.testing.toys import ToyWords


class Unruly:
    def __init__(self, inner):
        self.inner, self.classes = inner, inner.classes

    def probabilities(self, texts):
        if "raise" in texts:
            raise RuntimeError("cannot compute this")
        if "die" in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hang" in texts:
            time.sleep(3600)
        return self.inner.probabilities(texts)

    def save(self, folder):
        self.inner.save(folder)


@dataclass(frozen=True, kw_only=True)
class UnrulyBackbone:
    name: ClassVar[str] = "unruly"

    def fit(self, data, seed, report):
        raise NotImplementedError

    def load(self, folder):
        if (folder / "late").exists():
            time.sleep(3600)
        if (folder / "early").exists():
            os._exit(7)
        return Unruly(ToyWords().load(folder))


@hookimpl
def backbones():
    return [UnrulyBackbone]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("process")
    info = folder / "plugins" / "unruly_process-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unruly-process\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ftkit]\nunruly = unruly_process\n")
    (folder / "plugins" / "unruly_process.py").write_text(UNRULY, encoding="utf-8")
    with toys.install(folder / "plugins"):
        yield folder


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return toy_bundle(folder / "bundle", use="unruly")


@pytest.fixture(scope="module")
def served(bundle: Bundle) -> Iterator[ServerProcess]:
    with ServerProcess(bundle.folder, threads=1) as served:
        yield served


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "the condition was never met"
        time.sleep(0.02)


def test_it_answers_over_one_connection_and_names_the_bundle(served: ServerProcess, bundle: Bundle) -> None:
    answers = [served.invoke({"data": [{"text": text}]}) for text in (GOOD, BAD)]
    assert [each.value for each in answers] == [["good"], ["bad"]]
    assert {each.status for each in answers} == {200}
    assert {each.bundle for each in answers} == {bundle.hash}
    assert all(0 < each.seconds < 30 for each in answers)
    assert served.describe()["hash"] == bundle.hash
    assert served.started_in > 0
    assert "ready after" in served.log()


def test_a_refusal_is_an_answer_too(served: ServerProcess) -> None:
    answer = served.invoke(b"no json")
    assert answer.status == 400
    assert answer.refusal.startswith("400: the body is not JSON")
    too_large = served.invoke(b" " * (Limits().size + 1))
    assert too_large.status == 413
    failed = served.invoke({"data": [{"text": "raise"}]})
    assert failed.refusal == "500: the server failed on this request: RuntimeError"
    assert served.invoke({"data": [{"text": GOOD}]}).refusal == ""


def test_memory_is_the_peak_of_the_serving_process(served: ServerProcess) -> None:
    before = served.memory
    assert before is not None
    assert before > 20 * 2**20
    served.invoke({"data": [{"text": "x" * 1_000_000}, {"text": "y " * 500_000}]})
    after = served.memory
    assert after is not None
    assert after >= before


def test_it_is_the_program_that_the_local_endpoint_runs(served: ServerProcess) -> None:
    child = importlib.util.find_spec("ftkit_local.endpoint.child")
    assert child is not None and child.origin is not None
    assert "server.command(" in Path(child.origin).read_text(encoding="utf-8")
    if sys.platform == "linux":
        running = Path(f"/proc/{served.pid}/cmdline").read_text(encoding="utf-8").split("\0")
        assert running[1:4] == ["-P", "-m", "ftkit.serving.server"]
        environment = Path(f"/proc/{served.pid}/environ").read_text(encoding="utf-8").split("\0")
        assert {"HF_HUB_OFFLINE=1", "OMP_NUM_THREADS=1", "PYTHONUNBUFFERED=1"} <= set(environment)


def test_closing_ends_the_process_and_removes_its_folder(bundle: Bundle) -> None:
    with ServerProcess(bundle.folder, threads=1) as own:
        folder = Path(own._socket).parent
        assert len(os.fsencode(own._socket)) < server.LONGEST_SOCKET
        pid = own.pid
    assert gone(pid)
    assert not own.alive
    assert not folder.exists()
    own.close()
    with pytest.raises(DeployError, match=r"SIGTERM|exit code"):
        own.invoke({"data": []})


def test_a_server_that_dies_on_a_request_raises_with_its_log_and_is_replaced(bundle: Bundle) -> None:
    with SharedServer(bundle.folder, threads=1) as shared:
        first = shared.get()
        assert shared.get() is first
        with pytest.raises(DeployError, match=r"(?s)killed by SIGKILL.*log ends.*ready after"):
            first.invoke({"data": [{"text": "die"}]})
        assert not first.alive
        second = shared.get()
        assert second.pid != first.pid
        assert second.invoke({"data": [{"text": GOOD}]}).value == ["good"]
    assert gone(second.pid)


def test_a_server_that_does_not_answer_in_time_is_ended(bundle: Bundle) -> None:
    with ServerProcess(bundle.folder, threads=1, timeout=1) as own:
        with pytest.raises(DeployError, match="did not answer within 1 s"):
            own.invoke({"data": [{"text": "hang"}]})
        assert not own.alive


def test_a_bundle_that_cannot_be_served_raises_with_the_reason(folder: Path, bundle: Bundle) -> None:
    damaged = shutil.copytree(bundle.folder, folder / "damaged")
    (damaged / "recipe.toml").write_text("changed", encoding="utf-8")
    with pytest.raises(DeployError, match=r"cannot be served: .*changed since it was written: recipe\.toml") as error:
        ServerProcess(damaged, threads=1)
    assert "\n" not in error.value.what


@pytest.mark.parametrize(
    ("how", "message"), [("early", "exit code 7"), ("late", "did not become ready in time: the model is being loaded")]
)
def test_a_server_that_does_not_become_ready_raises_with_the_reason(folder: Path, how: str, message: str) -> None:
    with pytest.raises(DeployError, match=message):
        ServerProcess(toy_bundle(folder / how, use="unruly", beside={how: ""}).folder, threads=1, patience=5)


def test_a_killed_owner_takes_its_server_along(bundle: Bundle) -> None:
    script = (
        "import sys, time; from pathlib import Path; from ftkit.serving.server_process import ServerProcess\n"
        "served = ServerProcess(Path(sys.argv[1]), threads=1); print(served.pid, served._socket.parent, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, bundle.folder], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, home = owner.stdout.readline().split()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    try:
        wait(lambda: gone(int(pid)))
    finally:
        shutil.rmtree(home, ignore_errors=True)  # unless another process of ftkit has swept it already


def test_ctrl_c_while_it_starts_ends_it(bundle: Bundle) -> None:
    script = (
        "import os, signal, sys, subprocess\n"
        "from pathlib import Path\n"
        "from ftkit.serving import server_process\n"
        "def interrupted(self, deadline):\n"
        "    print(self.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "server_process.ServerProcess._wait = interrupted\n"
        "server_process.ServerProcess(Path(sys.argv[1]), threads=1)"
    )
    done = subprocess.run([sys.executable, "-c", script, bundle.folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGINT
    assert gone(int(done.stdout))


def test_outside_a_gate_a_contender_is_served_by_a_server_of_its_own(bundle: Bundle) -> None:
    contender = Contender("the candidate", bundle.folder, bundle.classifier, None, None, "accuracy", 7)  # type: ignore[arg-type]
    with shared_server(contender) as own:
        pid = own.get().pid
    assert gone(pid)
    with SharedServer(bundle.folder) as shared:
        contender = Contender("it", bundle.folder, bundle.classifier, None, None, "accuracy", 7, shared)  # type: ignore[arg-type]
        with shared_server(contender) as server:
            assert server is shared


def test_a_missing_package_that_serving_needs_is_named(monkeypatch: pytest.MonkeyPatch, bundle: Bundle) -> None:
    monkeypatch.setattr(server, "NEEDED", ("json", "no_such_server"))
    with pytest.raises(PluginError, match="no_such_server is not installed") as error:
        server_process.ServerProcess(bundle.folder)
    assert "pip install -e '.[serving]'" in error.value.hint


def test_the_command_carries_the_limits_and_the_environment_the_threads() -> None:
    assert Limits(**json.loads(server.command("bundle", "socket", Limits(rows=5))[-1])) == Limits(rows=5)
    assert server.environment(3)["OMP_NUM_THREADS"] == "3"
    assert server.environment()["OMP_NUM_THREADS"] == str(os.cpu_count())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_something_else_kills_is_started_again_for_the_next_request(
    bundle: Bundle, number: signal.Signals
) -> None:
    with ServerProcess(bundle.folder, threads=1) as own:
        first = own.pid
        os.kill(first, number)
        while own.alive:
            time.sleep(0.01)
        assert own.invoke({"data": [{"text": GOOD}]}).value == ["good"]
        assert own.pid != first
        assert gone(first)
        again = own.pid
    assert gone(again)


def test_a_server_that_is_killed_while_it_starts_is_started_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> Any:
        process = real(*arguments, **options)
        started.append(process.pid)
        if len(started) == 1:
            process.kill()
        return process

    monkeypatch.setattr("ftkit.serving.server_process.subprocess.Popen", popen)
    with ServerProcess(bundle.folder, threads=1) as own:
        assert own.invoke({"data": [{"text": GOOD}]}).value == ["good"]
        assert started == [started[0], own.pid]
