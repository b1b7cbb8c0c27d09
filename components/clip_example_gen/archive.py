"""Where clips come from: a zip behind http(s), a zip file or a folder.

Listing reads names, sizes and checksums only; a clip's bytes are fetched one at a time.
"""

import hashlib
import os
import re
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from urllib.parse import urlsplit

from components.clip_example_gen import remote

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv", ".webm"})
_EXPECTED = "an http(s) URL of a zip, a zip file or a folder"
_LAYOUT = f"<class>/<name> with one of {', '.join(sorted(VIDEO_SUFFIXES))}"
_UCF101_STEM = re.compile(r"v_(?P<name>.+)_g(?P<group>\d+)_c\d+")
# The one class of UCF101 whose folder and file names differ.
_UCF101_SPELLINGS = {"HandStandPushups": "HandstandPushups"}
# A connection that breaks within a body is beyond the HTTP client's own retries.
_REMOTE_READ_ATTEMPTS = 3


class SourceError(ValueError):
    """A source, or a clip in it, that cannot be read; the message is one line."""


@dataclass(frozen=True)
class ClipRef:
    """One clip of a source, without its pixels.

    Attributes:
      clip_id: unique in the source, e.g. v_Archery_g09_c03.
      class_name: e.g. Archery.
      group: the video that the clip was cut from, e.g. Archery_g09.
      source: the URL or path, as it was given.
      member: the file's path inside the source, with "/" between its parts.
      size: bytes.
      crc32: of the bytes, from the zip's directory; None in a folder, which knows it only by
        reading every file.
      modified_ns: when the file was last changed, in nanoseconds since 1970; None in a zip.
    """

    clip_id: str
    class_name: str
    group: str
    source: str
    member: str
    size: int
    crc32: int | None
    modified_ns: int | None = None


class _Entry(NamedTuple):
    member: str
    size: int
    crc32: int | None
    modified_ns: int | None


class Source(ABC):
    """An open source; a context manager. Not to be shared between threads: open one for each."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clips(self) -> tuple[ClipRef, ...]:
        """Returns every clip, sorted by `clip_id`.

        Hidden files, other files than videos, and names that would leave the source
        (absolute, or with "..") are passed over.

        Raises:
          SourceError: there is no clip, or two clips would get one id.
        """
        entries = sorted({e.member: e for e in self._entries() if _is_clip(e.member)}.values())
        refs = _name_clips(self.source, entries)
        if not refs:
            raise SourceError(f"source: no clips in {self.source!r}; expected {_LAYOUT}")
        return refs

    def read(self, ref: ClipRef) -> bytes:
        """Returns the clip's file, its size and CRC32 checked against `ref`.

        Raises:
          SourceError: it cannot be read, or is not what was listed.
        """
        data = self._read(ref.member)
        if len(data) != ref.size:
            raise SourceError(
                f"{ref.member} in {self.source!r}: expected {ref.size} bytes, got {len(data)}"
            )
        if ref.crc32 is not None and zlib.crc32(data) != ref.crc32:
            raise SourceError(
                f"{ref.member} in {self.source!r}: expected CRC32 {ref.crc32:08x}, "
                f"got {zlib.crc32(data):08x}"
            )
        return data

    @abstractmethod
    def close(self) -> None:
        """Releases files and connections."""

    @abstractmethod
    def _entries(self) -> Iterator[_Entry]:
        """Yields every file of the source, clip or not."""

    @abstractmethod
    def _read(self, member: str) -> bytes:
        """Returns the file's bytes, or raises SourceError."""


class _FolderSource(Source):
    def close(self) -> None:
        pass

    def _entries(self) -> Iterator[_Entry]:
        for folder, _, names in os.walk(self.source):
            for path in (Path(folder, name) for name in names):
                with suppress(FileNotFoundError):  # a dangling link, or removed since
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        member = path.relative_to(self.source).as_posix()
                        yield _Entry(member, status.st_size, None, status.st_mtime_ns)

    def _read(self, member: str) -> bytes:
        try:
            return Path(self.source, member).read_bytes()
        except OSError as error:
            raise SourceError(f"{member} in {self.source!r}: {remote.describe(error)}") from error


