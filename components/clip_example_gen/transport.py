"""How this project speaks HTTP: sessions, time-outs, and what is tried again."""

import io
import logging
import re
import time

import requests
import tenacity
import urllib3

from components.clip_example_gen.archive import one_line
from components.clip_example_gen.zips import BAD_BYTES

#: What a server that does not answer, or breaks off, raises.
NETWORK_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)
#: Answers after which another try may help, besides 5xx: RFC 9110, RFC 6585, RFC 8470.
_PASSING_STATUS = frozenset({408, 425, 429})
#: Of 5xx, those that stay: "not implemented" and "HTTP version not supported".
_LASTING_STATUS = frozenset({501, 505})
#: Wrong bytes may be the network's fault, or a proxy's; so often they are the file's.
_MAX_BAD_BYTES = 5
#: What urllib3 puts before an error: an object that means nothing to people.
_CONNECTION = re.compile(r"^(<[^>]*>|\w+\(host=[^)]*\)): ")
_FIRST_WAIT_SEC, _LONGEST_WAIT_SEC = 0.2, 20.0
_CONNECT_TIMEOUT_SEC, _READ_TIMEOUT_SEC = 10.0, 60.0
_CHUNK = 1 << 16


class Body(io.RawIOBase):
    """A response's body, counted, and cut off at the deadline, however slowly it trickles.

    Attributes:
      received: bytes so far.
    """

    def __init__(self, raw: urllib3.HTTPResponse, deadline: float) -> None:
        super().__init__()
        self._raw = raw
        self._deadline = deadline
        self.received = 0

    def read(self, size: int = -1) -> bytes:
        """Returns what is there, at most `size` bytes; b"" at the end."""
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"timed out: the body came too slowly, {self.received} bytes so far")
        data = self._raw.read1(_CHUNK if size < 0 else min(size, _CHUNK))
        self.received += len(data)
        return data

    def close(self) -> None:
        """Ends the response, whose connection serves again if nothing is left of it."""
        super().close()
        self._raw.close()
        self._raw.release_conn()


class _MayPass:
    """Says whether an error may be gone at the next attempt; one for each file."""

    def __init__(self) -> None:
        self._bad_bytes = 0

    def __call__(self, error: BaseException) -> bool:
        if isinstance(error, BAD_BYTES):
            self._bad_bytes += 1
            return self._bad_bytes < _MAX_BAD_BYTES
        if (status := status_code(error)) is not None:
            return status in _PASSING_STATUS or (status >= 500 and status not in _LASTING_STATUS)
        if isinstance(error, requests.exceptions.SSLError):
            return False
        if isinstance(error, requests.RequestException):
            return isinstance(error, (requests.ConnectionError, requests.Timeout))
        return isinstance(error, NETWORK_ERRORS)


def retrying(timeout_sec: float) -> tenacity.Retrying:
    """Returns a policy for one file: what may pass is tried again, for so many seconds."""
    return tenacity.Retrying(
        stop=tenacity.stop_before_delay(timeout_sec),
        wait=_wait,
        retry=tenacity.retry_if_exception(_MayPass()),
        before_sleep=tenacity.before_sleep_log(logging.getLogger(__name__), logging.INFO),
        reraise=True,
    )


def _wait(state: tenacity.RetryCallState) -> float:
    """Backs off exponentially with full jitter, and at least as long as the server asks."""
    backoff = tenacity.wait_random_exponential(_FIRST_WAIT_SEC, _LONGEST_WAIT_SEC)(state)
    error = state.outcome.exception() if state.outcome else None
    response = getattr(error, "response", None)
    asked = response.headers.get("Retry-After") if response is not None else None
    if asked is None:
        return backoff
    try:
        return max(backoff, urllib3.Retry().parse_retry_after(asked))
    except urllib3.exceptions.InvalidHeader:
        return backoff


def timeouts(timeout_sec: float) -> tuple[float, float]:
    """Returns the time-outs to connect and to read: a stall leaves time for other attempts."""
    return min(_CONNECT_TIMEOUT_SEC, timeout_sec / 4), min(_READ_TIMEOUT_SEC, timeout_sec / 4)


def new_session() -> requests.Session:
    """Returns a session that keeps its connections and verifies TLS."""
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"  # ranges count the zip's own bytes
    return session


def status_code(error: BaseException | None) -> int | None:
    """Returns what the server answered, None where it did not."""
    response = getattr(error, "response", None)
    return None if response is None else response.status_code


def describe(error: BaseException) -> str:
    """Returns what a network error means, in one line."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    first = error.args[0] if error.args else None
    nested = getattr(first, "reason", None)  # "max retries exceeded" hides why
    if (
        nested is None
        and isinstance(error, urllib3.exceptions.HTTPError)
        and isinstance(first, str)
    ):
        return first  # the rest repeats it
    return _CONNECTION.sub("", one_line(nested or error))
