"""Blob storage: blobs in containers, behind shared access signatures.

Source: Microsoft, "Blob service REST API".
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.azure.messages import Request, Response

STORE = "ftkitstore"
HOST = f"{STORE}.blob.core.windows.net"
CONTAINER = "azureml-blobstore"
SIGNATURE = "c2lnbmF0dXJlIG9mIHRoZSBsb29wYmFjaw=="
"""The valid signature; it must appear nowhere but in addresses of blobs."""


def sas(rights: str = "rwlac") -> str:
    """A shared access signature for the whole account."""
    return f"sv=2023-11-03&ss=b&srt=co&sp={rights}&se=2099-01-01T00%3A00%3A00Z&sig={quote(SIGNATURE, safe='')}"


@dataclass
class Blob:
    """One blob."""

    data: bytes
    type: str = "application/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)
    etag: str = field(default_factory=lambda: f'"0x{uuid.uuid4().hex[:15].upper()}"')
    changed: str = field(default_factory=lambda: formatdate(usegmt=True))


class Storage:
    """Storage accounts: `blobs` by `account/container/name`."""

    hosts = ("*.blob.core.windows.net",)

    def __init__(self) -> None:
        self.blobs: dict[str, Blob] = {}
        self._blocks: dict[tuple[str, str], bytes] = {}
        self._lock = threading.RLock()

    def below(self, prefix: str) -> dict[str, bytes]:
        """Blobs by their name below `account/container/folder`, or the one blob of that name by its last part."""
        folder = prefix.rstrip("/")
        with self._lock:
            if folder in self.blobs:
                return {folder.rpartition("/")[2]: self.blobs[folder].data}
            return {
                name[len(folder) + 1 :]: blob.data for name, blob in self.blobs.items() if name.startswith(f"{folder}/")
            }

    def handle(self, request: Request) -> Response | None:
        account = request.host.partition(".")[0]
        container, _, name = request.path.lstrip("/").partition("/")
        if not _allowed(request):
            return _refusal(403, "AuthenticationFailed")
        with self._lock:
            if request.query.get("restype") == "container":
                if request.query.get("comp") == "list":
                    return self._list(request, f"{account}/{container}/")
                status = 201 if request.method == "PUT" else 200
                return _done(
                    status, {"ETag": '"0x1"', "x-ms-lease-state": "available", "x-ms-lease-status": "unlocked"}
                )
            key = f"{account}/{container}/{name}"
            return self._write(request, key) if request.method == "PUT" else self._read(request, key)

    def _write(self, request: Request, key: str) -> Response:
        comp = request.query.get("comp")
        if comp == "block":
            self._blocks[key, request.query["blockid"]] = request.body
            return _done(201)
        if comp == "blocklist":
            block_ids = [each.text or "" for each in ElementTree.fromstring(request.body)]
            if any((key, each) not in self._blocks for each in block_ids):
                return _refusal(400, "InvalidBlockList")
            return self._store(request, key, b"".join(self._blocks.pop((key, each)) for each in block_ids))
        if comp == "metadata":
            if key not in self.blobs:
                return _refusal(404, "BlobNotFound")
            self.blobs[key].metadata = _metadata(request)
            return _done(200, {"ETag": self.blobs[key].etag, "Last-Modified": self.blobs[key].changed})
        if request.headers.get("x-ms-blob-type") != "BlockBlob":
            return _refusal(400, "MissingRequiredHeader")
        return self._store(request, key, request.body)

    def _store(self, request: Request, key: str, data: bytes) -> Response:
        if request.headers.get("If-None-Match") == "*" and key in self.blobs:
            return _refusal(409, "BlobAlreadyExists")
        kind = request.headers.get("x-ms-blob-content-type") or request.headers.get("Content-Type")
        blob = self.blobs[key] = Blob(data, kind or Blob.type, _metadata(request))
        digest = base64.b64encode(hashlib.md5(data).digest()).decode()
        return _done(201, {"ETag": blob.etag, "Last-Modified": blob.changed, "Content-MD5": digest})

    def _read(self, request: Request, key: str) -> Response:
        blob = self.blobs.get(key)
        if blob is None:
            return _refusal(404, "BlobNotFound")
        if request.method == "DELETE":
            del self.blobs[key]
            return _done(202)
        headers = _properties(blob)
        if request.method == "HEAD":
            return _done(200, {**headers, "Content-Length": str(len(blob.data))})
        byte_range = re.match(
            r"bytes=(\d+)-(\d*)", request.headers.get("x-ms-range") or request.headers.get("Range") or ""
        )
        if not byte_range:
            return _done(200, headers, blob.data)
        first, last = int(byte_range[1]), min(int(byte_range[2] or len(blob.data)), len(blob.data) - 1)
        if first > last:
            return _refusal(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {first}-{last}/{len(blob.data)}"
        return _done(206, headers, blob.data[first : last + 1])

    def _list(self, request: Request, place: str) -> Response:
        prefix = request.query.get("prefix", "")
        items = "".join(
            f"<Blob><Name>{escape(name[len(place) :])}</Name><Properties>"
            f"<Creation-Time>{blob.changed}</Creation-Time><Last-Modified>{blob.changed}</Last-Modified>"
            f"<Etag>{escape(blob.etag)}</Etag><Content-Length>{len(blob.data)}</Content-Length>"
            f"<Content-Type>{escape(blob.type)}</Content-Type><BlobType>BlockBlob</BlobType>"
            f"<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties><Metadata>"
            + "".join(f"<{key}>{escape(value)}</{key}>" for key, value in blob.metadata.items())
            + "</Metadata></Blob>"
            for name, blob in sorted(self.blobs.items())
            if name.startswith(place + prefix)
        )
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://{request.host}/" '
            f'ContainerName="{place.split("/")[1]}"><Prefix>{escape(prefix)}</Prefix><Blobs>{items}</Blobs>'
            "<NextMarker /></EnumerationResults>"
        )
        return _done(200, {"Content-Type": "application/xml"}, body.encode())


def _allowed(request: Request) -> bool:
    """Whether a request carries a signature, a shared key or a token."""
    authorised = request.headers.get("Authorization", "").startswith(("SharedKey ", "Bearer "))
    return request.query.get("sig") == SIGNATURE or authorised


def _metadata(request: Request) -> dict[str, str]:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return {name.removeprefix("x-ms-meta-"): value for name, value in headers.items() if name.startswith("x-ms-meta-")}


def _properties(blob: Blob) -> dict[str, str]:
    return {
        "ETag": blob.etag,
        "Last-Modified": blob.changed,
        "Content-Type": blob.type,
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-lease-state": "available",
        "x-ms-lease-status": "unlocked",
        "x-ms-creation-time": blob.changed,
        **{f"x-ms-meta-{name}": value for name, value in blob.metadata.items()},
    }


def _done(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
    common = {
        "x-ms-request-id": str(uuid.uuid4()),
        "x-ms-version": "2023-11-03",
        "x-ms-request-server-encrypted": "true",
    }
    return Response(status, body, {**common, **(headers or {})})


def _refusal(status: int, code: str) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return _done(status, {"x-ms-error-code": code, "Content-Type": "application/xml"}, body.encode())
