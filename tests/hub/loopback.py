"""A Hugging Face hub on loopback that takes models and gives them back: create, preupload, LFS, commit, resolve, delete.

Source: huggingface_hub, `hf_api.py`, `_commit_api.py`, `lfs.py` and `file_download.py`. Files come by LFS, not by Xet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_" + "a" * 34
"""A token of the account `me`, which may also write to `team`."""
READER = "hf_" + "r" * 34
"""A token of `me` that may only read."""
WRITABLE = {TOKEN: ("me", "team"), READER: ()}
LICENCES = ("apache-2.0", "mit", "cc-by-4.0")


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.safetensors filter=lfs\n"})
    commits: list[str] = field(default_factory=lambda: ["initial commit"])

    @property
    def sha(self) -> str:
        return hashlib.sha1("\n".join(self.commits).encode()).hexdigest()


@dataclass
class Hub:
    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    """A status by the request that gets it, METHOD PATH as a regular expression; 0 breaks the connection."""

    def fault(self, request: str) -> int | None:
        return next((status for pattern, status in self.faults.items() if re.search(pattern, request)), None)


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answered(Exception):
    """The request has its answer already."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.respond()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def respond(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = unquote(urlsplit(self.path).path)
        request = f"{self.command} {path}"
        self.hub.requests.append(request)
        status = self.hub.fault(request)
        if status == 0:
            self.close_connection = True
            return
        if status is not None:
            self.answer({"error": "the hub is told to fail"}, status)
            return
        with suppress(_Answered):
            for pattern, name in _ROUTES:
                if match := re.fullmatch(pattern, request):
                    vars(_Handler)[name](self, content, *match.groups())
                    return
            self.refuse("no such path", 404)

    @property
    def token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def refuse(self, what: str, status: int, headers: Mapping[str, str] | None = None) -> NoReturn:
        self.answer({"error": what}, status, headers)
        raise _Answered

    def readable(self, name: str) -> Repository:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and self.token not in WRITABLE):
            self.refuse("Repository not found", 404, {"X-Error-Code": "RepoNotFound"})
        return repository

    def require_writable(self, name: str) -> None:
        owner = name.partition("/")[0]
        if self.token not in WRITABLE:
            self.refuse("Invalid credentials", 401)
        if owner not in WRITABLE[self.token]:
            self.refuse(f"You don't have the rights to create a model under the namespace {owner!r}", 403)

    def whoami(self, _: bytes) -> None:
        if self.token not in WRITABLE:
            self.refuse("Invalid credentials", 401)
        self.answer({"type": "user", "name": "me", "orgs": [{"name": "team"}]})

    def validate(self, content: bytes) -> None:
        text = json.loads(content)["content"]
        head = yaml.safe_load(text.split("---")[1]) if text.startswith("---\n") else {}
        errors = []
        if head.get("license") not in (None, *LICENCES):
            errors.append({"message": '"license" must be one of a list'})
        for entry in head.get("model-index", ()):
            for result in entry["results"]:
                if not {"type", "name"} <= result["dataset"].keys() or "type" not in result["task"]:
                    errors.append({"message": '"model-index" is incomplete'})
        self.answer({"errors": errors, "warnings": []}, 400 if errors else 200)

    def create(self, content: bytes) -> None:
        asked = json.loads(content)
        name = f"{asked['organization'] or 'me'}/{asked['name']}"
        self.require_writable(name)
        if name in self.hub.repositories:
            self.refuse("You already created this model repo", 409)
        self.hub.repositories[name] = Repository(asked.get("visibility") == "private")
        self.answer({"url": f"{self.hub.address}/{name}"})

    def delete(self, content: bytes) -> None:
        asked = json.loads(content)
        name = f"{asked['organization'] or 'me'}/{asked['name']}"
        self.require_writable(name)
        del self.hub.repositories[name]
        self.answer({})

    def info(self, _: bytes, name: str, __: str | None) -> None:
        repository = self.readable(name)
        siblings = [{"rfilename": each} for each in repository.files]
        facts = {"id": name, "sha": repository.sha, "private": repository.private, "siblings": siblings, "tags": []}
        self.answer(facts)

    def tree(self, _: bytes, name: str, below: str) -> None:
        repository = self.readable(name)
        folder = below.partition("/")[2]
        kept = {each: text for each, text in repository.files.items() if each.startswith(folder)}
        if not kept:
            self.refuse("no such folder", 404, {"X-Error-Code": "EntryNotFound"})
        self.answer([_entry(each, text) for each, text in kept.items()])

    def preupload(self, content: bytes, name: str) -> None:
        self.require_writable(name)
        stored = self.hub.repositories[name].files
        self.answer(
            {
                "files": [
                    {
                        "path": each["path"],
                        "uploadMode": "lfs" if each["path"].endswith((".safetensors", ".npy")) else "regular",
                        "shouldIgnore": False,
                        "oid": _entry(each["path"], stored[each["path"]])["oid"] if each["path"] in stored else None,
                    }
                    for each in json.loads(content)["files"]
                ]
            }
        )

    def batch(self, content: bytes, name: str) -> None:
        self.require_writable(name)
        objects = []
        for each in json.loads(content)["objects"]:
            href = f"{self.hub.address}/lfs/{each['oid']}"
            known = each["oid"] in self.hub.objects
            objects.append(each if known else {**each, "actions": {"upload": {"href": href}}})
        self.answer({"transfer": "basic", "objects": objects})

    def store(self, content: bytes, oid: str) -> None:
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.objects[oid] = content
        self.answer({})

    def commit(self, content: bytes, name: str) -> None:
        self.require_writable(name)
        repository = self.hub.repositories[name]
        header, *changes = map(json.loads, content.splitlines())
        parent = header["value"].get("parentCommit")
        if parent not in (None, repository.sha):
            self.refuse("A commit has happened since", 412)
        files = dict(repository.files)
        for change in changes:
            value = change["value"]
            match change["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        repository.files = files
        repository.commits.append(header["value"]["summary"])
        oid = repository.sha
        self.answer({"commitUrl": f"{self.hub.address}/{name}/commit/{oid}", "commitOid": oid})

    def resolve(self, _: bytes, name: str, __: str, path: str) -> None:
        repository = self.readable(name)
        if path not in repository.files:
            self.refuse("Entry not found", 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.sha})
        content = repository.files[path]
        headers = {"ETag": f'"{_entry(path, content)["oid"]}"', "X-Repo-Commit": repository.sha}
        self.answer(content, headers=headers)

    def answer(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, each in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, each)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


