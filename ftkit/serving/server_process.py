"""A bundle served in a process of its own, as an endpoint would serve it: to send it requests, measure it and end it.

with ServerProcess(folder) as server:
    server.invoke({"data": [{"text": "It broke after a week."}]}).value
"""

from __future__ import annotations

import functools
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files
from ftkit.contracts import NATIVE
from ftkit.errors import DeployError
from ftkit.serving import server
from ftkit.serving.limits import Limits
from ftkit.serving.socket_connection import Answer, SocketConnection

if TYPE_CHECKING:
    from ftkit.contracts import Contender, ModelServer

END = 5.0
"""Seconds a server has to end by itself."""


class ServerProcess:
    """The server process of one bundle, ready to answer; it ends with this process, however this one ends.

    One caller at a time may use it. Raises: DeployError with the reason when it does not become ready; PluginError when
    `ftkit[serving]` is not installed.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        threads: int = 0,
        *,
        engine: str = NATIVE,
        patience: float = 300.0,
        timeout: float = 60.0,
    ) -> None:
        """Start it and wait until it is ready, for `patience` seconds; each request has `timeout` seconds.

        `limits`, `threads` and `engine` are by default those of the local endpoint.
        """
        self.folder = folder
        self.limits = limits or Limits()
        self.timeout = timeout
        self.started_in: float
        """Seconds from the start of the process until it was ready."""
        self._connection: SocketConnection | None = None
        self._given_up = False
        """This process has ended it."""
        with ExitStack() as stack:
            self._home = stack.enter_context(server.short_folder())
            self._log, self._socket = self._home / "log", self._home / "socket"
            self._begin = functools.partial(self._started, engine, threads, patience)
            self._begin()
            stack.callback(self._end)
            self._again_if_killed(self._until_ready)
            self._stack = stack.pop_all()

    def _started(self, engine: str, threads: int, patience: float) -> None:
        self._socket.unlink(missing_ok=True)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                server.command(self.folder.absolute(), self._socket, self.limits, engine),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self._home,
                env=server.environment(threads),
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the server
            )
        self._begun, self._deadline = time.monotonic(), time.monotonic() + patience

    def _until_ready(self) -> None:
        if self._killed:
            self._begin()
        self._wait(self._deadline)
        self.started_in = time.monotonic() - self._begun

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def memory(self) -> int | None:
        """Bytes of memory that the process held at its peak, or None when it is gone.

        Where the system shows no peak to other processes, the bytes it holds now. Source: proc(5), VmHWM.
        """
        if sys.platform == "linux":
            with suppress(OSError):
                for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) * 1024
            return None
        import psutil

        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return None

    def log(self, lines: int = 20) -> str:
        """The last lines that the process has written; empty once it is closed."""
        return files.tail(self._log, lines)

    def invoke(self, request: bytes | Mapping[str, Any]) -> Answer:
        """Send one request to /score: bytes as they are, any other value as JSON.

        A process that was killed is started and asked once more: where the request is the reason, it is killed again.
        Raises: DeployError when the process died or did not answer in time; then the process is ended.
        """
        body = request if isinstance(request, bytes) else json.dumps(dict(request)).encode()
        return self._ask("POST", "/score", body)

    def describe(self) -> Mapping[str, Any]:
        """What the server answers about its model. Raises: DeployError."""
        answer = self._ask("GET", "/model")
        if answer.refusal:
            raise DeployError(f"the server does not describe its model: {answer.refusal}", str(self.folder))
        return answer.value

    def close(self) -> None:
        """End the process: with a signal to terminate, then to kill; the second call changes nothing."""
        self._stack.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        def ask() -> Answer:
            if self._killed:
                self._until_ready()
            return self._send(method, path, body)

        return self._again_if_killed(ask)

    def _again_if_killed(self, work: Callable[[], Any]) -> Any:
        """What this gives, or gives at the second attempt where something has killed the process in the first."""
        try:
            return work()
        except DeployError:
            if not self._killed:
                raise
            return work()

    @property
    def _killed(self) -> bool:
        """Whether something else than this process, and no fault of its own, has ended it: perhaps nothing that it was asked."""
        return not self._given_up and self._process.poll() in (-signal.SIGKILL, -signal.SIGTERM)

    def _send(self, method: str, path: str, body: bytes | None) -> Answer:
        if not self.alive:
            raise self._dead()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        begun = time.perf_counter()
        try:
            if self._connection is None:
                self._connection = SocketConnection(self._socket, self.timeout)
            with suppress(BrokenPipeError, ConnectionResetError):  # a body that is refused need not be read
                self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
            if response.status == 503:  # it is about to end
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(END)
                    raise ConnectionResetError("it was ended")
            if response.status != 200:  # a server that failed, or did not read all of a request, closes the connection
                self._connection.close()
                self._connection = None
        except TimeoutError as error:
            timeout = self._error(f"the server did not answer within {self.timeout:g} s")
            self._end(patience=0)
            raise timeout from error
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            with suppress(subprocess.TimeoutExpired):  # the connection breaks a moment before the process has ended
                self._process.wait(END)
                raise self._dead() from error
            raise self._error(f"the server broke the connection: {error or type(error).__name__}") from error
        seconds = time.perf_counter() - begun
        try:
            value = json.loads(content)
        except ValueError:
            value = content.decode("utf-8", "replace")
        return Answer(response.status, value, response.headers.get("X-Ftkit-Bundle", ""), seconds)

    def _wait(self, deadline: float) -> None:
        pause = 0.02
        reason = "the server process is being started"
        while True:
            if self._socket.exists():  # nobody listens before it is there
                with suppress(ConnectionError, http.client.HTTPException):
                    reason, state = self._state()
                    if state == "ready":
                        return
                    if state == "failed":
                        raise DeployError(f"the bundle cannot be served: {_line(reason)}", str(self.folder))
            if not self.alive:
                raise self._dead()
            if time.monotonic() > deadline:
                raise self._error(f"the server did not become ready in time: {reason}")
            time.sleep(pause)
            pause = min(pause * 1.3, 0.2)

    def _state(self) -> tuple[str, str]:
        connection = SocketConnection(self._socket, 5.0)
        with suppress(TimeoutError):  # while a model is loaded, the interpreter may be busy for moments
            connection.request("GET", "/readyz")
            status = json.loads(connection.getresponse().read())
            return status["reason"], status["status"]
        return "it does not answer", "starting"

    def _dead(self) -> DeployError:
        return self._error(server.death(self._process.wait()))

    def _error(self, what: str) -> DeployError:
        lines = self.log(10)
        return DeployError(what, str(self.folder), f"The server's log ends:\n{lines}" if lines else "")

    def _end(self, patience: float = END) -> None:
        self._given_up = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for kill in (self._process.terminate, self._process.kill):
            kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
            patience = END
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()


class SharedServer:
    """One server of a bundle for several users, one after another: started at first use, and again when it is gone."""

    def __init__(self, folder: Path, threads: int = 0, engine: str = NATIVE) -> None:
        self.folder = folder
        self.threads = threads
        self.engine = engine
        self._running: ServerProcess | None = None

    def __enter__(self) -> SharedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self) -> ServerProcess:
        """The running server. Raises: DeployError when the bundle cannot be served; PluginError."""
        if self._running is None or not self._running.alive:
            self.close()
            self._running = ServerProcess(self.folder, threads=self.threads, engine=self.engine)
        return self._running

    def close(self) -> None:
        """End the server, if there is one; the next `get` starts another."""
        if self._running is not None:
            self._running.close()
            self._running = None


@contextmanager
def shared_server(contender: Contender, engine: str = NATIVE) -> Iterator[ModelServer]:
    """A contender's server: that of its gate, or, outside a gate and for another engine, one of this block's own."""
    if contender.serving is not None and contender.serving.engine == engine:
        yield contender.serving
        return
    with SharedServer(contender.bundle, contender.serving.threads if contender.serving else 0, engine) as own:
        yield own


def _line(reason: str) -> str:
    """A reason of several lines on one."""
    return "; ".join(line.strip() for line in reason.splitlines() if line.strip())
