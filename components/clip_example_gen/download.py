"""The whole zip, from servers that send no ranges."""

import glob
import hashlib
import os
from contextlib import suppress

import filelock
import requests
import tenacity

from components import progress
from components.clip_example_gen import transport
from components.clip_example_gen.archive import SourceError, one_line
from components.clip_example_gen.zips import tried

_ATTEMPTS = 5
_MEGABYTE = 1 << 20


def download(url: str, timeout_sec: float, folder: str) -> str:
    """Brings the whole zip into `folder`, unless it is there; returns its path.

    Raises:
      SourceError: the server does not answer, or breaks off again and again, or the disk is full.
    """
    name = os.path.join(folder, hashlib.sha256(url.encode()).hexdigest()[:16])
    # A zip of gigabytes takes its time; a time-out for each read is what finds a stall.
    retrying = transport.retrying(timeout_sec).copy(stop=tenacity.stop_after_attempt(_ATTEMPTS))
    timeouts = transport.timeouts(timeout_sec)
    try:
        os.makedirs(folder, exist_ok=True)
        with filelock.FileLock(f"{name}.lock"), transport.new_session() as session:
            return retrying(_download_once, session, url, name, timeouts)
    except transport.NETWORK_ERRORS as error:
        reason = f"{transport.describe(error)}{tried(retrying)}"
        raise SourceError(f"source: cannot download {url!r}: {reason}") from error
    except OSError as error:
        reason = f"{one_line(error)}, in {folder!r}"
        raise SourceError(f"source: cannot download {url!r}: {reason}") from error


def _download_once(
    session: requests.Session, url: str, name: str, timeouts: tuple[float, float]
) -> str:
    """Downloads to a partial file, renamed when it is whole; the server's length is checked."""
    with session.get(url, stream=True, timeout=timeouts) as response:
        response.raise_for_status()
        headers = response.headers
        # Of a server that says neither, only a change of size is seen.
        known = headers.get("ETag") or headers.get("Last-Modified")
        size = int(headers.get("Content-Length", 0))
        version = hashlib.sha256(f"{known} {size}".encode()).hexdigest()[:16]
        path = f"{name}-{version}.zip"
        if os.path.exists(path):
            return path
        for outdated in glob.glob(f"{glob.escape(name)}-*"):
            os.unlink(outdated)
        partial = f"{name}-partial"
        try:
            _write(response, partial, size)
            os.replace(partial, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial)
        return path


def _write(response: requests.Response, path: str, size: int) -> None:
    with open(path, "wb") as file:
        while block := response.raw.read(_MEGABYTE):
            file.write(block)
            done = file.tell() // _MEGABYTE
            progress.report("downloaded MB", done, max(done, size // _MEGABYTE))
