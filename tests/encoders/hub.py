"""A Hugging Face hub on loopback, with the part of its HTTP interface that downloads a checkpoint.

Source: huggingface_hub, `hf_api.py` and `file_download.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@contextmanager
def running(repositories, discussions=None):
    """Serve {repository: {revision: {file name: bytes}}}; yields the address, and the list of requested paths."""
    requested = []

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.respond(body=True)

        def do_HEAD(self):
            self.respond(body=False)

        def log_message(self, *arguments):
            pass

        def respond(self, body):
            path = unquote(urlsplit(self.path).path)
            requested.append(path)
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/discussions", path):
                listing = (discussions or {}).get(match[1], [])
                return self.send(json.dumps({"discussions": listing, "count": len(listing), "start": 0}).encode(), body)
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
                files = repositories.get(match[1], {}).get(match[2] or "main")
                if files is None:
                    return self.missing(match[1])
                info = {
                    "id": match[1], "sha": commit(match[1], match[2] or "main"), "private": False,
                    "siblings": [{"rfilename": name} for name in files], "tags": [], "downloads": 0, "likes": 0,
                }  # fmt: skip
                return self.send(json.dumps(info).encode(), body)
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/(.+)", path):
                for revision, files in repositories.get(match[1], {}).items():
                    if match[2] in (revision, commit(match[1], revision)):
                        listing = [
                            {
                                "type": "file",
                                "path": name,
                                "size": len(content),
                                "oid": hashlib.sha1(content).hexdigest(),
                            }
                            for name, content in files.items()
                        ]
                        return self.send(json.dumps(listing).encode(), body)
            if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+|refs/pr/\d+)/(.+)", path):
                for revision, files in repositories.get(match[1], {}).items():
                    if match[2] in (revision, commit(match[1], revision)) and match[3] in files:
                        content = files[match[3]]
                        etag = hashlib.sha1(content).hexdigest()
                        return self.send(
                            content, body, {"ETag": f'"{etag}"', "X-Repo-Commit": commit(match[1], revision)}
                        )
            return self.missing(path)

        def missing(self, name):
            code = "RevisionNotFound" if name in repositories else "RepoNotFound"
            self.send(b"{}", True, {"X-Error-Code": code}, status=404)

        def send(self, content, body, headers=None, status=200):
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body and self.command != "HEAD":
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requested
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def commit(repository, revision):
    return hashlib.sha1(f"{repository}@{revision}".encode()).hexdigest()