class _ZipSource(Source):
    """A zip, local or remote: `open_zip` opens it, again after a read that failed."""

    def __init__(self, source: str, open_zip: Callable[[], zipfile.ZipFile], attempts: int) -> None:
        super().__init__(source)
        self._open_zip = open_zip
        self._attempts = attempts
        self._zip = self._open()

    def _open(self) -> zipfile.ZipFile:
        try:
            return self._open_zip()
        except remote.READ_ERRORS as error:
            raise SourceError(
                f"source: cannot read {self.source!r} as a zip: {remote.describe(error)}; "
                f"expected {_EXPECTED}"
            ) from error

    def close(self) -> None:
        self._zip.close()

    def _entries(self) -> Iterator[_Entry]:
        for info in self._zip.infolist():
            if not info.is_dir():
                yield _Entry(info.filename, info.file_size, info.CRC, None)

    def _read(self, member: str) -> bytes:
        for _ in range(self._attempts):
            try:
                if self._zip.fp is None:
                    self._zip = self._open()
                return self._zip.read(member)
            except KeyError:
                raise SourceError(f"{member} in {self.source!r}: no longer there") from None
            except remote.READ_ERRORS as error:
                failure = error
                self._zip.close()  # a broken response would stay in its buffer
        reason = remote.describe(failure)
        raise SourceError(f"{member} in {self.source!r}: {reason}") from failure


def open_source(source: str) -> Source:
    """Opens an http(s) zip, a zip file or a folder.

    Raises:
      SourceError: there is no such source, or it is none of the three.
    """
    if urlsplit(source).scheme in ("http", "https"):
        return _ZipSource(source, lambda: remote.open_remote_zip(source), _REMOTE_READ_ATTEMPTS)
    if os.path.isdir(source):
        return _FolderSource(source)
    if os.path.isfile(source):
        return _ZipSource(source, lambda: zipfile.ZipFile(source), attempts=1)
    raise SourceError(f"source: expected {_EXPECTED}, found nothing at {source!r}")


def fingerprint(refs: Iterable[ClipRef]) -> str:
    """Returns the version of the data as sha256 in hex.

    It changes with any id, class, size and CRC32 (a zip) or time of change (a folder), and not
    with the place or the order of the clips.
    """
    rows = sorted((r.clip_id, r.class_name, r.size, r.crc32, r.modified_ns) for r in refs)
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _is_clip(member: str) -> bool:
    path = PurePosixPath(member)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)  # ".." is one too
    outside = path.is_absolute() or bool(PureWindowsPath(member).anchor) or "\\" in member
    return path.suffix.lower() in VIDEO_SUFFIXES and not hidden and not outside


def _name_clips(source: str, entries: list[_Entry]) -> tuple[ClipRef, ...]:
    """Gives every entry its class, group and id."""
    stems = Counter(PurePosixPath(entry.member).stem for entry in entries)
    refs: dict[str, ClipRef] = {}
    for entry in entries:
        path = PurePosixPath(entry.member)
        if match := _UCF101_STEM.fullmatch(path.stem):
            class_name = _UCF101_SPELLINGS.get(match["name"], match["name"])
            clip_id, group = path.stem, f"{class_name}_g{match['group']}"
        else:
            class_name = path.parent.name or Path(source).stem
            clip_id = path.stem if stems[path.stem] == 1 else f"{class_name}_{path.stem}"
            group = clip_id
        if clip_id in refs:
            raise SourceError(
                f"source: two clips of {source!r} get the id {clip_id!r}: "
                f"{refs[clip_id].member} and {entry.member}; rename one"
            )
        refs[clip_id] = ClipRef(clip_id, class_name, group, source, *entry)
    return tuple(refs[clip_id] for clip_id in sorted(refs))
