"""Progress as log records: stages report, whoever listens (a console, a log file) shows.

A stage knows nothing of terminals. `report` logs a plain line; the record also carries the
`Progress` itself as its attribute `progress`, for handlers that draw bars.
"""

import logging
from typing import NamedTuple

logger = logging.getLogger("clip_recommender.progress")


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
