"""A hub on loopback that speaks what both real clients ask for, and misbehaves on request.

ModelScope: the file list and the file download of its ``/api/v1``. Hugging Face: model info, tree, and ``resolve``.
Every request is kept with its headers, and every byte of a file that is sent is counted.
"""

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

COMMIT = "c0ffee" * 6 + "c0de"
BLOCK = 64 * 1024


@dataclass
class Request:
    """A request as it arrived, and the file bytes that were sent for it."""

    path: str
    headers: dict[str, str]
    file: str = ""
    start: int = 0
    sent: int = 0


@dataclass
class StubHub:
    """Serves ``models`` and ``datasets``; the other fields say how it misbehaves."""

    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    """File name, or "list" → HTTP status to answer with."""
    drop: dict[str, list[int]] = field(default_factory=dict)
    """File name → after how many bytes to break the connection, one entry for each time it is asked for."""
    hold: dict[str, int] = field(default_factory=dict)
    """File name → after how many bytes to send nothing more until ``release`` is called."""
    wrong: dict[str, int] = field(default_factory=dict)
    """File name → how many times its bytes are sent spoilt."""
    ranges: bool = True
    """Whether a part of a file can be asked for; if not, all of it is sent every time."""
    rate: int = 0
    """Bytes per second, in small pieces; 0: as fast as it goes."""
    token: str = ""
    """When set, whoever does not send it is turned away."""
    requests: list[Request] = field(default_factory=list)
    address: str = ""

    def __post_init__(self) -> None:
        self._released = threading.Event()
        self.lock = threading.Lock()

    def release(self) -> None:
        """Let held files go on."""
        self._released.set()

    def of(self, file: str) -> list[Request]:
        """The requests for one file, in order."""
        return [request for request in self.requests if request.file == file]

    def sent(self) -> dict[str, int]:
        """File → bytes of it that were sent in all."""
        totals: dict[str, int] = defaultdict(int)
        for request in self.requests:
            if request.file:
                totals[request.file] += request.sent
        return dict(totals)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def serve(hub: StubHub) -> Iterator[StubHub]:
    """The hub on a free port of loopback; ``hub.address`` is where."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = Server(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.release()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: StubHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlparse(self.path)
        path, query = unquote(url.path), {name: values[0] for name, values in parse_qs(url.query).items()}
        request = Request(path, dict(self.headers))
        with self.hub.lock:
            self.hub.requests.append(request)
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self.refuse(401)
        for name, stored in self.hub.models.items():
            if path == f"/api/v1/models/{name}/repo/files":
                return self.known(query["Revision"], "master") and self.modelscope_list(stored)
            if path.startswith(f"/{name}/resolve/{COMMIT}/"):
                return self.file(request, stored, path.removeprefix(f"/{name}/resolve/{COMMIT}/"))
        for name, stored in self.hub.datasets.items():
            if path == f"/api/v1/datasets/{name}/repo/tree":
                return self.known(query["Revision"], "master") and self.modelscope_list(stored)
            if path.startswith(f"/datasets/{name}/resolve/{COMMIT}/"):
                return self.file(request, stored, path.removeprefix(f"/datasets/{name}/resolve/{COMMIT}/"))
        for kind, name, stored in self.repositories():
            if path == f"/api/v1/{kind}/{name}/repo":
                return self.known(query["Revision"], "master") and self.file(request, stored, query["FilePath"])
            if path.startswith(f"/api/{kind}/{name}/revision/"):
                return self.known(path.rpartition("/")[2], "main") and self.info(name, stored)
            if path == f"/api/{kind}/{name}/tree/{COMMIT}":
                return self.tree(stored)
        return self.refuse(404)

    def repositories(self) -> Iterator[tuple[str, str, dict[str, bytes]]]:
        for kind, held in (("models", self.hub.models), ("datasets", self.hub.datasets)):
            yield from ((kind, name, stored) for name, stored in held.items())

    def known(self, revision: str, expected: str) -> bool:
        if revision not in (expected, COMMIT):
            self.refuse(404, "RevisionNotFound")
            return False
        return True

    def refuse(self, status: int, code: str = "") -> None:
        code = code or {401: "GatedRepo", 403: "GatedRepo", 404: "RepoNotFound"}.get(status, "")
        body = {"Code": status, "Success": False, "Message": f"refused with {status}", "error": code}
        self.answer(body, status, {"X-Error-Code": code})

    def answer(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def info(self, name: str, stored: dict[str, bytes]) -> None:
        if status := self.hub.status.get("list"):
            return self.refuse(status)
        siblings = [{"rfilename": path} for path in stored]
        return self.answer({"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": []})

    def tree(self, stored: dict[str, bytes]) -> None:
        entries: list[dict[str, Any]] = []
        for path, data in stored.items():
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": "0" * 40}
            if path.endswith((".safetensors", ".bin", ".model")):  # as kept in LFS
                entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
            entries.append(entry)
        self.answer(entries)

    def modelscope_list(self, stored: dict[str, bytes]) -> None:
        if status := self.hub.status.get("list"):
            return self.refuse(status)
        entries = [
            {"Path": path, "Name": path.rpartition("/")[2], "Type": "blob", "Size": len(data), "Sha256": sha256(data)}
            for path, data in stored.items()
        ]
        return self.answer({"Code": 200, "Success": True, "Data": {"Files": entries}})

    def file(self, request: Request, stored: dict[str, bytes], path: str) -> None:
        hub, data = self.hub, stored.get(path)
        if data is None or (status := hub.status.get(path, 200)) != 200:
            return self.refuse(404 if data is None else status)
        request.file = path
        digest, size = sha256(data), len(data)
        if hub.wrong.get(path, 0) > 0:
            hub.wrong[path] -= 1
            data = bytes(byte ^ 1 for byte in data)
        wanted = self.headers.get("Range", "") if hub.ranges else ""
        request.start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {request.start}-{size - 1}/{size}")
        for header, value in {
            "Content-Length": str(size - request.start),
            "Accept-Ranges": "bytes" if hub.ranges else "none",
            "ETag": f'"{digest}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(size),
            "X-Linked-Etag": f'"{digest}"',
        }.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self.body(request, memoryview(data))
        return None

    def body(self, request: Request, data: memoryview) -> None:
        hub, at = self.hub, request.start
        drops = hub.drop.get(request.file, [])
        end = drops.pop(0) if drops else len(data)
        try:
            while at < min(end, len(data)):
                until = min(at + BLOCK, end, len(data))
                if (held := hub.hold.get(request.file, 0)) and not hub._released.is_set():
                    until = min(until, held)
                    if at >= held:
                        hub._released.wait(60)
                        continue
                self.wfile.write(data[at:until])
                request.sent += until - at
                at = until
                if hub.rate:
                    time.sleep(BLOCK / hub.rate)
        except OSError:  # the client is gone
            self.close_connection = True
        if at < len(data):
            self.close_connection = True
