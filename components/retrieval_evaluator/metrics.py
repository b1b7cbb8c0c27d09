"""Retrieval metrics by the protocol that UCF101 results are published by.

Queries are the clips of the test split, the gallery those of the training list (the splits train
and eval, which is cut from it); clips are ranked by the cosine of their embeddings, and a gallery
clip is relevant if it shares the query's class.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: Ranks at which recall is measured, those of published tables.
RECALL_RANKS = (1, 5, 10, 20, 50)
#: Depth of the mean average precision.
MAP_DEPTH = 10
#: Queries that are ranked at a time, to bound memory.
_BLOCK = 256


class QueryResults(NamedTuple):
    """What each query found.

    Attributes:
      right: bool [q], whether the first neighbor is of the query's class.
      recalled: bool [q, r], whether a clip of the query's class is among the first k, for each of
        the r recall ranks.
      average_precision: float64 [q], AP@10.
      first_rows: int64 [q], the first neighbor's row in the gallery.
      first_scores: float64 [q], its cosine.
    """

    right: np.ndarray
    recalled: np.ndarray
    average_precision: np.ndarray
    first_rows: np.ndarray
    first_scores: np.ndarray


class RetrievalMetrics(NamedTuple):
    """How well queries find their class in the gallery.

    Attributes:
      num_queries: how many queries there are.
      num_gallery: how many clips the gallery has.
      recall: by k, the share of queries with a clip of their class among the first k.
      mean_average_precision: mAP@10.
      recall_at_1_per_class: recall@1 of each class's queries.
      num_queries_per_class: how many queries each class has.
      per_query: what the figures are made of.
    """

    num_queries: int
    num_gallery: int
    recall: dict[int, float]
    mean_average_precision: float
    recall_at_1_per_class: dict[str, float]
    num_queries_per_class: dict[str, int]
    per_query: QueryResults

    def as_dict(self) -> dict[str, Any]:
        """Returns the metrics under the names that reports and manifests use, ready for JSON."""
        return {
            "num_queries": self.num_queries,
            "num_gallery": self.num_gallery,
            "recall": {str(k): value for k, value in self.recall.items()},
            f"map_at_{MAP_DEPTH}": self.mean_average_precision,
            "recall_at_1_per_class": self.recall_at_1_per_class,
            "num_queries_per_class": self.num_queries_per_class,
        }


def evaluate_retrieval(
    queries: np.ndarray,
    query_classes: Sequence[str],
    gallery: np.ndarray,
    gallery_classes: Sequence[str],
    *,
    recall_ranks: Sequence[int] = RECALL_RANKS,
) -> RetrievalMetrics:
    """Measures retrieval.

    Args:
      queries: float32 [q, d], of unit norm.
      query_classes: [q].
      gallery: float32 [g, d], of unit norm.
      gallery_classes: [g].
      recall_ranks: the k of each recall@k, from 1; one beyond g counts the whole gallery.

    Returns:
      The metrics. A query whose class the gallery lacks is a miss at every k. Of equal scores,
      the clip that comes first in the gallery comes first.

    Raises:
      ValueError: no queries, no gallery, or shapes that do not fit.
    """
    _check(queries, query_classes, gallery, gallery_classes)
    classes, labels = np.unique([*query_classes, *gallery_classes], return_inverse=True)
    query_labels, gallery_labels = np.split(labels, [len(query_classes)])
    depth = min(max(MAP_DEPTH, *recall_ranks), len(gallery))
    rows, first_scores = rank_gallery(queries, gallery, depth)
    hits = gallery_labels[rows] == query_labels[:, np.newaxis]
    num_relevant = np.bincount(gallery_labels, minlength=len(classes))[query_labels]
    results = QueryResults(
        right=hits[:, 0],
        recalled=np.stack([hits[:, :k].any(axis=1) for k in recall_ranks], axis=1),
        average_precision=average_precision(hits[:, :MAP_DEPTH], num_relevant),
        first_rows=rows[:, 0],
        first_scores=first_scores,
    )
    members = {str(classes[label]): query_labels == label for label in np.unique(query_labels)}
    return RetrievalMetrics(
        num_queries=len(queries),
        num_gallery=len(gallery),
        recall=dict(zip(recall_ranks, results.recalled.mean(axis=0).tolist(), strict=True)),
        mean_average_precision=float(results.average_precision.mean()),
        recall_at_1_per_class={
            name: float(results.right[own].mean()) for name, own in members.items()
        },
        num_queries_per_class={name: int(own.sum()) for name, own in members.items()},
        per_query=results,
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


def rank_gallery(
    queries: np.ndarray, gallery: np.ndarray, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks the gallery for each query by the exact product, of equal ones the first row first.

    Args:
      queries: float [q, d].
      gallery: float [g, d].
      depth: how many rows are wanted, 1 to g.

    Returns:
      int64 [q, depth], rows of the gallery, and float64 [q], the first one's score.
    """
    queries, gallery = queries.astype(np.float64), gallery.astype(np.float64)
    ranked = np.empty((len(queries), depth), np.int64)
    first_scores = np.empty(len(queries))
    for start in range(0, len(queries), _BLOCK):
        # einsum adds up every pair alike, so that equal vectors tie; a BLAS product does not.
        scores = np.einsum("qd,gd->qg", queries[start : start + _BLOCK], gallery)
        last_wanted = np.partition(scores, -depth, axis=1)[:, -depth]
        for row, (own, lowest) in enumerate(zip(scores, last_wanted, strict=True), start):
            candidates = np.flatnonzero(own >= lowest)  # all that tie with the last one too
            order = np.argsort(-own[candidates], kind="stable")[:depth]
            ranked[row] = candidates[order]
            first_scores[row] = own[ranked[row, 0]]
    return ranked, first_scores


def _check(
    queries: np.ndarray,
    query_classes: Sequence[str],
    gallery: np.ndarray,
    gallery_classes: Sequence[str],
) -> None:
    if not len(queries) or not len(gallery):
        raise ValueError(f"expected queries and a gallery; got {len(queries)} and {len(gallery)}")
    if queries.shape != (len(query_classes), gallery.shape[1]):
        raise ValueError(
            f"queries: expected shape {(len(query_classes), gallery.shape[1])}; got {queries.shape}"
        )
    if len(gallery) != len(gallery_classes):
        raise ValueError(f"gallery_classes: expected {len(gallery)}; got {len(gallery_classes)}")
