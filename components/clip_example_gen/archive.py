"""Where clips come from: zips and folders, here, behind http(s), or on what Beam can reach.

Listing reads names, sizes and checksums only; files are fetched one by one, by many threads.
"""

import contextlib
import os
import stat
import tempfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

_EXPECTED = "a zip or a folder, local or on s3:// or gs://, or an http(s) URL of a zip"
_CHUNK = 1 << 20


class SourceError(ValueError):
    """A source that cannot be read, or does not answer; the message is one line."""


class MemberError(ValueError):
    """A file of a source that cannot be had while others can; the message is one line."""


class Entry(NamedTuple):
    """One file of a source.

    Attributes:
      member: its path inside the source, with "/" between the parts, as it is: perhaps unsafe.
      size: bytes.
      crc32: of the bytes, from a zip's directory; None in a folder, which does not know it.
      modified_ns: when it was last changed, nanoseconds since 1970; None in a zip.
      compressed_size: bytes in the zip; None in a folder.
    """

    member: str
    size: int
    crc32: int | None
    modified_ns: int | None
    compressed_size: int | None


class Fetched(NamedTuple):
    """A file that is here now, its size and CRC32 checked.

    Attributes:
      path: where.
      crc32: of the bytes.
      wire_bytes: received for it over a network, failed attempts included.
      retries: attempts that failed before.
      temporary: whether `discard` removes it.
    """

    path: str
    crc32: int
    wire_bytes: int = 0
    retries: int = 0
    temporary: bool = False

    def discard(self) -> None:
        """Removes the file if it is a temporary one."""
        if self.temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


class Archive(ABC):
    """An open source; a context manager. Threads may share it."""

    def __init__(self, source: str) -> None:
        """Use `open_archive`."""
        self.source = source

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def entries(self) -> list[Entry]:
        """Returns every file, in no particular order.

        Raises:
          SourceError: the source cannot be listed.
        """

    @abstractmethod
    def fetch(self, entry: Entry) -> Fetched:
        """Brings a file here; the caller discards it.

        Raises:
          MemberError: this file cannot be had: it is gone, encrypted, not as it was listed.
          SourceError: the source does not answer.
        """

    def crc32(self, entry: Entry) -> int:
        """Returns the checksum of a file, which is read only where the source does not know it."""
        if entry.crc32 is not None:
            return entry.crc32
        fetched = self.fetch(entry)
        fetched.discard()
        return fetched.crc32

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Releases connections."""


class _Folder(Archive):
    def entries(self) -> list[Entry]:
        return list(self._walk())

    def _walk(self) -> Iterator[Entry]:
        for folder, _, names in os.walk(self.source, onerror=self._fail):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # a dangling link, or removed since
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        member = path.relative_to(self.source).as_posix()
                        yield Entry(member, status.st_size, None, status.st_mtime_ns, None)

    def _fail(self, error: OSError) -> None:
        raise SourceError(f"source: cannot read {error.filename!r}: {error.strerror}") from error

    def fetch(self, entry: Entry) -> Fetched:
        path = os.path.join(os.path.abspath(self.source), entry.member)
        try:
            with open(path, "rb") as file:
                size, crc32 = copy(file, None)
        except OSError as error:
            raise MemberError(f"{path!r}: {error.strerror}") from error
        if size != entry.size:
            raise MemberError(f"{path!r}: expected {entry.size} bytes, got {size}: it has changed")
        return Fetched(path, crc32)


def open_archive(
    source: str,
    *,
    timeout_sec: float = 300.0,
    download_dir: str | None = None,
    beam_args: Sequence[str] = (),
) -> Archive:
    """Opens a zip or a folder.

    Args:
      source: a local path, an http(s) URL of a zip, or a URI that Beam's filesystems know.
      timeout_sec: how long fetching one file over http(s) may take, retries included.
      download_dir: where a zip goes whose server sends it only as a whole; None: a folder among
        the system's temporary files.
      beam_args: options for Beam's filesystems, such as --s3_endpoint_url.

    Raises:
      SourceError: there is no such source, it cannot be read, or it does not answer.
    """
    from components.clip_example_gen import zips  # it knows `Archive`

    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if scheme in ("http", "https"):
        from components.clip_example_gen import remote

        return remote.open_url(
            source,
            timeout_sec=timeout_sec,
            download_dir=download_dir or os.path.join(tempfile.gettempdir(), "clip-recommender"),
        )
    if scheme:
        from components.clip_example_gen import beam_files  # brings Beam: seconds

        return beam_files.open_uri(source, beam_args)
    if os.path.isdir(source):
        return _Folder(source)
    if os.path.isfile(source):
        return zips.ZipArchive(source, zips.LocalZip(source))
    raise SourceError(f"source: expected {_EXPECTED}, found nothing at {source!r}")


def download_dir(store_dir: str) -> str | None:
    """Returns where whole zips are kept beside the store of decoded clips, if that is local."""
    return None if "://" in store_dir else os.path.join(store_dir, "downloads")


@contextlib.contextmanager
def temporary_file() -> Iterator[BinaryIO]:
    """Opens a file for `Fetched.path`; it is removed where the body fails."""
    with tempfile.NamedTemporaryFile(prefix="clip-", delete=False) as file:
        try:
            yield file  # type: ignore[misc]
        except BaseException:
            os.unlink(file.name)
            raise


def copy(source: BinaryIO, target: BinaryIO | None) -> tuple[int, int]:
    """Reads `source` to its end, into `target` if given; returns size in bytes and CRC32."""
    size = crc32 = 0
    while block := source.read(_CHUNK):
        size += len(block)
        crc32 = zlib.crc32(block, crc32)
        if target is not None:
            target.write(block)
    return size, crc32


def one_line(error: BaseException) -> str:
    """Returns what an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
