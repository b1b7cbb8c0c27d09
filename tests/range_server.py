"""A real HTTP server on loopback that serves files by byte ranges, with a server's usual faults."""

import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Request(NamedTuple):
    """What was asked and what was answered."""

    method: str
    path: str
    range: str | None
    status: int


class RangeServer:
    """Serves `files` (by name, without a slash) until the `with` block ends.

    Attributes:
      requests: every request so far, in order.
      suffix_ranges: False answers "bytes=-N" with 501, as some object stores do.
      ranges: False ignores ranges and sends whole files.
      unavailable: so many requests are first answered with 503.
      truncated: so many bodies of closed ranges ("bytes=A-B") break off.
      kept_share: what is sent of them, in [0, 1).
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[Request] = []
        self.suffix_ranges = True
        self.ranges = True
        self.unavailable = 0
        self.truncated = 0
        self.kept_share = 0.5
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "RangeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, name: str) -> str:
        """Returns the address of the file `name`."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def bytes_asked(self) -> int:
        """Returns how many bytes the closed ranges that were asked for come to."""
        spans = (re.fullmatch(r"bytes=(\d+)-(\d+)", r.range or "") for r in self.requests)
        return sum(int(span[2]) - int(span[1]) + 1 for span in spans if span)

    def _answer(self, path: str, asked: str | None) -> tuple[int, bytes, dict[str, str]]:
        if self.unavailable:
            self.unavailable -= 1
            return 503, b"", {}
        data = self.files.get(path.lstrip("/"))
        if data is None:
            return 404, b"", {}
        if asked is None or not self.ranges:
            return 200, data, {}
        first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", asked).groups()
        if not first and not self.suffix_ranges:
            return 501, b"", {}
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(len(data), int(last) + 1) if first and last else len(data)
        if start >= stop:
            return 416, b"", {"Content-Range": f"bytes */{len(data)}"}
        content_range = f"bytes {start}-{stop - 1}/{len(data)}"
        return 206, data[start:stop], {"Content-Range": content_range}

    def _body(self, body: bytes, asked: str | None) -> bytes:
        if self.truncated and asked and re.fullmatch(r"bytes=\d+-\d+", asked):
            self.truncated -= 1
            return body[: int(self.kept_share * len(body))]
        return body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                status, body, headers = server._answer(self.path, self.headers["Range"])
                server.requests.append(
                    Request(self.command, self.path, self.headers["Range"], status)
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    sent = server._body(body, self.headers["Range"])
                    self.close_connection = len(sent) < len(body)
                    self.wfile.write(sent)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                with suppress(ConnectionError):  # the client had enough
                    super().handle()

        return Handler
