"""Nearest neighbors by cosine: exact, or in a large library by an index."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import faiss
import numpy as np

#: How far a float32 score of FAISS may lie from the exact one. Candidates are found by FAISS and
#: scored again in float64, where equal vectors have equal scores.
_NOISE, _NOISE_PER_DIM = 1e-5, 2.0**-24
#: Candidates beyond those that are needed, among which ties at the last place are told apart.
_SPARE = 2
#: Queries that are scored again together: what they gather fits into a processor's cache.
_ROWS_AT_ONCE = 64
#: Queries times candidates that are found together, to bound memory: some 200 MB.
_PAIRS_AT_ONCE = 1 << 22
#: How many candidates an index is asked for at most.
_MAX_CANDIDATES = 1 << 12


class NeighborOptions(NamedTuple):
    """Which neighbors are wanted.

    Attributes:
      k: how many, at most.
      min_score: the lowest cosine; None for any.
      exclude_group: whether those of the query's own group are left out.
      one_per_group: whether of any group the nearest alone is kept. Clips whose group is empty
        are each a group of their own.
    """

    k: int
    min_score: float | None = None
    exclude_group: bool = False
    one_per_group: bool = False


class Neighbors(NamedTuple):
    """Neighbors of some queries, a row each: by query as they were asked, then by rank.

    Attributes:
      queries, neighbors: int64 [m], rows of the vectors; never the query itself.
      ranks: int32 [m], from 1 for each query.
      scores: float32 [m], cosines, never rising with the rank.
    """

    queries: np.ndarray
    neighbors: np.ndarray
    ranks: np.ndarray
    scores: np.ndarray


class CellIndex(NamedTuple):
    """Vectors in cells, and where the neighbors of a cell's vectors are looked for.

    Attributes:
      cell_of: int [n], each vector's cell.
      nearest_cells: int [c, p], for each cell those that are searched, itself among them.
    """

    cell_of: np.ndarray
    nearest_cells: np.ndarray


class Searcher:
    """Finds neighbors among all vectors.

    Without an index, what it finds for a query depends on no other query.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        ids: Sequence[str],
        groups: Sequence[str],
        options: NeighborOptions,
        index: CellIndex | None = None,
    ):
        """Checks the vectors.

        Args:
          vectors: float32 [n, d], of unit norm.
          ids: [n], each once; of equally near vectors, those of the first ids come first.
          groups: [n], the source video of each; "" for none.
          options: which neighbors are wanted.
          index: of the vectors; None for exact search.

        Raises:
          ValueError: no vectors, shapes that do not fit, ids that are not unique, norms other
            than 1, or options out of bounds.
        """
        _check(vectors, ids, groups, options)
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        self._options = options
        self._index = index
        self._row_of_place = np.argsort(np.array(ids))
        self._place_of_id = np.argsort(self._row_of_place)
        self._group = _group_numbers(groups)
        self._noise = max(_NOISE, vectors.shape[1] * _NOISE_PER_DIM)
        self._members = _members(index) if index else [np.arange(len(ids))]
        self._limit = len(ids) if index is None else min(len(ids), _MAX_CANDIDATES)
        self._num_attainable = self._attainable()

    @property
    def order(self) -> np.ndarray:
        """All rows, int64 [n], those together that are best searched together."""
        return np.concatenate(self._members)

    def search(self, rows: np.ndarray) -> Neighbors:
        """Returns the neighbors of the vectors of these rows, int64 [q]."""
        k = self._options.k
        found = np.full((len(rows), k), -1, np.int64)
        scores = np.zeros((len(rows), k), np.float32)
        pending, candidates = np.arange(len(rows)), self._first_guess()
        if self._index:
            pending = np.argsort(self._index.cell_of[rows], kind="stable")
        while len(pending):
            candidates = min(candidates, self._limit)
            unsettled = []
            for part in np.array_split(pending, -(-len(pending) * candidates // _PAIRS_AT_ONCE)):
                settled, best, best_scores = self._find(rows[part], candidates)
                width = best.shape[1]
                found[part[settled], :width] = best[settled]
                scores[part[settled], :width] = best_scores[settled]
                unsettled.append(part[~settled])
            pending = np.concatenate(unsettled)
            candidates *= 2
        query, place = np.nonzero(found >= 0)
        return Neighbors(
            np.asarray(rows)[query],
            found[query, place],
            (place + 1).astype(np.int32),
            scores[query, place],
        )

    def _find(self, rows: np.ndarray, candidates: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ranks so many candidates of each row.

        Returns:
          bool [q], whether more candidates could not change a row; int64 [q, k] and float32
          [q, k], the best candidates and their scores, -1 where there are no more.
        """
        if self._index is None:
            rough, found = faiss.knn(
                self._vectors[rows], self._vectors, candidates, metric=faiss.METRIC_INNER_PRODUCT
            )
        else:
            rough, found = self._search_cells(self._index, rows, candidates)
        exhausted = (found < 0).any(axis=1)  # an index has no more in its cells
        found, scores = self._ranked(found, self._score(rows, found))
        wanted = self._wanted(rows, found, scores)
        # Stable: what is wanted comes first, in its order.
        kept = np.argsort(~wanted, axis=1, kind="stable")[:, : self._options.k]
        best = np.where(
            np.take_along_axis(wanted, kept, axis=1), np.take_along_axis(found, kept, axis=1), -1
        )
        scores = np.take_along_axis(scores, kept, axis=1)
        # What was not seen scores no more than the last candidate.
        unseen = rough.min(axis=1) + self._noise
        settled = wanted.sum(axis=1) >= self._num_attainable[rows]
        if best.shape[1] == self._options.k:
            settled |= (best[:, -1] >= 0) & (scores[:, -1] > unseen)
        if self._options.min_score is not None:
            settled |= unseen < self._options.min_score
        return settled | exhausted | (candidates >= self._limit), best, scores

    def _first_guess(self) -> int:
        """Returns how many candidates are enough for most queries."""
        sizes = np.bincount(self._group)[self._group]
        candidates = self._options.k + _SPARE
        if self._options.one_per_group:
            candidates = int(self._options.k * np.median(sizes)) + _SPARE
        return candidates + (int(np.percentile(sizes, 90)) if self._options.exclude_group else 1)

    def _attainable(self) -> np.ndarray:
        """Returns int64 [n]: how many neighbors each would have if k and score did not matter."""
        sizes = np.bincount(self._group)
        own = sizes[self._group]
        if self._options.one_per_group:
            alone = (own == 1) | self._options.exclude_group
            return len(sizes) - alone.astype(np.int64)
        return len(own) - (own if self._options.exclude_group else np.ones_like(own))

    def _search_cells(
        self, index: CellIndex, rows: np.ndarray, candidates: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns scores and rows of candidates as FAISS does, -1 where the cells have no more."""
        scores = np.full((len(rows), candidates), -2, np.float32)
        found = np.full((len(rows), candidates), -1, np.int64)
        cells = index.cell_of[rows]
        for cell in np.unique(cells):
            own = np.flatnonzero(cells == cell)
            others = np.concatenate([self._members[near] for near in index.nearest_cells[cell]])
            width = min(candidates, len(others))
            scores[own, :width], local = faiss.knn(
                self._vectors[rows[own]],
                self._vectors[others],
                width,
                metric=faiss.METRIC_INNER_PRODUCT,
            )
            found[own, :width] = others[local]
        return scores, found

    def _score(self, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Returns float32 [q, c], the cosines; -2 for candidates that an index did not find."""
        scores = np.empty(found.shape, np.float32)

        def score(start: int) -> None:
            part = slice(start, start + _ROWS_AT_ONCE)
            # einsum adds up every pair alike, so that equal vectors tie.
            exact = np.einsum(
                "nd,ncd->nc",
                self._vectors[rows[part]].astype(np.float64),
                self._vectors[found[part]].astype(np.float64),
            )
            scores[part] = np.clip(exact, -1, 1)

        with ThreadPoolExecutor(faiss.omp_get_max_threads()) as threads:  # as FAISS itself
            list(threads.map(score, range(0, len(rows), _ROWS_AT_ONCE)))
        scores[found < 0] = -2
        return scores

    def _ranked(self, found: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sorts each row's candidates and their scores: the highest score, then the first id."""
        # As one integer each: a float's bits, but for the sign, rise with it.
        bits = (scores + np.float32(0)).view(np.int32)
        rising = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)
        keys = np.sort((-rising << 32) | self._place_of_id[found], axis=1)
        rising = (-(keys >> 32)).astype(np.int32)
        scores = np.where(rising < 0, rising ^ 0x7FFFFFFF, rising).view(np.float32)
        return np.where(scores < -1, -1, self._row_of_place[keys & 0xFFFFFFFF]), scores

    def _wanted(self, rows: np.ndarray, found: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Tells which candidates, bool [q, c], sorted by score, may be neighbors."""
        wanted = (found != rows[:, np.newaxis]) & (found >= 0)
        if self._options.min_score is not None:
            wanted &= scores >= np.float32(self._options.min_score)
        group = self._group[found]
        if self._options.exclude_group:
            wanted &= group != self._group[rows, np.newaxis]
        if self._options.one_per_group:
            # Of equal groups among what is wanted, the first: sorted by group, stably.
            group = np.where(wanted, group, -1)
            order = np.argsort(group, axis=1, kind="stable")
            ordered = np.take_along_axis(group, order, axis=1)
            again = np.zeros_like(wanted)
            np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
            wanted &= ~again
        return wanted


def _check(
    vectors: np.ndarray, ids: Sequence[str], groups: Sequence[str], options: NeighborOptions
) -> None:
    count = len(ids)
    if vectors.ndim != 2 or len(vectors) != count:
        raise ValueError(f"vectors: expected shape ({count}, d); got {vectors.shape}")
    if not count:
        raise ValueError("vectors: expected at least one; got none")
    if len(set(ids)) != count:
        raise ValueError(f"ids: expected each once; got {count - len(set(ids))} again")
    if len(groups) != count:
        raise ValueError(f"groups: expected {count}; got {len(groups)}")
    if options.k < 1:
        raise ValueError(f"k: expected 1 or more; got {options.k}")
    if options.min_score is not None and not -1 <= options.min_score <= 1:
        raise ValueError(f"min_score: expected -1 to 1; got {options.min_score}")
    norms = np.linalg.norm(vectors, axis=1)
    if not np.allclose(norms, 1, atol=1e-4):
        worst = np.abs(norms - 1).argmax()
        raise ValueError(f"vectors: expected unit norm; got {norms[worst]} for {ids[worst]}")


def _members(index: CellIndex) -> list[np.ndarray]:
    """Returns the rows of each cell."""
    order = np.argsort(index.cell_of, kind="stable")
    sizes = np.bincount(index.cell_of, minlength=len(index.nearest_cells))
    return np.split(order, np.cumsum(sizes)[:-1])


def _group_numbers(groups: Sequence[str]) -> np.ndarray:
    """Returns int64 [n]: equal for equal groups, and for no two clips without one."""
    names = [group or (place,) for place, group in enumerate(groups)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names])
