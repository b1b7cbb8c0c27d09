"""Candidate and champion on the same queries, clip by clip."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from components.retrieval_evaluator import bootstrap


class Comparison(NamedTuple):
    """What changes from the champion to the candidate.

    Attributes:
      won: ids of the queries that the candidate alone answers right at rank 1.
      lost: of those that the champion alone does.
      won_per_class, lost_per_class: how many of them each class has; a class may be missing.
      difference: the candidate's recall@1 less the champion's.
      interval: of the difference; None where there are too few groups.
    """

    won: tuple[str, ...]
    lost: tuple[str, ...]
    won_per_class: dict[str, int]
    lost_per_class: dict[str, int]
    difference: float
    interval: bootstrap.Interval | None

    def as_dict(self) -> dict[str, Any]:
        """Returns the comparison under the names of the report, ready for JSON."""
        return {
            "won": list(self.won),
            "lost": list(self.lost),
            "recall_at_1_difference": self.difference,
            "interval": None if self.interval is None else list(self.interval),
        }


def compare(
    candidate_right: np.ndarray,
    champion_right: np.ndarray,
    *,
    query_ids: Sequence[str],
    query_classes: Sequence[str],
    groups: Sequence[str],
) -> Comparison:
    """Compares two models on the same queries.

    The interval is that of the paired difference: each resample draws the same groups for both.

    Args:
      candidate_right: bool [q], whether the candidate's first neighbor is of the query's class.
      champion_right: bool [q], the champion's.
      query_ids, query_classes, groups: [q].

    Raises:
      ValueError: lengths differ.
    """
    expected = (len(query_ids),)
    for name, right in (("candidate_right", candidate_right), ("champion_right", champion_right)):
        if right.shape != expected:
            raise ValueError(f"{name}: expected shape {expected}; got {right.shape}")
    won = np.flatnonzero(candidate_right & ~champion_right).tolist()
    lost = np.flatnonzero(champion_right & ~candidate_right).tolist()
    change = candidate_right.astype(np.float64) - champion_right
    intervals = bootstrap.confidence_intervals(change[:, np.newaxis], groups)
    return Comparison(
        won=tuple(query_ids[row] for row in won),
        lost=tuple(query_ids[row] for row in lost),
        won_per_class=dict(Counter(query_classes[row] for row in won)),
        lost_per_class=dict(Counter(query_classes[row] for row in lost)),
        difference=float(change.mean()),
        interval=None if intervals is None else intervals[0],
    )
