"""How a run ended, and the command that is told."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

PUBLISHED = "published"
UP_TO_DATE = "up to date"
NOT_BLESSED = "not blessed"
FAILED = "failed"
BAD_INPUT = "bad input"
BUSY = "busy"

_TRACEBACK = "Traceback (most recent call last)"
#: A traceback's last line; Beam wraps some errors in a RuntimeError, and adds where it was.
_RAISED = re.compile(
    r"(?:RuntimeError: )?(?:[A-Za-z_]\w*\.)*(?P<kind>[A-Za-z_]\w*): (?P<message>.*?)"
    r"(?: \[while running '[^']*'\])?$"
)
#: Characters; copying a folder onto a full disk tells of every file.
_LONGEST = 500

#: Seconds after which the command is killed.
TIME_LIMIT_SEC = 60.0


class Result(NamedTuple):
    """How a run ended.

    Attributes:
      exit_code: of the process.
      outcome: one of the names above.
      message: one line for people: what was published, or why nothing was.
      version: the number of the version that this run published; None where it published none.
      push_dir: where it publishes.
      metrics: of the candidate, as a version's manifest has them; empty where none was judged.
      objections: what spoke against publishing it, a sentence each.
      log: path of the run's log; "" where it has none.
      seconds: that the run took.
    """

    exit_code: int
    outcome: str
    message: str
    version: int | None = None
    push_dir: str = ""
    metrics: Mapping[str, Any] = {}
    objections: tuple[str, ...] = ()
    log: str = ""
    seconds: float = 0.0


def reason(error: BaseException) -> str:
    """Returns what failed and why, in one line: the stage, the error's kind, and what it says."""
    stage = f"{error}: " if error.__cause__ else ""
    cause = error.__cause__ or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    said = f"{type(cause).__name__}: {lines[0] if lines else ''}".rstrip(": ")
    if lines and lines[0].startswith(_TRACEBACK):
        # Beam's runners raise the traceback of a worker, which ends with the error.
        ends = [found for line in lines if (found := _RAISED.match(line))]
        said = f"{ends[-1]['kind']}: {ends[-1]['message']}" if ends else said
    return textwrap.shorten(stage + said, _LONGEST, placeholder=" ...")


def check(command: str) -> None:
    """Raises ValueError where a command's program is not there to be run."""
    program = shlex.split(command)[0]
    if shutil.which(program) is None:
        raise ValueError(f"on_finish: expected a program that can be run; got {program!r}")


def tell(command: str, result: Result, time_limit_sec: float = TIME_LIMIT_SEC) -> str:
    """Runs a command, without a shell, with the result as a JSON object on its standard input.

    Args:
      command: program and arguments, as a shell would take them apart.
      result: its fields are the object's.
      time_limit_sec: after which the command, and what it started, is killed.

    Returns:
      What went wrong, in words; "" where nothing did.
    """
    try:
        # A session of its own: what it started can be killed with it.
        process = subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, text=True, start_new_session=True
        )
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    try:
        process.communicate(json.dumps(result._asdict()) + "\n", timeout=time_limit_sec)
    except subprocess.TimeoutExpired:
        return f"expected an end within {time_limit_sec:g} seconds; it was killed"
    except KeyboardInterrupt:  # the run has ended as it has
        return "interrupted; it was killed"
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return f"expected exit code 0; got {process.returncode}" if process.returncode else ""
