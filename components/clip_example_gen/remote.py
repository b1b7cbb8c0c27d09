"""A zip behind http(s): by ranges of bytes, or as a whole where the server has no ranges."""

import contextlib
import logging
import threading
import time
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import requests
import tenacity
from remotezip import RangeNotSupported, RemoteFetcher, RemoteZip, RemoteZipError

from components.clip_example_gen import transport
from components.clip_example_gen.archive import SourceError, one_line
from components.clip_example_gen.download import download
from components.clip_example_gen.zips import (
    BAD_BYTES,
    BAD_DIRECTORY,
    LocalZip,
    Member,
    ZipArchive,
    ZipBytes,
    locate,
    tried,
)

#: Answers of servers that know ranges, but not those that count from the end.
_NO_SUFFIX_STATUS = frozenset({400, 405, 416, 501})
#: A wrong URL is to be told soon.
_LISTING_TIMEOUT_SEC = 60.0


def open_url(url: str, *, timeout_sec: float, download_dir: str) -> ZipArchive:
    """Opens the zip at `url`.

    Args:
      url: http(s).
      timeout_sec: how long listing, or fetching one file, may take with all its retries.
      download_dir: where the zip goes if the server sends it only as a whole.

    Raises:
      SourceError: the server does not answer or sends no zip.
    """
    ranges = _RangedZip(url, timeout_sec)
    try:
        return ZipArchive(url, ranges)
    except _NoRanges:
        ranges.close()
        logging.warning("%s is served as a whole only; it is downloaded", url)
        path = download(url, timeout_sec, download_dir)
        return ZipArchive(url, LocalZip(path))
    except BaseException:
        ranges.close()
        raise


class _NoRanges(Exception):
    """The server sends the whole file where a range is asked for."""


class _RangedZip(ZipBytes):
    """Reads ranges, through a session for each thread."""

    failures = (*transport.NETWORK_ERRORS, OSError)

    def __init__(self, url: str, timeout_sec: float) -> None:
        self._url = url
        self._timeout_sec = timeout_sec
        self._suffix_ranges = True
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()

    def members(self) -> list[Member]:
        timeout_sec = min(self._timeout_sec, _LISTING_TIMEOUT_SEC)
        retrying = transport.retrying(timeout_sec)
        try:
            return retrying(self._read_directory, time.monotonic() + timeout_sec)
        except (*BAD_BYTES, *transport.NETWORK_ERRORS) as error:
            reason = f"{self.describe(error)}{tried(retrying)}"
            raise SourceError(f"source: cannot read {self._url!r} as a zip: {reason}") from error

    @contextlib.contextmanager
    def open(self, start: int, stop: int, started: float) -> Iterator[BinaryIO]:
        with self._session().get(
            self._url,
            headers={"Range": f"bytes={start}-{stop - 1}"},
            stream=True,
            timeout=transport.timeouts(self._timeout_sec),
        ) as response:
            response.raise_for_status()
            if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise zipfile.BadZipFile("the server sent another range than was asked for")
            body = transport.Body(response.raw, started + self._timeout_sec)
            yield body  # type: ignore[misc]
            while body.read():  # what follows the member; then the connection serves again
                pass

    def attempts(self) -> tenacity.BaseRetrying:
        return transport.retrying(self._timeout_sec)

    def describe(self, error: Exception) -> str:
        return transport.describe(error)

    def received(self, file: BinaryIO) -> int:
        return file.received if isinstance(file, transport.Body) else 0

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = transport.new_session()
            with self._lock:
                self._sessions.append(self._local.session)
        return self._local.session

    def _read_directory(self, deadline: float) -> list[Member]:
        """Reads the directory; twice, without TLS: it has no checksum, and all depends on it."""
        times = 1 if self._url.startswith("https:") else 2
        readings = [self._locate(deadline) for _ in range(times)]
        if any(_facts(reading) != _facts(readings[0]) for reading in readings[1:]):
            raise zipfile.BadZipFile("two readings of the directory differ")
        return readings[0]

    def _locate(self, deadline: float) -> list[Member]:
        try:
            with RemoteZip(
                self._url,
                session=self._session(),
                fetcher=_Fetcher,
                support_suffix_range=self._suffix_ranges,
                timeout=transport.timeouts(self._timeout_sec),
                deadline=deadline,
            ) as opened:
                return locate(opened)
        except RangeNotSupported as error:
            raise _NoRanges from error
        except RemoteZipError as error:
            cause = error.__context__  # remotezip keeps only its text
            if self._suffix_ranges and transport.status_code(cause) in _NO_SUFFIX_STATUS:
                self._suffix_ranges = False
                return self._locate(deadline)
            if isinstance(cause, transport.NETWORK_ERRORS):
                raise cause from error
            raise zipfile.BadZipFile(str(error)) from error
        except BAD_DIRECTORY as error:
            raise zipfile.BadZipFile(one_line(error)) from error


def _facts(members: list[Member]) -> list[tuple[object, ...]]:
    """Returns all that a directory says, for comparison: ZipInfo compares by identity."""
    names = zipfile.ZipInfo.__slots__
    return [(m.start, m.stop, *(getattr(m.info, name, None) for name in names)) for m in members]


class _Fetcher(RemoteFetcher):
    """Keeps to a deadline, and asks for the size without HEAD, which some servers refuse."""

    def __init__(self, *args: Any, deadline: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def _request(self, kwargs: dict[str, Any]) -> tuple[transport.Body, str]:
        raw, content_range = super()._request(kwargs)
        return transport.Body(raw, self._deadline), content_range

    def get_file_size(self) -> int:
        request = self.prepare_request((0, 0))
        with self._session.get(self._url, stream=True, **request) as response:
            response.raise_for_status()
            _, slash, size = response.headers.get("Content-Range", "").rpartition("/")
            if not slash or not size.isdigit():
                raise RangeNotSupported(f"Content-Range: {response.headers.get('Content-Range')}")
            return int(size)
