"""Confidence intervals by the cluster bootstrap: whole groups of queries are drawn anew.

Clips of a group are cut from one video, so they are right or wrong together, and drawing clips
one by one would make the intervals too narrow. Drawing the groups with replacement, each with all
of its clips, is the randomized cluster bootstrap of Field and Welsh, Bootstrapping clustered data
(Journal of the Royal Statistical Society B 69, 2007).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from components.retrieval_evaluator.metrics import MAP_DEPTH, RetrievalMetrics

#: The share of intervals that hold the true value.
LEVEL = 0.95
NUM_RESAMPLES = 1000
#: Fixed, so that one run's figures can be compared with another's.
_SEED = 0


class Interval(NamedTuple):
    """Between `low` and `high` lies the value, with a confidence of `LEVEL`."""

    low: float
    high: float


def draw_groups(num_groups: int, num_resamples: int = NUM_RESAMPLES) -> np.ndarray:
    """Draws `num_groups` groups with replacement, again and again.

    Returns:
      int64 [num_resamples, num_groups], how often each group was drawn; the same at every call.
    """
    shares = np.full(num_groups, 1 / num_groups)
    return np.random.default_rng(_SEED).multinomial(num_groups, shares, size=num_resamples)


def confidence_intervals(values: np.ndarray, groups: Sequence[str]) -> list[Interval] | None:
    """Bounds the means of `values`, by the percentiles of the resampled means.

    Args:
      values: bool or float [q, m], m figures of each query.
      groups: [q], the source video of each query.

    Returns:
      m intervals; None where there are fewer than two groups, for they cannot be drawn anew.

    Raises:
      ValueError: `values` has not one row for each group.
    """
    if values.ndim != 2 or len(values) != len(groups):
        raise ValueError(f"values: expected shape ({len(groups)}, m); got {values.shape}")
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, group_of, values)
    sizes = np.bincount(group_of)
    draws = draw_groups(len(names))
    means = (draws @ sums) / (draws @ sizes)[:, np.newaxis]
    tail = (1 - LEVEL) / 2
    lows, highs = np.quantile(means, [tail, 1 - tail], axis=0)
    return [Interval(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]


def metric_intervals(metrics: RetrievalMetrics, groups: Sequence[str]) -> dict[str, Any] | None:
    """Bounds recall@k and mAP@10; None where there are fewer than two groups.

    Args:
      metrics: with what each query found.
      groups: [q], the source video of each query.

    Returns:
      `level`, `num_groups`, `recall` (by k, as strings) and `map_at_10`: [low, high] each, ready
      for JSON.
    """
    found = metrics.per_query
    values = np.column_stack([found.recalled, found.average_precision])
    intervals = confidence_intervals(values, groups)
    if intervals is None:
        return None
    *of_recall, of_map = ([interval.low, interval.high] for interval in intervals)
    return {
        "level": LEVEL,
        "num_groups": len(set(groups)),
        "recall": {str(k): bounds for k, bounds in zip(metrics.recall, of_recall, strict=True)},
        f"map_at_{MAP_DEPTH}": of_map,
    }
