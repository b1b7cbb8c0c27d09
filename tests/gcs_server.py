"""A stand-in for Google Cloud Storage on loopback, which all of its clients reach without root.

TensorFlow, Beam and Arrow ask https://www.googleapis.com, https://storage.googleapis.com and, for
tokens, https://oauth2.googleapis.com. They take HTTPS_PROXY and the certificates of an authority
from the environment; so this is a proxy that answers in place of those hosts.
"""

import base64
import datetime
import hashlib
import json
import re
import socketserver
import ssl
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import google_crc32c

from tests.certificates import make_certificate

BUCKET = "library"
_CHUNK = 256 << 10
_TOKEN = {"access_token": "token", "id_token": "id", "expires_in": 3600, "token_type": "Bearer"}


class GcsServer:
    """Serves one empty bucket; nobody may ask for the bucket itself, as under objectAdmin.

    Attributes:
      environment: what clients need in their environment to find it.
      objects: content by name.
    """

    def __init__(self, folder: Path):
        self.objects: dict[str, bytes] = {}
        self.generations: dict[str, int] = {}
        self.uploads: dict[str, tuple[str, bytearray]] = {}
        self.lock = threading.RLock()
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(*make_certificate(folder, "*.googleapis.com"))
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        credentials = folder / "credentials.json"
        credentials.write_text(json.dumps({
            "type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c",
        }))  # fmt: skip
        proxy, certificate = f"http://127.0.0.1:{self._server.server_port}", str(folder / "ca.pem")
        self.environment = {
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1"),
            **dict.fromkeys(("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), certificate),
            "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
            "GOOGLE_CLOUD_PROJECT": "test",
            "NO_GCE_CHECK": "True",
        }

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *unused):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def put(self, name: str, data: bytes, query: dict[str, str]) -> dict:
        with self.lock:
            wanted = query.get("ifGenerationMatch")
            if wanted is not None and self.generations.get(name, 0) != int(wanted):
                raise _Refused(412)
            self.objects[name] = data
            self.generations[name] = uuid.uuid4().int >> 66
            return self.describe(name)

    def describe(self, name: str) -> dict:
        if name not in self.objects:
            raise _Refused(404)
        data, now = self.objects[name], datetime.datetime.now(datetime.timezone.utc)
        time = now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        quoted = urllib.parse.quote(name, safe="")
        return {
            "kind": "storage#object", "id": f"{BUCKET}/{name}", "name": name, "bucket": BUCKET,
            "generation": str(self.generations[name]), "metageneration": "1",
            "contentType": "application/octet-stream", "storageClass": "STANDARD",
            "size": str(len(data)), "timeCreated": time, "updated": time, "etag": "e",
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{BUCKET}/o/{quoted}",
            "mediaLink": f"https://storage.googleapis.com/download/storage/v1/b/{BUCKET}/o/{quoted}"
            "?alt=media",
            "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
            "crc32c": base64.b64encode(google_crc32c.Checksum(data).digest()).decode(),
        }  # fmt: skip

    def list(self, query: dict[str, str]) -> dict:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        found: dict[str, bool] = {}
        for name in sorted(self.objects):
            rest = name.removeprefix(prefix)
            if name.startswith(prefix) and delimiter and delimiter in rest:
                found[prefix + rest.split(delimiter)[0] + delimiter] = False
                if name in found and query.get("includeTrailingDelimiter") == "true":
                    found[name] = True
            elif name.startswith(prefix):
                found[name] = True
        token, limit = query.get("pageToken", ""), int(query.get("maxResults", 1000))
        page = [name for name in sorted(found) if name > token]
        more = {"nextPageToken": page[limit - 1]} if len(page) > limit else {}
        items = [self.describe(name) for name in page[:limit] if found[name]]
        prefixes = [name for name in page[:limit] if delimiter and name.endswith(delimiter)]
        return {"items": items, "prefixes": [p for p in prefixes if p != prefix], **more}

    def ask(self, method: str, path: str, query: dict[str, str]) -> tuple[int, dict | None]:
        """Answers what the JSON API is asked for: b/BUCKET/o/NAME and so on."""
        parts = [urllib.parse.unquote(part) for part in path.split("/")]
        with self.lock:
            if len(parts) < 3 or parts[1] != BUCKET:
                raise _Refused(403)
            if len(parts) == 3:
                return 200, self.list(query)
            described = self.describe(parts[3])
            if query.get("ifGenerationMatch", described["generation"]) != described["generation"]:
                raise _Refused(412)
            if method == "DELETE":
                del self.objects[parts[3]], self.generations[parts[3]]
                return 204, None
            if len(parts) == 4:
                return 200, described
            made = self.put(parts[8], self.objects[parts[3]], query)
            if parts[4] == "copyTo":
                return 200, made
            size = made["size"]
            return 200, {"done": True, "totalBytesRewritten": size, "objectSize": size,
                         "resource": made}  # fmt: skip


class _Refused(Exception):
    """An answer that is not 2xx."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: GcsServer

    def log_message(self, *unused):
        """Logs nothing."""

    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
        self.connection = self.request = self.store.tls.wrap_socket(
            self.connection, server_side=True
        )
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = socketserver._SocketWriter(self.connection)
        self.close_connection = False

    def _any(self):
        body = self._body()
        try:
            self._answer(body)
        except _Refused as refused:
            code = refused.args[0]
            self._send(code, json.dumps({"error": {"code": code, "message": "refused"}}).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, code: int, body: bytes = b"", **headers: str):
        self.send_response(code)
        headers.setdefault("Content_Type", "application/json; charset=UTF-8")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if code != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self, body: bytes):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        place, _, path = url.path.rpartition("/storage/v1")
        path = path.strip("/")
        if url.path.endswith("/token"):
            self._send(200, json.dumps(_TOKEN).encode())
        elif place == "/batch":
            self._batch(body)
        elif place == "/upload":
            self._upload(query, body)
        elif place == "/download" or query.get("alt") == "media":
            self._media(urllib.parse.unquote(path.split("/")[3]))
        elif url.path.startswith("/storage/v1/"):
            code, said = self.store.ask(self.command, path, query)
            self._send(code, b"" if said is None else json.dumps(said).encode())
        else:  # the XML API
            self._media(urllib.parse.unquote(url.path.removeprefix(f"/{BUCKET}/")))

    def _media(self, name: str):
        described = self.store.describe(name)
        data = self.store.objects[name]
        headers = {"Content_Type": "application/octet-stream", "ETag": "e",
                   "x_goog_generation": described["generation"]}  # fmt: skip
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not found:
            hashed = f"crc32c={described['crc32c']},md5={described['md5Hash']}"
            return self._send(200, data, X_Goog_Hash=hashed, **headers)
        start, stop = int(found[1]), min(len(data), int(found[2] or len(data)) + 1)
        if start >= len(data):
            return self._send(416, Content_Range=f"bytes */{len(data)}")
        content_range = f"bytes {start}-{stop - 1}/{len(data)}"
        return self._send(206, data[start:stop], Content_Range=content_range, **headers)

    def _upload(self, query: dict[str, str], body: bytes):
        store = self.store
        if "upload_id" in query:
            return self._go_on(query, body)
        if query["uploadType"] == "media":
            return self._send(200, json.dumps(store.put(query["name"], body, query)).encode())
        if query["uploadType"] == "multipart":
            boundary = re.search(r"boundary=\W?([\w=.-]+)", self.headers["Content-Type"])[1]
            _, first, second, _ = body.split(f"--{boundary}".encode())
            name = json.loads(first.split(b"\n\r\n" if b"\n\r\n" in first else b"\n\n", 1)[1])
            data = second.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
            made = store.put(query.get("name") or name["name"], data, query)
            return self._send(200, json.dumps(made).encode())
        key, name = uuid.uuid4().hex, query.get("name") or json.loads(body)["name"]
        store.uploads[key] = (name, bytearray())
        query["upload_id"] = key
        where = f"https://{self.headers['Host']}/upload/storage/v1/b/{BUCKET}/o"
        return self._send(200, Location=f"{where}?{urllib.parse.urlencode(query)}")

    def _go_on(self, query: dict[str, str], body: bytes):
        name, data = self.store.uploads[query["upload_id"]]
        start, total = re.fullmatch(
            r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", self.headers.get("Content-Range") or "bytes */*"
        ).groups()
        if start is not None:
            del data[int(start) :]
        data += body
        if self.headers.get("Content-Range") and (total == "*" or len(data) < int(total)):
            del data[len(data) // _CHUNK * _CHUNK :]
            held = {"Range": f"bytes=0-{len(data) - 1}"} if data else {}
            return self._send(308, **held)
        return self._send(200, json.dumps(self.store.put(name, bytes(data), query)).encode())

    def _batch(self, body: bytes):
        answers = []
        for method, target in re.findall(rb"^(DELETE|POST) (\S+) HTTP", body, re.MULTILINE):
            url = urllib.parse.urlsplit(target.decode())
            path = url.path.partition("/storage/v1/")[2]
            query = dict(urllib.parse.parse_qsl(url.query))
            try:
                code, said = self.store.ask(method.decode(), path, query)
            except _Refused as refused:
                code, said = refused.args[0], {"error": {"message": "refused"}}
            text = "" if said is None else json.dumps(said)
            answers.append(
                "--x\r\nContent-Type: application/http\r\n\r\n"
                f"HTTP/1.1 {code} X\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
                f"{text}\r\n"
            )
        text = "".join(answers) + "--x--\r\n"
        self._send(200, text.encode(), Content_Type="multipart/mixed; boundary=x")
