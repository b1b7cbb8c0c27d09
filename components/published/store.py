"""Where versions lie: what a folder of this machine and an object store have in common."""

import abc
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from components.published.errors import ConflictError, PublishedError

CURRENT_FILE = "CURRENT"
MANIFEST_FILE = "manifest.json"

_VERSION_NAME = re.compile(r"[1-9][0-9]*")


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
    def switch(self, version: int, expected: int | None) -> None:
        """Makes a version live by one atomic step.

        Raises:
          ConflictError: the live version is no longer `expected`; None stands for none.
        """

    @abc.abstractmethod
    def remove(self, version: int) -> bool:
        """Deletes a version; returns False, and does nothing, where somebody may be reading it."""

    def current(self) -> int | None:
        """Returns the live version's number; None where nothing is published.

        Raises:
          PublishedError: CURRENT cannot be read or holds no number.
        """
        try:
            return self.parse_current(self.read(CURRENT_FILE))
        except FileNotFoundError:
            return None

    def parse_current(self, content: bytes) -> int:
        """Returns the number that CURRENT holds; PublishedError where it is none."""
        text = content.decode(errors="replace").strip()
        if not is_version_name(text):
            where = self.locate(CURRENT_FILE)
            raise PublishedError(f"{where}: expected a version's number; got {text[:40]!r}")
        return int(text)

    def check_current(self, expected: int | None) -> None:
        """Raises ConflictError unless this version is live; None stands for none."""
        if (found := self.current()) != expected:
            raise self._conflict(found, expected)

    def prune(self, keep: int) -> list[int]:
        """Deletes all but the newest `keep` versions and the live one; returns what it deleted."""
        live = self.current()
        old = [version for version in self.versions()[:-keep] if version != live]
        return [version for version in old if self.remove(version)]

    def _conflict(self, found: int | None, expected: int | None) -> ConflictError:
        return ConflictError(
            f"{self.locate(CURRENT_FILE)}: expected {_name(expected)} to be live; "
            f"got {_name(found)}: another run has published or rolled back meanwhile"
        )


def is_version_name(name: str) -> bool:
    """Tells whether a folder of this name may be a version."""
    return _VERSION_NAME.fullmatch(name) is not None


def _name(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
