"""A schema registry in this process, over real HTTP: the REST interface of the Confluent Schema Registry, for tests and trials.

with EmbeddedRegistry() as registry:
    job(registry_url=registry.url)

Paths, error codes and the content type are those of the interface's documentation: schemas by id, subjects, versions, registering,
looking up, compatibility and its configuration. Schemas live in memory, and stay there over `stop` and `start`. Avro only.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from keepline.jobs.stack import ports
from keepline.jobs.stack.registry_store import Refused, Store

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
TAKEN = {CONTENT_TYPE, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream"}


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes; the second would wait 40 ms for the client
    server: _Server

    def _answer(self) -> None:
        registry = self.server.registry
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        registry.requests.append(f"{self.command} {self.path}")
        status, answer = 200, None
        try:
            self._admit(registry)
            parts = urlsplit(self.path)
            path = [unquote(part) for part in parts.path.strip("/").split("/") if part]
            answer = registry.store.answer(self.command, path, self._parsed(body), {k: v[0] for k, v in parse_qs(parts.query).items()})
        except Refused as error:
            status, answer = error.status, {"error_code": error.code, "message": error.message}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(data)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.end_headers()
        self.wfile.write(data)

    def _admit(self, registry: EmbeddedRegistry) -> None:
        if registry.user_info:
            expected = "Basic " + base64.b64encode(registry.user_info.encode()).decode()
            if self.headers.get("Authorization") != expected:
                raise Refused(401, 401, "Unauthorized")
        if registry.failing:
            raise Refused(500, 50001, "Error in the backend data store")

    def _parsed(self, body: bytes) -> Any:
        if self.command not in {"POST", "PUT"}:
            return None
        kind = (self.headers.get("Content-Type") or CONTENT_TYPE).partition(";")[0].strip()
        if kind not in TAKEN:
            raise Refused(415, 415, "HTTP 415 Unsupported Media Type")
        try:
            return json.loads(body or b"null")
        except ValueError:
            raise Refused(400, 400, "Unable to parse the request as JSON") from None

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
        """Nothing: the requests are in `EmbeddedRegistry.requests`."""


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that a stopped server answers none of them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], registry: EmbeddedRegistry) -> None:
        self.registry = registry
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that goes away in the middle of an answer is no error here."""

    def cut(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class EmbeddedRegistry:
    """One registry on the loopback address.

    Args:
        user_info: "user:password" that every request must bring; "" for none.
    """

    def __init__(self, *, user_info: str = "") -> None:
        (self.port,) = ports.free_ports(1)
        self.url = f"http://{ports.HOST}:{self.port}"
        self.user_info = user_info
        self.failing = False
        """Whether every answer is HTTP 500."""
        self.requests: list[str] = []
        """What was asked so far: method and path."""
        self.store = Store()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Starts answering, on the same port each time, with all schemas registered so far."""
        self._server = _Server((ports.HOST, self.port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops answering: open connections end, new ones are refused."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._thread.join()
            self._server = self._thread = None

    def register(self, subject: str, schema: Any, references: Sequence[Mapping[str, Any]] = ()) -> int:
        """Registers a schema without HTTP; its id."""
        return self.store.register(subject, {"schema": json.dumps(schema), "references": list(references)})["id"]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
