"""Where versions lie: what a folder of this machine and an object store have in common."""

import abc
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from components.published.errors import ConflictError, PublishedError
from components.published.manifest import parse_manifest

CURRENT_FILE = "CURRENT"
MANIFEST_FILE = "manifest.json"

#: What is longer was never a version's number, and Python may refuse to read it as one.
_VERSION_NAME = re.compile(r"[1-9][0-9]{0,17}")


class Store(abc.ABC):
    """A published directory as named files; names are paths below it, `/` between parts.

    Reading raises FileNotFoundError where a file is missing, and PublishedError where it cannot be
    read. A version is written in this order: `writing`, `reserve`, `install`, `switch`, `prune`.
    """

    @abc.abstractmethod
    def locate(self, name: str = "") -> str:
        """Returns a file's path or URL, for people."""

    @abc.abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Opens a file for reading at any position."""

    @abc.abstractmethod
    def blocks(self, name: str) -> Iterator[bytes]:
        """Yields a file's content in blocks."""

    def read(self, name: str) -> bytes:
        """Returns a file's content."""
        return b"".join(self.blocks(name))

    @abc.abstractmethod
    def local(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """Gives a path of this machine that holds a file, or a folder with all below it."""

    @abc.abstractmethod
    def versions(self) -> list[int]:
        """Returns the numbers of all complete versions, rising."""

    @abc.abstractmethod
    def hold(self, version: int) -> contextlib.AbstractContextManager[object]:
        """Keeps a version from being deleted; FileNotFoundError where there is none."""

    @abc.abstractmethod
    def writing(self) -> contextlib.AbstractContextManager[Path]:
        """Clears what killed writers left; gives an empty folder to put a version together in."""

    @abc.abstractmethod
    def reserve(self) -> int:
        """Returns the number of the next version; call it within `writing`."""

    @abc.abstractmethod
    def install(self, staging: Path, version: int) -> None:
        """Makes a folder that holds a whole version a version, complete or invisible."""

    @abc.abstractmethod
    def switch(self, version: int, expected: int | bytes | None) -> None:
        """Makes a version live by one atomic step.

        Args:
          version: its number.
          expected: what must be live until then: a version's number; None for none; bytes for
            whatever it is that CURRENT holds, as `read_current` returned it.

        Raises:
          ConflictError: the live version is no longer `expected`.
          PublishedError: CURRENT holds no number, and `expected` are no bytes.
        """

    @abc.abstractmethod
    def remove(self, version: int) -> bool:
        """Deletes a version; returns False, and does nothing, where somebody may be reading it."""

    def current(self) -> int | None:
        """Returns the live version's number; None where nothing is published.

        Raises:
          PublishedError: CURRENT cannot be read or holds no number.
        """
        return self._parse_current(self.read_current())

    def read_current(self) -> bytes | None:
        """Returns what CURRENT holds, be it a number or not; None where there is no CURRENT."""
        try:
            return self.read(CURRENT_FILE)
        except FileNotFoundError:
            return None

    def check_current(self, expected: int | bytes | None) -> None:
        """Raises what `switch` does if it finds another version live than `expected`."""
        self._compare(self.read_current(), expected)

    def prune(self, keep: int) -> list[int]:
        """Deletes old versions; returns their numbers.

        The live version stays, the one that was live before it, to which `rollback` goes back, and
        the newest `keep` of the others.
        """
        try:
            live = self.current()
            spared = {live, None if live is None else self._parent(live)}
        except (FileNotFoundError, PublishedError):
            return []  # nobody knows the way back, so that none may be cut off
        others = [version for version in self.versions() if version not in spared]
        old = others[: max(0, len(others) - keep)]
        return [version for version in old if self.remove(version)]

    def _parent(self, version: int) -> int | None:
        name = f"{version}/{MANIFEST_FILE}"
        return parse_manifest(self.read(name), self.locate(name)).parent

    def _parse_current(self, content: bytes | None) -> int | None:
        if content is None:
            return None
        text = content.decode(errors="replace").strip()
        if not is_version_name(text):
            where = self.locate(CURRENT_FILE)
            raise PublishedError(f"{where}: expected a version's number; got {text[:40]!r}")
        return int(text)

    def _compare(self, content: bytes | None, expected: int | bytes | None) -> None:
        """Raises what `switch` does where CURRENT holds `content`."""
        found = content if isinstance(expected, bytes) else self._parse_current(content)
        if found != expected:
            raise self._conflict(found, expected)

    def _conflict(self, found: int | bytes | None, expected: int | bytes | None) -> ConflictError:
        return ConflictError(
            f"{self.locate(CURRENT_FILE)}: expected {_name(expected)} to be live; "
            f"got {_name(found)}: another run has published or rolled back meanwhile"
        )


def is_version_name(name: str) -> bool:
    """Tells whether a folder of this name may be a version."""
    return _VERSION_NAME.fullmatch(name) is not None


def _name(found: int | bytes | None) -> str:
    if isinstance(found, bytes):
        text = found.decode(errors="replace").strip()
        return f"version {text}" if is_version_name(text) else repr(text[:40])
    return "no version" if found is None else f"version {found}"
