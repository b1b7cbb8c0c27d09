"""What the benchmarks share: a process for each measurement, its memory, bounds of arguments."""

import argparse
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from pipeline import console

_Result = TypeVar("_Result")


def in_a_process(log: Path, work: Callable[..., _Result], *arguments: object) -> _Result:
    """Returns what `work(*arguments)` does, in a new process; libraries' output goes to `log`."""
    # Not forked: a fork would start with this process's memory.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(_quietly, log, work, *arguments).result()


def _quietly(log: Path, work: Callable[..., _Result], *arguments: object) -> _Result:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with console.quiet(log):
        return work(*arguments)


def memory_mb(field: str) -> float:
    """Returns VmRSS, what is resident in this process, or VmHWM, the most that ever was."""
    # Not getrusage: its maximum outlives exec, and so counts the parent's memory.
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) * 1024 / 1e6


def at_least(least: int, text: str) -> int:
    """Returns an argument of the command line; an error that says so if it is less."""
    if (number := int(text)) < least:
        raise argparse.ArgumentTypeError(f"expected at least {least}, got {number}")
    return number