_NAME = r"([^/]+/[^/]+)"
_ROUTES = (
    (r"GET /api/whoami-v2", "whoami"),
    (r"POST /api/validate-yaml", "validate"),
    (r"POST /api/repos/create", "create"),
    (r"DELETE /api/repos/delete", "delete"),
    (rf"GET /api/models/{_NAME}(/revision/.+)?", "info"),
    (rf"GET /api/models/{_NAME}/tree/(.+)", "tree"),
    (rf"POST /api/models/{_NAME}/preupload/main", "preupload"),
    (rf"POST /{_NAME}\.git/info/lfs/objects/batch", "batch"),
    (r"PUT /lfs/(\w+)", "store"),
    (rf"POST /api/models/{_NAME}/commit/main", "commit"),
    (rf"(?:GET|HEAD) /{_NAME}/resolve/([^/]+)/(.+)", "resolve"),
)


def _entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as the hub lists it: large ones by SHA-256, others by their Git hash."""
    if path.endswith((".safetensors", ".npy")):
        oid = hashlib.sha256(content).hexdigest()
        return {
            "type": "file",
            "path": path,
            "size": len(content),
            "oid": oid,
            "lfs": {"oid": oid, "size": len(content), "pointerSize": 130},
        }
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"type": "file", "path": path, "size": len(content), "oid": oid}
