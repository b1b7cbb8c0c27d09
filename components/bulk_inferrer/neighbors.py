"""Exact nearest neighbors by cosine."""

from collections.abc import Sequence
from typing import NamedTuple

import faiss
import numpy as np

#: How far a float32 score of FAISS may lie from the exact one. Candidates are found by FAISS and
#: scored again in float64, where equal vectors have equal scores.
_NOISE = 1e-5
#: Candidates beyond k, among which ties at the k-th place are told apart.
_SPARE = 16
#: Queries that are scored again at a time, to bound memory.
_BLOCK = 1024


class Neighbors(NamedTuple):
    """The k nearest of each of n vectors.

    Attributes:
      indices: int64 [n, k], rows of the vectors, nearest first; never the row itself.
      scores: float32 [n, k], cosines, never rising along a row.
    """

    indices: np.ndarray
    scores: np.ndarray


def nearest_neighbors(vectors: np.ndarray, ids: Sequence[str], k: int) -> Neighbors:
    """Finds each vector's nearest others.

    Args:
      vectors: float32 [n, d], of unit norm.
      ids: [n], each once; of equally near vectors, those of the first ids come first.
      k: how many neighbors; n - 1 where there are no more.

    Returns:
      Neighbors of shape [n, min(k, n - 1)].

    Raises:
      ValueError: shapes do not fit, ids are not unique, or norms are not 1.
    """
    count = len(ids)
    if vectors.ndim != 2 or len(vectors) != count:
        raise ValueError(f"vectors: expected shape ({count}, d); got {vectors.shape}")
    if len(set(ids)) != count:
        raise ValueError(f"ids: expected each once; got {count - len(set(ids))} again")
    if k < 1:
        raise ValueError(f"k: expected 1 or more; got {k}")
    norms = np.linalg.norm(vectors, axis=1)
    if not np.allclose(norms, 1, atol=1e-4):
        worst = np.abs(norms - 1).argmax()
        raise ValueError(f"vectors: expected unit norm; got {norms[worst]} for {ids[worst]}")
    k = min(k, count - 1)
    vectors = np.ascontiguousarray(vectors, np.float32)
    order_of_id = np.argsort(np.argsort(np.array(ids)))
    candidates = min(k + 1 + _SPARE, count)
    while True:
        scores, indices = faiss.knn(vectors, vectors, candidates, metric=faiss.METRIC_INNER_PRODUCT)
        # The last candidate must be worse than the k-th other, or a tie may go on beyond it.
        if candidates == count or (scores[:, -1] < scores[:, k] - _NOISE).all():
            break
        candidates = min(2 * candidates, count)
    blocks = [
        _rank(vectors, indices[start : start + _BLOCK], start, order_of_id, k)
        for start in range(0, count, _BLOCK)
    ]
    return Neighbors(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _rank(
    vectors: np.ndarray, candidates: np.ndarray, start: int, order_of_id: np.ndarray, k: int
) -> Neighbors:
    """Ranks the candidates of the rows from `start` on; drops each row itself; keeps k."""
    rows = np.arange(start, start + len(candidates))
    exact = np.einsum(
        "nd,ncd->nc", vectors[rows].astype(np.float64), vectors[candidates].astype(np.float64)
    )
    scores = np.clip(exact, -1, 1).astype(np.float32)
    itself = candidates == rows[:, np.newaxis]
    order = np.lexsort((order_of_id[candidates], -scores, itself), axis=1)[:, :k]
    return Neighbors(
        np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
    )
