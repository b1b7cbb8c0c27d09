"""One run at a time in an output folder, so that cron and systemd may start runs as they like."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

#: In the output folder; holds the process id of the run that has the lock, for people.
LOCK_FILE = ".lock"


class BusyError(Exception):
    """Another run is at work in the folder; the message is one line."""


@contextlib.contextmanager
def held(output_dir: str | Path) -> Iterator[None]:
    """Keeps other runs out of a folder, which must be there, while the body runs.

    It waits for nobody. The kernel releases the lock when the process ends, also when it is
    killed; the file that is left means nothing.

    Raises:
      BusyError: another run has the lock.
      OSError: the folder cannot be written.
    """
    path = Path(output_dir) / LOCK_FILE
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise BusyError(f"another run{_holder(path)} is at work in {output_dir}") from error
    try:
        path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        path.write_text("")  # whoever takes the lock next may not say who it is
        lock.release()


def _holder(path: Path) -> str:
    """Names the process that wrote the file, if one did."""
    text = path.read_text(errors="replace").strip()
    return f" (pid {text})" if text.isdigit() else ""
