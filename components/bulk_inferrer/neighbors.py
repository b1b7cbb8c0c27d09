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
#: Numbers that a block of queries may gather to be scored again, to bound memory: 256 MB.
_BLOCK_SIZE = 1 << 25


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
      ValueError: no vectors, shapes that do not fit, ids that are not unique, or norms other
        than 1.
    """
    _check(vectors, ids, k)
    count, dim = vectors.shape
    k = min(k, count - 1)
    vectors = np.ascontiguousarray(vectors, np.float32)
    order_of_id = np.argsort(np.argsort(np.array(ids)))
    result = Neighbors(np.empty((count, k), np.int64), np.empty((count, k), np.float32))
    pending = np.arange(count)
    candidates = min(k + 1 + _SPARE, count)
    while len(pending):
        unsettled = []
        for rows in np.array_split(pending, -(-len(pending) * candidates * dim // _BLOCK_SIZE)):
            scores, found = faiss.knn(
                vectors[rows], vectors, candidates, metric=faiss.METRIC_INNER_PRODUCT
            )
            # The last candidate must be worse than the k-th other, or a tie may go on beyond it.
            settled = (scores[:, -1] < scores[:, k] - _NOISE) | (candidates == count)
            ranked = _rank(vectors, rows[settled], found[settled], order_of_id, k)
            result.indices[rows[settled]], result.scores[rows[settled]] = ranked
            unsettled.append(rows[~settled])
        pending = np.concatenate(unsettled)
        candidates = min(2 * candidates, count)
    return result


def _check(vectors: np.ndarray, ids: Sequence[str], k: int) -> None:
    count = len(ids)
    if vectors.ndim != 2 or len(vectors) != count:
        raise ValueError(f"vectors: expected shape ({count}, d); got {vectors.shape}")
    if not count:
        raise ValueError("vectors: expected at least one; got none")
    if len(set(ids)) != count:
        raise ValueError(f"ids: expected each once; got {count - len(set(ids))} again")
    if k < 1:
        raise ValueError(f"k: expected 1 or more; got {k}")
    norms = np.linalg.norm(vectors, axis=1)
    if not np.allclose(norms, 1, atol=1e-4):
        worst = np.abs(norms - 1).argmax()
        raise ValueError(f"vectors: expected unit norm; got {norms[worst]} for {ids[worst]}")


def _rank(
    vectors: np.ndarray, rows: np.ndarray, candidates: np.ndarray, order_of_id: np.ndarray, k: int
) -> Neighbors:
    """Ranks the candidates, int64 [r, c], of `rows`, int64 [r]; drops the row itself; keeps k."""
    # einsum adds up every pair alike, so that equal vectors tie.
    exact = np.einsum(
        "nd,ncd->nc", vectors[rows].astype(np.float64), vectors[candidates].astype(np.float64)
    )
    scores = np.clip(exact, -1, 1).astype(np.float32)
    itself = candidates == rows[:, np.newaxis]
    order = np.lexsort((order_of_id[candidates], -scores, itself), axis=1)[:, :k]
    return Neighbors(
        np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
    )
