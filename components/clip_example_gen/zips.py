"""Zips, wherever they lie: the directory is read once, and members by ranges of bytes."""

import bisect
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple

import tenacity

from components.clip_example_gen.archive import (
    Archive,
    Entry,
    Fetched,
    MemberError,
    SourceError,
    copy,
    one_line,
    temporary_file,
)

#: What reading a zip raises where the bytes are not those of a zip, or not those listed.
BAD_BYTES = (zipfile.BadZipFile, zlib.error, EOFError, struct.error)
#: What reading a directory raises besides, where it was written wrongly.
BAD_DIRECTORY = (*BAD_BYTES, NotImplementedError, ValueError, OverflowError)
# PKWARE's APPNOTE.TXT, 4.3.7: the local header; the lengths of name and extra field end it.
_HEADER = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800
# zipfile unpacks bzip2 and LZMA without a bound: a few KB of a zip bomb take all memory.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# Name and extra field have 16-bit lengths; at most 24 bytes follow a member.
_MAX_AROUND = _HEADER.size + 2 * 0xFFFF + 24


class Member(NamedTuple):
    """A member, and the bytes of the zip in which it lies: from `start`, before `stop`."""

    info: zipfile.ZipInfo
    start: int
    stop: int


class ZipBytes(ABC):
    """The bytes of a zip; threads may share it.

    Attributes:
      failures: what `open`, reading, and writing to a full disk raise.
    """

    failures: tuple[type[Exception], ...] = (OSError,)

    @abstractmethod
    def members(self) -> list[Member]:
        """Reads the directory; SourceError where that cannot be done."""

    @abstractmethod
    def open(self, start: int, stop: int, started: float) -> AbstractContextManager[BinaryIO]:
        """Opens the bytes from `start` on; readers do not go beyond `stop`.

        `started` is the `time.monotonic()` of the first attempt.
        """

    def attempts(self) -> tenacity.BaseRetrying:
        """Returns how often, and after which errors, reading a member is tried: once."""
        return tenacity.Retrying(stop=tenacity.stop_after_attempt(1), reraise=True)

    def describe(self, error: Exception) -> str:
        """Returns what one of `failures` means, in one line."""
        return one_line(error)

    def received(self, file: BinaryIO) -> int:
        """Returns the bytes that came over a network for a file that `open` gave."""
        return 0

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Releases connections."""


class LocalZip(ZipBytes):
    """A zip on a file system of this machine."""

    def __init__(self, path: str) -> None:
        """Takes its path."""
        self._path = path

    def members(self) -> list[Member]:
        """Reads the directory."""
        return read_directory(self._path, lambda: zipfile.ZipFile(self._path), (OSError,))

    def open(self, start: int, stop: int, started: float) -> BinaryIO:
        """Opens the file anew: threads do not wait for one another."""
        file = open(self._path, "rb")  # noqa: SIM115 - the caller's to close
        file.seek(start)
        return file


class ZipArchive(Archive):
    """The members of a zip."""

    def __init__(self, source: str, zip_bytes: ZipBytes) -> None:
        """Reads the directory; SourceError where that cannot be done."""
        super().__init__(source)
        self._bytes = zip_bytes
        members = [member for member in zip_bytes.members() if not member.info.is_dir()]
        self._entries = [_entry(member.info) for member in members]
        self._members = dict(zip(self._entries, members, strict=True))

    def entries(self) -> list[Entry]:
        """Returns every file, names as they are, of one name all."""
        return list(self._entries)

    def fetch(self, entry: Entry) -> Fetched:
        """Unpacks a member into a temporary file."""
        member = self._member(entry)
        attempts = self._bytes.attempts()
        received: list[int] = []
        try:
            for attempt in attempts:
                with attempt, temporary_file() as file:
                    started = attempt.retry_state.start_time
                    crc32 = self._extract(member, file, started, received)
        except BAD_BYTES as error:
            raise MemberError(f"{self._where(entry)}: {one_line(error)}") from error
        except self._bytes.failures as error:
            reason = f"{self._bytes.describe(error)}{tried(attempts)}"
            raise SourceError(f"source: {self._where(entry)}: {reason}") from error
        return Fetched(file.name, crc32, sum(received), len(received) - 1, temporary=True)

    def close(self) -> None:
        """Releases connections."""
        self._bytes.close()

    def _member(self, entry: Entry) -> Member:
        member = self._members.get(entry)
        if member is None:
            raise MemberError(f"{self._where(entry)}: no longer there as it was listed")
        if member.info.flag_bits & _ENCRYPTED:
            raise MemberError(f"{self._where(entry)}: encrypted")
        if (method := member.info.compress_type) not in _METHODS:
            raise MemberError(
                f"{self._where(entry)}: expected no compression or deflate, got method {method}"
            )
        if not 0 <= member.start < member.stop:
            raise MemberError(f"{self._where(entry)}: the directory says it lies outside the zip")
        return member

    def _extract(
        self, member: Member, target: BinaryIO, started: float, received: list[int]
    ) -> int:
        """Reads a member to its end; adds what came over a network to `received`."""
        received.append(0)
        file: BinaryIO | None = None
        try:
            with self._bytes.open(member.start, member.stop, started) as file:
                return extract(file, member.info, target)
        finally:
            if file is not None:
                received[-1] = self._bytes.received(file)

    def _where(self, entry: Entry) -> str:
        return f"{entry.member!r} in {self.source!r}"


def tried(attempts: tenacity.BaseRetrying) -> str:
    """Returns how often and how long something was tried, "" for one attempt."""
    count = attempts.statistics["attempt_number"]
    if count == 1:
        return ""
    return f", after {count} attempts in {attempts.statistics['delay_since_first_attempt']:.1f} s"


def _entry(info: zipfile.ZipInfo) -> Entry:
    return Entry(info.filename, info.file_size, info.CRC, None, info.compress_size)


def read_directory(
    source: str,
    open_zip: Callable[[], zipfile.ZipFile],
    failures: tuple[type[Exception], ...],
) -> list[Member]:
    """Reads the directory of the zip that `open_zip` opens; SourceError where there is none."""
    try:
        with open_zip() as opened:
            return locate(opened)
    except BAD_DIRECTORY + failures as error:
        raise SourceError(f"source: cannot read {source!r} as a zip: {one_line(error)}") from error


def locate(opened: zipfile.ZipFile) -> list[Member]:
    """Returns the members of an open zip; what a directory states of them may be wrong."""
    infos = opened.infolist()
    starts = sorted({info.header_offset for info in infos} | {opened.start_dir})
    members = []
    for info in infos:
        start = info.header_offset
        following = bisect.bisect_right(starts, start)
        # Beyond the directory lies nothing.
        end = min([*starts[following : following + 1], opened.start_dir])
        members.append(Member(info, start, min(end, start + info.compress_size + _MAX_AROUND)))
    return members


def extract(file: BinaryIO, info: zipfile.ZipInfo, target: BinaryIO) -> int:
    """Unpacks the member that starts at the position of `file`; returns its CRC32.

    Raises:
      BAD_BYTES: it is not the member that `info` says.
    """
    signature, name_length, extra_length = _HEADER.unpack(_exactly(file, _HEADER.size))
    if signature != _SIGNATURE:
        raise zipfile.BadZipFile("expected a member's header, got other bytes")
    encoding = "utf-8" if info.flag_bits & _UTF8_NAME else "cp437"
    if _exactly(file, name_length) != info.orig_filename.encode(encoding):
        raise zipfile.BadZipFile("expected the same name in the member's header, got another one")
    _exactly(file, extra_length)
    with zipfile.ZipExtFile(file, "r", info) as member:  # type: ignore[arg-type, call-overload]
        size, crc32 = copy(member, target)  # type: ignore[arg-type] # compares the checksum at its end
    if size != info.file_size:
        raise zipfile.BadZipFile(f"expected {info.file_size} bytes, got {size}")
    return crc32


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = file.read(size - len(data))
        if not block:
            raise EOFError(f"expected {size} more bytes, got {len(data)}")
        data += block
    return data
