"""Retrieval metrics by the protocol that UCF101 results are published by.

Queries are the clips of the test split, the gallery those of the train split; clips are ranked by
the cosine of their embeddings, and a gallery clip is relevant if it shares the query's class.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: Depth of the mean average precision.
MAP_DEPTH = 10
#: Queries that are ranked at a time, to bound memory.
_BLOCK = 1024


class RetrievalMetrics(NamedTuple):
    """How well queries find their class in the gallery.

    Attributes:
      num_queries: how many queries there are.
      num_gallery: how many clips the gallery has.
      recall: by k, the share of queries with a clip of their class among the first k.
      mean_average_precision: mAP@10.
      recall_at_1_per_class: recall@1 of each class's queries.
    """

    num_queries: int
    num_gallery: int
    recall: dict[int, float]
    mean_average_precision: float
    recall_at_1_per_class: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Returns the metrics under the names that reports and manifests use, ready for JSON."""
        return {
            "num_queries": self.num_queries,
            "num_gallery": self.num_gallery,
            "recall": {str(k): value for k, value in self.recall.items()},
            f"map_at_{MAP_DEPTH}": self.mean_average_precision,
            "recall_at_1_per_class": self.recall_at_1_per_class,
        }


def evaluate_retrieval(
    queries: np.ndarray,
    query_classes: Sequence[str],
    gallery: np.ndarray,
    gallery_classes: Sequence[str],
    *,
    recall_ranks: Sequence[int],
) -> RetrievalMetrics:
    """Measures retrieval.

    Args:
      queries: float32 [q, d], of unit norm.
      query_classes: [q].
      gallery: float32 [g, d], of unit norm.
      gallery_classes: [g].
      recall_ranks: the k of each recall@k.

    Returns:
      The metrics. A query whose class the gallery lacks is a miss at every k. Of equal scores,
      the clip that comes first in the gallery comes first.

    Raises:
      ValueError: no queries, no gallery, or shapes that do not fit.
    """
    if not len(queries) or not len(gallery):
        raise ValueError(f"expected queries and a gallery; got {len(queries)} and {len(gallery)}")
    if queries.shape != (len(query_classes), gallery.shape[1]):
        raise ValueError(
            f"queries: expected shape {(len(query_classes), gallery.shape[1])}; got {queries.shape}"
        )
    if len(gallery) != len(gallery_classes):
        raise ValueError(f"gallery_classes: expected {len(gallery)}; got {len(gallery_classes)}")
    classes, labels = np.unique([*query_classes, *gallery_classes], return_inverse=True)
    query_labels, gallery_labels = np.split(labels, [len(query_classes)])
    depth = min(max(MAP_DEPTH, *recall_ranks), len(gallery))
    hits = np.concatenate(
        [
            gallery_labels[_ranked(queries[start : start + _BLOCK], gallery, depth)]
            == query_labels[start : start + _BLOCK, np.newaxis]
            for start in range(0, len(queries), _BLOCK)
        ]
    )
    num_relevant = np.bincount(gallery_labels, minlength=len(classes))[query_labels]
    return RetrievalMetrics(
        num_queries=len(queries),
        num_gallery=len(gallery),
        recall={k: float(hits[:, :k].any(axis=1).mean()) for k in recall_ranks},
        mean_average_precision=float(average_precision(hits[:, :MAP_DEPTH], num_relevant).mean()),
        recall_at_1_per_class={
            str(classes[label]): float(hits[query_labels == label, 0].mean())
            for label in np.unique(query_labels)
        },
    )


def average_precision(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Returns each query's average precision at k.

    The precisions at the ranks of the relevant clips, summed and divided by how many of the first
    k could be relevant: AP@k as in Weyand et al., Google Landmarks Dataset v2 (CVPR 2020).

    Args:
      hits: bool [q, k], whether the clip at a rank is relevant.
      num_relevant: int [q], relevant clips in the whole gallery.

    Returns:
      float64 [q] in [0, 1]; 0 where nothing is relevant.
    """
    ranks = np.arange(1, hits.shape[1] + 1)
    precision = np.cumsum(hits, axis=1) / ranks
    attainable = np.minimum(num_relevant, hits.shape[1])
    return (precision * hits).sum(axis=1) / np.maximum(attainable, 1)


def _ranked(queries: np.ndarray, gallery: np.ndarray, depth: int) -> np.ndarray:
    """Returns int [q, depth], the gallery's rows by falling score."""
    # einsum adds up every pair alike, so that equal vectors tie; a BLAS product does not.
    scores = np.einsum("qd,gd->qg", queries.astype(np.float64), gallery.astype(np.float64))
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth]
