"""Versions in a folder of this machine."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import filelock
import pyarrow as pa

from components.published.errors import PublishedError
from components.published.store import CURRENT_FILE, MANIFEST_FILE, Store, is_version_name

_STAGING = ".staging-"
_DELETED = ".deleted-"
_NEXT_CURRENT = f".{CURRENT_FILE}-"
#: How long a writer waits for another, in seconds; publishing takes less.
_LOCK_TIMEOUT = 600


class LocalStore(Store):
    """A folder; writers take turns by a lock, versions and CURRENT appear by renaming.

    A reader holds a shared lock (flock) on the version's manifest, so that whoever deletes old
    versions sees it.
    """

    def __init__(self, root: Path):
        """Names the folder, which need not be there to be read from."""
        self._root = root
        # One object, as it may be taken again by whoever has it: `switch` within `writing`.
        self._lock = filelock.FileLock(root / ".lock", timeout=_LOCK_TIMEOUT)

    def locate(self, name: str = "") -> str:
        """Returns a file's path."""
        return str(self._root / name)

    def open(self, name: str) -> BinaryIO:
        """Opens a file for reading."""
        with self._open(name):
            pass  # for the errors
        # Not Python's: its threads may end after the interpreter, which aborts the process.
        return cast(BinaryIO, pa.OSFile(str(self._root / name), "rb"))

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yields a file's content."""
        with self._open(name) as file:
            while block := file.read(1 << 20):
                yield block

    @contextlib.contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Gives the path itself."""
        yield self._root / name

    def versions(self) -> list[int]:
        """Returns the numbers of the folders that hold a manifest."""
        return sorted(
            int(path.parent.name)
            for path in self._root.glob(f"*/{MANIFEST_FILE}")
            if is_version_name(path.parent.name)
        )

    def hold(self, version: int) -> BinaryIO:
        """Opens and locks the manifest; closing it lets go."""
        name = f"{version}/{MANIFEST_FILE}"
        file = self._open(name)
        with contextlib.suppress(OSError):  # a file system without locks: nothing is deleted there
            fcntl.flock(file, fcntl.LOCK_SH)
        if not (self._root / name).exists():  # deleted while this waited
            file.close()
            raise FileNotFoundError(self.locate(name))
        return file

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """Waits for its turn; gives a folder that is renamed or removed in the end."""
        self._root.mkdir(parents=True, exist_ok=True)
        with self._turn():
            for pattern in (_STAGING, _DELETED):
                for leftover in self._root.glob(f"{pattern}*"):
                    shutil.rmtree(leftover)
            for leftover in self._root.glob(f"{_NEXT_CURRENT}*"):
                leftover.unlink()
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self._root))
            staging.chmod(0o755)
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def reserve(self) -> int:
        """Returns the number after the newest and the live one's."""
        return max([*self.versions(), self.current() or 0]) + 1

    def install(self, staging: Path, version: int) -> None:
        """Renames the folder once it is on the disk."""
        for path in [*staging.rglob("*"), staging]:
            _sync(path)
        os.rename(staging, self._root / str(version))
        _sync(self._root)  # the version must reach the disk before the name that points to it

    def switch(self, version: int, expected: int | bytes | None) -> None:
        """Replaces CURRENT."""
        with self._turn():
            self.check_current(expected)
            descriptor, temporary = tempfile.mkstemp(prefix=_NEXT_CURRENT, dir=self._root)
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(f"{version}\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, self._root / CURRENT_FILE)
            except OSError:
                os.unlink(temporary)
                raise
            _sync(self._root)

    def remove(self, version: int) -> bool:
        """Renames the folder, then deletes it, if nobody has its manifest locked."""
        folder = self._root / str(version)
        with open(folder / MANIFEST_FILE, "rb") as manifest:
            try:
                fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            deleted = self._root / f"{_DELETED}{version}"
            os.rename(folder, deleted)  # gone for readers at once
            shutil.rmtree(deleted)
            return True

    def _open(self, name: str) -> BinaryIO:
        try:
            return open(self._root / name, "rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PublishedError(
                f"{self.locate(name)}: cannot be read: {error.strerror}"
            ) from error

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except filelock.Timeout as error:
            where = self.locate()
            raise PublishedError(f"push_dir: another run is publishing in {where}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
