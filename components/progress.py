"""Progress as log records: stages report, whoever listens (a console, a log file) shows.

A stage knows nothing of terminals. `report` logs a plain line; the record also carries the
`Progress` itself as its attribute `progress`, for handlers that draw bars. `note` logs a finding.
"""

import logging
import threading
import time
from collections import Counter
from typing import NamedTuple

logger = logging.getLogger("clip_recommender.progress")
#: As often as a person can follow.
REPORT_SEC = 0.1


class Progress(NamedTuple):
    """How far a task is.

    Attributes:
      task: what is counted, e.g. "clips" or "epoch".
      done: how many are done, 0 to `total`.
      total: how many there are.
      metrics: figures to show beside the count, e.g. {"loss": 0.31}.
    """

    task: str
    done: int
    total: int
    metrics: dict[str, float]


def report(task: str, done: int, total: int, **metrics: float) -> None:
    """Logs that `done` of `total` of `task` are done, with `metrics` to show beside."""
    figures = "".join(f", {name} {value:.3f}" for name, value in metrics.items())
    logger.info(
        "%s %d/%d%s",
        task,
        done,
        total,
        figures,
        extra={"progress": Progress(task, done, total, metrics)},
    )


def note(text: str) -> None:
    """Logs what a person should read of a stage, a sentence; the record has it as `note`."""
    logger.info("%s", text, extra={"note": text})


class RunCounts:
    """How much of each run's work is done in this process, over all the threads of its workers.

    For Beam's DoFns: they reach the module's one instance, `counts`, wherever they run.
    """

    def __init__(self) -> None:
        """Starts with no run."""
        self._lock = threading.Lock()
        self._done: Counter[str] = Counter()
        self._next_report: dict[str, float] = {}

    def add(self, run: str, task: str, done: int, total: int) -> None:
        """Counts `done` more of `run`; reports every REPORT_SEC, and at the end."""
        with self._lock:  # the report too: counts are to be seen in their order
            self._done[run] += done
            now = time.monotonic()
            if self._done[run] >= total or now >= self._next_report.get(run, 0):
                self._next_report[run] = now + REPORT_SEC
                # A retried bundle counts its work again.
                report(task, min(self._done[run], total), total)

    def forget(self, run: str) -> None:
        """Ends `run`."""
        with self._lock:
            del self._done[run]
            self._next_report.pop(run, None)


counts = RunCounts()
