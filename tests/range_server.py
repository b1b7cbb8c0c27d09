"""A real HTTP server on loopback that serves files by byte ranges, with a server's usual faults."""

import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.faults import STATUS, Fault, Faults

_CLOSED_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE = 1 << 16
_DRIP = 1 << 10


class Request(NamedTuple):
    """What was asked and what was answered."""

    method: str
    path: str
    range: str | None
    status: int
    fault: Fault | None = None


class _Answer(NamedTuple):
    """A status, the whole body, other headers, and what of the body is sent."""

    status: int
    body: bytes | memoryview
    headers: dict[str, str]
    sent: bytes | memoryview
    fault: Fault | None = None


class RangeServer:
    """Serves `files` (by name, without a slash) until the `with` block ends.

    Attributes:
      requests: every request so far, in order.
      connections: how many were opened.
      max_in_flight: the most requests that were under way at once.
      bytes_sent: of bodies, as they were written.
      headers: sent with every file, such as an ETag.
      suffix_ranges: False answers "bytes=-N" with 501, as some object stores do.
      no_suffix_status: that answer.
      ranges: False ignores ranges and sends whole files.
      head: False refuses HEAD with 405.
      refusal: answers everything with this status.
      unavailable: so many requests are first answered with `unavailable_status`.
      truncated: so many bodies of closed ranges ("bytes=A-B") break off.
      kept_share: what is sent of them, in [0, 1).
      faults: for a share of all requests.
      latency_sec: before every answer.
      drip_sec: between one KiB of a body and the next.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[Request] = []
        self.connections = self.max_in_flight = self.bytes_sent = 0
        self.headers: dict[str, str] = {}
        self.suffix_ranges = self.ranges = self.head = True
        self.no_suffix_status = 501
        self.refusal: int | None = None
        self.unavailable = self.truncated = 0
        self.unavailable_status = 503
        self.kept_share = 0.5
        self.faults: Faults | None = None
        self.latency_sec = self.drip_sec = 0.0
        self._in_flight = 0
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "RangeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, name: str) -> str:
        """Returns the address of the file `name`."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def bytes_asked(self) -> int:
        """Returns how many bytes the closed ranges that were asked for come to."""
        spans = (_CLOSED_RANGE.fullmatch(r.range or "") for r in self.requests)
        return sum(int(span[2]) - int(span[1]) + 1 for span in spans if span)

    def settle(self) -> None:
        """Waits until no request is under way: clients have their bytes before they are counted."""
        with self._idle:
            if not self._idle.wait_for(lambda: self._in_flight == 0, timeout=10):
                raise TimeoutError(f"{self._in_flight} requests are still under way")

    def wait(self, seconds: float) -> None:
        """Sleeps, but not beyond the end of the `with` block."""
        self._closing.wait(seconds)

    def connected(self) -> None:
        """Counts a connection."""
        with self._lock:
            self.connections += 1

    def wrote(self, size: int) -> None:
        """Counts bytes of a body."""
        with self._lock:
            self.bytes_sent += size

    @contextmanager
    def answering(self, method: str, path: str, asked: str | None) -> Iterator[_Answer]:
        """Decides on the answer, and logs it; the body writes it."""
        with self._lock:
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            self.wait(self.latency_sec)
            with self._lock:
                answer = self._with_fault(
                    f"{method} {path} {asked}", asked, self._answer(method, path, asked)
                )
                self.requests.append(Request(method, path, asked, answer.status, answer.fault))
            yield answer
        finally:
            with self._lock:
                self._in_flight -= 1
                self._idle.notify_all()

    def _answer(self, method: str, path: str, asked: str | None) -> tuple:
        if self.refusal is not None:
            return self.refusal, b"", {}
        if self.unavailable:
            self.unavailable -= 1
            return self.unavailable_status, b"", {}
        if method == "HEAD" and not self.head:
            return 405, b"", {}
        data = self.files.get(path.lstrip("/"))
        if data is None:
            return 404, b"", {}
        if asked is None or not self.ranges:
            return 200, data, self.headers
        if not (span := re.fullmatch(r"bytes=(\d*)-(\d*)", asked)):
            return 400, b"", {}
        first, last = span.groups()
        if not first and not self.suffix_ranges:
            return self.no_suffix_status, b"", {}
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(len(data), int(last) + 1) if first and last else len(data)
        if start >= stop:
            return 416, b"", {"Content-Range": f"bytes */{len(data)}"}
        content_range = f"bytes {start}-{stop - 1}/{len(data)}"
        return 206, memoryview(data)[start:stop], {**self.headers, "Content-Range": content_range}

    def _with_fault(self, request: str, asked: str | None, plain: tuple) -> _Answer:
        status, body, headers = plain
        if self.truncated and _CLOSED_RANGE.fullmatch(asked or ""):
            self.truncated -= 1
            return _Answer(status, body, headers, body[: int(self.kept_share * len(body))])
        self._times[request] += 1
        times = self._times[request]
        fault = self.faults.choose(request, times) if self.faults else None
        if fault in STATUS:
            headers = {} if fault is Fault.ERROR else {"Retry-After": self.faults.retry_after}
            return _Answer(STATUS[fault], b"", headers, b"", fault)
        if fault in (Fault.STALL, Fault.TRUNCATION):
            return _Answer(status, body, headers, body[: len(body) // 2], fault)
        if fault is Fault.WRONG_BYTES:
            return _Answer(
                status, body, headers, self.faults.damage(bytes(body), request, times), fault
            )
        return _Answer(status, body, headers, body, fault)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def shutdown_request(self, request: socket.socket) -> None:
        self.close_request(request)  # without a polite end, which would go before a reset


def _handler(server: RangeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connected()

        def do_GET(self) -> None:
            with server.answering(self.command, self.path, self.headers["Range"]) as answer:
                if answer.fault is Fault.RESET:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.close_connection = len(answer.sent) < len(answer.body)
                    self._write(answer.sent)
                    if answer.fault is Fault.STALL:
                        server.wait(server.faults.stall_sec)

        do_HEAD = do_GET

        def _write(self, body: bytes | memoryview) -> None:
            piece = _DRIP if server.drip_sec else _PIECE
            for start in range(0, len(body), piece):
                server.wait(server.drip_sec)
                self.wfile.write(body[start : start + piece])
                server.wrote(len(body[start : start + piece]))

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client had enough
                super().handle()

    return Handler
