"""A zip behind http(s), read by byte ranges."""

import zipfile
import zlib

import requests
import urllib3
from remotezip import RangeNotSupported, RemoteZip, RemoteZipError

_CONNECT_TIMEOUT_SEC, _READ_TIMEOUT_SEC = 10, 60

#: What reading a zip raises, local or remote.
READ_ERRORS = (
    EOFError,
    NotImplementedError,  # a compression method that zipfile lacks
    OSError,
    RemoteZipError,
    RuntimeError,  # an encrypted member
    urllib3.exceptions.HTTPError,  # a connection that breaks within a body
    zipfile.BadZipFile,
    zlib.error,
)


def open_remote_zip(url: str) -> zipfile.ZipFile:
    """Opens the zip at `url`; connection errors, 429 and 5xx are retried with backoff.

    Raises:
      READ_ERRORS: the server does not answer, does not serve ranges, or sends no zip.
    """
    try:
        return _Zip(url, support_suffix_range=True)
    except RemoteZipError as error:
        refused = isinstance(error, RangeNotSupported) or _status(error) in (400, 416, 501)
        if not refused:
            raise
    return _Zip(url, support_suffix_range=False)


def describe(error: BaseException) -> str:
    """Returns what one of READ_ERRORS means, in one line."""
    if isinstance(error, RangeNotSupported):
        return "the server does not serve byte ranges; download the zip and name the file"
    cause = _cause(error)
    response = getattr(cause, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    first = cause.args[0] if cause.args else None
    if isinstance(error, urllib3.exceptions.HTTPError) and isinstance(first, str):
        return first  # the rest repeats it
    nested = getattr(first, "reason", None)  # "max retries exceeded" hides why
    return " ".join(str(nested or error).split()) or type(error).__name__


class _Zip(RemoteZip):
    """Closes its connections with itself, which RemoteZip leaves to its caller."""

    def __init__(self, url: str, *, support_suffix_range: bool) -> None:
        self._session = _session()
        super().__init__(
            url,
            session=self._session,
            support_suffix_range=support_suffix_range,
            timeout=(_CONNECT_TIMEOUT_SEC, _READ_TIMEOUT_SEC),
            allow_redirects=True,  # HEAD does not by default
        )

    def close(self) -> None:
        if self.fp is not None:
            self.fp.close()
        super().close()
        self._session.close()


def _session() -> requests.Session:
    retry = urllib3.Retry(
        total=5,
        connect=3,
        backoff_factor=0.25,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,  # the last answer says more than "too many retries"
    )
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"  # ranges count the zip's own bytes
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))
    return session


def _cause(error: BaseException) -> BaseException:
    """Returns the error behind remotezip's own, which keeps only its text."""
    return error.__context__ if isinstance(error.__context__, requests.RequestException) else error


def _status(error: BaseException) -> int | None:
    response = getattr(_cause(error), "response", None)
    return None if response is None else response.status_code
