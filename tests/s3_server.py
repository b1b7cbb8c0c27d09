"""A real S3 server on loopback (moto's), whose writes can be counted and interrupted."""

import threading
from collections.abc import Callable

import boto3
import requests
import werkzeug.serving
from moto.server import DomainDispatcherApplication, create_backend_app

BUCKET = "library"


class S3Server:
    """Serves one empty bucket on a free port.

    Attributes:
      environment: what clients need in their environment to find it.
      before_write, after_write: called with the number of the write (PUT, POST, DELETE), from 1.
    """

    def __init__(self):
        self.before_write: Callable[[int], None] = lambda count: None
        self.after_write: Callable[[int], None] = lambda count: None
        self.writes = 0
        self._lock = threading.Lock()
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = werkzeug.serving.make_server(
            "127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def __enter__(self):
        self._thread.start()
        boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        ).create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *unused):
        requests.post(f"{self.environment['AWS_ENDPOINT_URL']}/moto-api/reset", timeout=30)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, environ, start_response):
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._app(environ, start_response)
        with self._lock:
            self.writes += 1
            count = self.writes
        self.before_write(count)
        answer = self._app(environ, start_response)
        self.after_write(count)
        return answer


class _Quiet(werkzeug.serving.WSGIRequestHandler):
    def log(self, *unused):
        """Logs nothing."""
