"""AWS on this machine: moto's services behind one port, what it lacks of SageMaker's hosting, and faults on the wire.

It listens where AWS_ENDPOINT_URL leads boto3, which signs and sends everything as it would to AWS. Nobody checks signatures here.
"""

from __future__ import annotations

import io
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.aws.hosting import Hosting, read
from tests.aws.messages import Answer

REGION = "eu-central-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ftkit"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/ftkit:1"
BUCKET = "ftkit-models"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OPTIONS = {"image": IMAGE, "role": ROLE, "bucket": BUCKET}
"""Options of the deployer that this AWS takes."""

_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")


@dataclass
class Fault:
    """What happens to the next requests whose label fits."""

    label: str
    answer: Answer | None
    """What is answered; None leaves the request alone, but for `cut`."""
    times: int
    cut: str
    """`request` or `answer`: where the connection ends."""
    after: int
    """Fitting requests that pass first."""
    then: Callable[[], None] | None
    struck: int = 0


@dataclass
class Aws:
    """The services, and what was asked of them."""

    folder: Path
    hosting: Hosting = field(init=False)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Labels of all requests: `SageMaker.CreateModel`, `PUT /bucket/key`."""

    def __post_init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):
            def log(self, *_: object) -> None:
                return None

        self.hosting = Hosting(ACCOUNT, self.folder / "first")
        self._lock = threading.Lock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.make_bucket(BUCKET, REGION)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead boto3 here, with credentials."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
        }

    def fail(
        self,
        label: str,
        answer: Answer | None = None,
        times: int = 1,
        cut: str = "",
        after: int = 0,
        then: Callable[[], None] | None = None,
    ) -> Fault:
        """Let the next requests whose label fits a pattern fail."""
        self.faults.append(fault := Fault(label, answer, times, cut, after, then))
        return fault

    def count(self, label: str) -> int:
        """How many requests fitted a pattern."""
        return sum(bool(re.search(label, each)) for each in self.asked)

    def make_bucket(self, name: str, region: str) -> None:
        """A bucket in a region."""
        from moto.s3.models import s3_backends

        s3_backends[ACCOUNT]["aws"].create_bucket(name, region)

    def close(self) -> None:
        """End everything."""
        self.hosting.close()
        self._server.shutdown()
        self._server.server_close()
        _forget()

    def clear(self) -> None:
        """End all containers, and forget what there is and was asked."""
        self.hosting.close()
        self.faults.clear()
        self.asked.clear()
        _forget()
        complaints, self.hosting = self.hosting.complaints, Hosting(ACCOUNT, self.folder / secrets.token_hex(4))
        self.make_bucket(BUCKET, REGION)
        assert not complaints, "\n".join(complaints)

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path, operation = environ["PATH_INFO"], environ.get("HTTP_X_AMZ_TARGET", "")
        label = operation or f"{environ['REQUEST_METHOD']} {path}"
        with self._lock:
            self.asked.append(label)
            fault = next((each for each in self.faults if _strikes(each, label)), None)
        if fault is not None and fault.cut == "request":
            return self._cut(environ, fault)
        if fault is not None and fault.answer is not None:
            _drain(environ)
            if fault.then:
                fault.then()
            return _send(fault.answer, start)
        answered = self._carried_out(environ, path, operation)
        if fault is not None and fault.cut == "answer":
            return self._cut(environ, fault)
        return _send(answered, start)

    def _carried_out(self, environ: dict[str, Any], path: str, operation: str) -> Answer:
        match = re.search(r"Credential=[^/]+/\d+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        region = match[1] if match else REGION
        if invoked := _INVOCATION.fullmatch(path):
            headers = {"Content-Type": environ.get("CONTENT_TYPE", ""), "Accept": environ.get("HTTP_ACCEPT", "*/*")}
            target = environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT", "")
            return self.hosting.invoke(region, invoked[1], target, _drain(environ), headers)
        if operation.startswith("Logs_"):
            self.hosting.write_logs(region)
        service, _, verb = operation.partition(".")
        if service != "SageMaker":
            return self._of_moto(environ)
        body = _drain(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        if (answered := self.hosting.before(region, verb, read(body))) is not None:
            return answered
        answered = self._of_moto(environ)
        if answered.status == 200:
            self.hosting.after(region, verb, read(body))
        return answered

    def _of_moto(self, environ: dict[str, Any]) -> Answer:
        """What moto answers."""
        head: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
            head[:] = [int(status.split()[0]), headers]
            return lambda _: None

        parts = self._moto(environ, begin)
        body = b"".join(parts)
        return Answer(head[0], body, dict(head[1]))

    def _cut(self, environ: dict[str, Any], fault: Fault) -> Iterable[bytes]:
        if fault.then:
            fault.then()
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionError("cut")


def _forget() -> None:
    """Empty what moto keeps in this process."""
    from moto.core.base_backend import BackendDict

    BackendDict.reset()


def _strikes(fault: Fault, label: str) -> bool:
    if not re.search(fault.label, label) or fault.struck >= fault.times:
        return False
    if fault.after:
        fault.after -= 1
        return False
    fault.struck += 1
    return True


def _drain(environ: dict[str, Any]) -> bytes:
    """The body of a request."""
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def _send(answered: Answer, start: Any) -> Iterable[bytes]:
    headers = {name: value for name, value in answered.headers.items() if name.lower() != "connection"}
    headers.setdefault("Content-Length", str(len(answered.body)))
    start(f"{answered.status} {'OK' if answered.status < 400 else 'Refused'}", list(headers.items()))
    return [answered.body]
