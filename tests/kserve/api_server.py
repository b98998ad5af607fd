"""A small Kubernetes API server on the loopback address: objects with versions, conflicts, rights, and what can go wrong on the way."""

from __future__ import annotations

import copy
import datetime
import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-the-loopback-cluster"
_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?P<log>/log)?"
)
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete"}
FINALIZED = ("inferenceservices",)
"""What is gone only when its controller says so."""


@dataclass
class Fault:
    """What happens to the next calls of a method to a path."""

    method: str
    path: str
    status: int = 0
    """The status of the answer; 0 cuts the connection."""
    after: bool = False
    """Whether the call is carried out nevertheless."""
    times: int = 1


@dataclass
class ApiServer:
    """The objects of a cluster, behind HTTP."""

    groups: set[str] = field(default_factory=lambda: {"serving.kserve.io", "gateway.networking.k8s.io"})
    """What is installed beside the core."""
    namespaces: set[str] = field(default_factory=lambda: {"default", "gateways", "models"})
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of a verb and a plural that the user has no right to."""
    faults: list[Fault] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of all calls."""
    check: Callable[[Mapping[str, Any]], str] = lambda _: ""
    """Says what is wrong with an object, as a schema does."""
    log_of: Callable[[str, str], str] = lambda pod, container: ""
    before_update: Callable[[], None] = lambda: None
    """Called before an update is compared with what is stored."""
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._version = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def all(self, plural: str) -> list[dict[str, Any]]:
        """Copies of all objects of a kind."""
        with self.lock:
            return [copy.deepcopy(each) for key, each in self.objects.items() if key[0] == plural]

    def put(self, plural: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Store an object as it is; a change of its spec is a new generation."""
        with self.lock:
            stored = copy.deepcopy(dict(body))
            meta = stored["metadata"]
            key = (plural, meta["namespace"], meta["name"])
            old = self.objects.get(key)
            now = datetime.datetime.now(datetime.UTC).isoformat()
            self._version += 1
            born = old["metadata"] if old else {"uid": str(uuid.uuid4()), "creationTimestamp": now, "generation": 0}
            changed = old is None or old.get("spec") != stored.get("spec")
            meta |= {each: born[each] for each in ("uid", "creationTimestamp")}
            meta |= {"generation": born["generation"] + changed, "resourceVersion": str(self._version)}
            self.objects[key] = stored
            return copy.deepcopy(stored)

    def status(self, plural: str, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Store the status of an object, if it is still there."""
        with self.lock:
            found = self.objects.get((plural, namespace, name))
            if found is not None and found.get("status") != status:
                self.put(plural, {**found, "status": dict(status)})

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """Remove an object at once."""
        with self.lock:
            self.objects.pop((plural, namespace, name), None)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Carry out one call."""
        url = urlsplit(path)
        match = _PATH.fullmatch(url.path)
        if match is None or (match["group"] and match["group"] not in self.groups):
            return 404, "404 page not found"
        plural, namespace = str(match["plural"]), str(match["namespace"])
        name = str(match["name"] or "")
        verb = "list" if method == "GET" and not name else _VERBS[method]
        if (verb, plural) in self.forbidden:
            what = f'{plural} is forbidden: User "dev" cannot {verb} resource "{plural}" in the namespace "{namespace}"'
            return _status(403, "Forbidden", what)
        query = parse_qs(url.query)
        with self.lock:
            if match["log"]:
                return self._log(namespace, name, query)
            if verb == "list":
                return 200, {"kind": "List", "items": self._listed(plural, namespace, query)}
            found = self.objects.get((plural, namespace, name or str(((body or {}).get("metadata") or {}).get("name"))))
            if verb == "create":
                return self._created(plural, namespace, found, body)
            if verb == "update":
                self.before_update()
                found = self.objects.get((plural, namespace, name))
            if found is None:
                return _status(404, "NotFound", f'{plural} "{name}" not found', {"name": name, "kind": plural})
            if verb == "delete":
                return self._deleted(plural, namespace, name, found)
            if verb == "update":
                return self._updated(plural, found, body)
            return 200, copy.deepcopy(found)

    def _listed(self, plural: str, namespace: str, query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        wanted = dict(pair.split("=") for each in query.get("labelSelector", []) for pair in each.split(","))
        return [
            copy.deepcopy(each)
            for (kind, place, _), each in self.objects.items()
            if (kind, place) == (plural, namespace) and wanted.items() <= (each["metadata"].get("labels") or {}).items()
        ]

    def _created(self, plural: str, namespace: str, found: Any, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["metadata"]["name"]
        if namespace not in self.namespaces:
            details = {"name": namespace, "kind": "namespaces"}
            return _status(404, "NotFound", f'namespaces "{namespace}" not found', details)
        if found is not None:
            return _status(409, "AlreadyExists", f'{plural} "{name}" already exists', {"name": name, "kind": plural})
        if wrong := self.check(body):
            return _status(422, "Invalid", wrong)
        if "stringData" in body:
            import base64

            data = {key: base64.b64encode(text.encode()).decode() for key, text in body["stringData"].items()}
            body = {**{key: value for key, value in body.items() if key != "stringData"}, "data": data}
        return 201, self.put(plural, {**body, "metadata": {**body["metadata"], "namespace": namespace}})

    def _updated(self, plural: str, found: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        if body["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
            return _status(
                409, "Conflict", "the object has been modified; please apply your changes to the latest version"
            )
        if wrong := self.check(body):
            return _status(422, "Invalid", wrong)
        return 200, self.put(plural, {**body, "status": found.get("status", {})})

    def _deleted(self, plural: str, namespace: str, name: str, found: dict[str, Any]) -> tuple[int, Any]:
        if plural in FINALIZED:
            now = datetime.datetime.now(datetime.UTC).isoformat()
            self.put(plural, {**found, "metadata": {**found["metadata"], "deletionTimestamp": now}})
        else:
            self.remove(plural, namespace, name)
        return 200, {"kind": "Status", "status": "Success"}

    def _log(self, namespace: str, pod: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        if ("pods", namespace, pod) not in self.objects:
            return _status(404, "NotFound", f'pods "{pod}" not found', {"name": pod, "kind": "pods"})
        lines = self.log_of(pod, query["container"][0]).splitlines()
        count = int(query.get("tailLines", ["100"])[0])
        return 200, "".join(f"{line}\n" for line in lines[-count:] if count)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def handle_call(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                with cluster.lock:
                    cluster.calls.append((self.command, self.path))
                    fault = next((each for each in cluster.faults if self._struck(each)), None)
                    if fault is not None:
                        fault.times -= 1
                scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
                if scheme.lower() != "bearer" or token != TOKEN:
                    status, answer = _status(401, "Unauthorized", "Unauthorized")
                elif fault is None or fault.after:
                    status, answer = cluster.answer(self.command, self.path, body)
                else:
                    status, answer = _status(fault.status or 500, "InternalError", "etcdserver: request timed out")
                if fault is not None and not fault.status:
                    self.close_connection = True
                    return
                content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _struck(self, fault: Fault) -> bool:
                return bool(fault.times > 0 and fault.method == self.command and re.search(fault.path, self.path))

            def log_message(self, *_: Any) -> None:
                pass

            do_GET = do_POST = do_PUT = do_DELETE = handle_call

        return Handler


def _status(code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code}
    return code, {**body, "details": dict(details or {})}
