"""A real HTTP server on loopback that answers as Kubeflow Pipelines does, faults included."""

import dataclasses
import json
import re
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.kubeflow.backend import Backend, Json, Refused

#: gRPC's code for a status.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6}


class Request(NamedTuple):
    """What was asked, and how it was answered."""

    method: str
    path: str
    headers: dict[str, str]
    status: int


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens to one request instead: an answer, silence, or a broken connection.

    Attributes:
      method, path: of the request; `path` is a regular expression, searched for.
      status: of the answer; 0 breaks the connection off.
      body, headers: of the answer.
      stall_sec: before it.
      after: whether what was asked is done nevertheless.
    """

    method: str
    path: str
    status: int = 0
    body: bytes = b"{}"
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    stall_sec: float = 0.0
    after: bool = False


class KubeflowServer(Backend):
    """Serves until the `with` block ends.

    Attributes:
      requests: every request so far, in order.
      faults: each is spent on one request.
      required: headers that a request must have; else 401.
      repeats_headers: whether a refusal tells back what was sent.
      forbidden: paths that this user may not use, a regular expression; else 403.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.required: dict[str, str] = {}
        self.repeats_headers = False
        self.forbidden = "$."
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "KubeflowServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def host(self) -> str:
        """Its address."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def asked(self, method: str) -> list[str]:
        """Returns the paths of all requests of a method, in order, after /apis/v2beta1."""
        paths = [request.path for request in self.requests if request.method == method]
        return [path.removeprefix("/apis/v2beta1") for path in paths]

    def answer(self, method: str, url: str, headers: Json, body: bytes) -> tuple[int, bytes, Json]:
        """Returns status, body and headers; ConnectionError breaks the connection off."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            fault = self._take_fault(method, parts.path)
            if not fault or fault.after:
                status, content = self._try(method, parts.path, query, headers, body)
            answered = {"Content-Type": "application/json"}
            if fault:
                status, content = fault.status, fault.body
                answered |= fault.headers
            self.requests.append(Request(method, parts.path, headers, status))
        if fault:
            self._closing.wait(fault.stall_sec)
            if not status:
                raise ConnectionError
        return status, content, answered

    def _take_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and re.search(fault.path, path):
                self.faults.remove(fault)
                return fault
        return None

    def _try(
        self, method: str, path: str, query: Json, headers: Json, body: bytes
    ) -> tuple[int, bytes]:
        try:
            self._authorize(path, headers)
            return 200, json.dumps(self.do(method, path, query, headers, body)).encode()
        except Refused as refused:
            message = str(refused)
            error = {"error_message": message, "error_details": message}
            if "/upload" not in path:
                code = _CODES[refused.status]
                error = {"error": message, "code": code, "message": message, "details": []}
            return refused.status, json.dumps(error).encode()

    def _authorize(self, path: str, headers: Json) -> None:
        if any(headers.get(name) != value for name, value in self.required.items()):
            sent = f": {headers}" if self.repeats_headers else ""
            raise Refused(401, f"Unauthenticated: there is no user identity header{sent}")
        if re.search(self.forbidden, path):
            raise Refused(403, "PermissionDenied: User 'ann' is not authorized\nwith reason: none")


def _handler(server: KubeflowServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                answer = server.answer(self.command, self.path, dict(self.headers), body)
            except ConnectionError:
                self.close_connection = True
                return
            status, content, headers = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client had enough
                super().handle()

    return Handler
