"""The index for libraries in which exact search takes too long, and how much it finds.

An inverted file (Sivic and Zisserman, Video Google, ICCV 2003): k-means divides the vectors into
cells, and the vectors of a cell are searched among those of the cells that are nearest to it. All
queries of a cell go together, as one matrix product; so this is several times faster than FAISS's
IndexIVFFlat, which goes query by query. Unlike HNSW it is built the same way every time.
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

import faiss
import numpy as np

from components import filesystems
from components.bulk_inferrer.neighbors import CellIndex, NeighborOptions, Searcher

#: Of the vectors that k-means learns from and of the queries by which recall is measured.
_SEED = 0
_VECTORS_PER_CELL = 50
_MIN_VECTORS_PER_CELL = 39  # with fewer, FAISS warns that k-means learns too little
_ROUNDS = 6
_SAMPLE = 1000
#: At most one of so many cells is searched; with more, the index would not be worth its while.
_MAX_SHARE = 20


class RecallError(ValueError):
    """The index finds too few of the true neighbors."""


class MadeIndex(NamedTuple):
    """An index, and the recall that was measured: the share of the true neighbors that it finds."""

    cells: CellIndex
    recall: float


def make_index(
    vectors: np.ndarray,
    ids: Sequence[str],
    groups: Sequence[str],
    options: NeighborOptions,
    min_recall: float,
) -> MadeIndex:
    """Builds an index and makes it look as far as it must.

    Args:
      vectors, ids, groups, options: as of `Searcher`.
      min_recall: share of the true neighbors that the index must find, on a fixed sample of the
        queries.

    Raises:
      RecallError: it is not reached with a twentieth of the cells; with more, the index would be
        hardly faster than exact search.
    """
    count = len(vectors)
    sample = np.random.default_rng(_SEED).choice(count, min(count, _SAMPLE), replace=False)
    truth = Searcher(vectors, ids, groups, options).search(np.sort(sample))
    cell_of, nearest_cells = _cells(vectors)
    if not len(truth.queries):
        return MadeIndex(CellIndex(cell_of, nearest_cells[:, :1]), 1.0)
    # Cells are searched exactly: a neighbor is found if, and only if, its cell is searched.
    searched = nearest_cells[cell_of[truth.queries]] == cell_of[truth.neighbors, np.newaxis]
    recall = searched.mean(axis=0).cumsum()
    if recall[-1] < min_recall:
        raise RecallError(
            f"min_index_recall: expected {min_recall} or more; the index found {recall[-1]:.4f} of "
            f"the neighbors in {len(recall)} of {len(nearest_cells)} cells: lower it, or raise "
            "exact_limit"
        )
    probes = int(np.argmax(recall >= min_recall)) + 1
    return MadeIndex(CellIndex(cell_of, nearest_cells[:, :probes]), float(recall[probes - 1]))


def _cells(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each vector's cell, int64 [n], and for each cell those that may be searched.

    These are int64 [c, p], the nearest first, which is the cell itself.
    """
    count, dim = vectors.shape
    num_cells = int(2 ** np.round(np.log2(2 * np.sqrt(count))))
    num_cells = max(1, min(num_cells, count // _MIN_VECTORS_PER_CELL))
    kmeans = faiss.Kmeans(
        dim,
        num_cells,
        niter=_ROUNDS,
        seed=_SEED,
        spherical=True,
        max_points_per_centroid=_VECTORS_PER_CELL,
    )
    kmeans.train(vectors)
    _, cell_of = kmeans.index.search(vectors, 1)
    _, nearest = kmeans.index.search(kmeans.centroids, -(-num_cells // _MAX_SHARE))
    return cell_of[:, 0], nearest


def write_index(index: CellIndex, path: str) -> None:
    """Writes an index to a file, of this machine or in a bucket."""
    with filesystems.open_output(path) as file:
        np.savez(file, cell_of=index.cell_of, nearest_cells=index.nearest_cells)


def read_index(path: str) -> CellIndex:
    """Reads what `write_index` wrote."""
    with filesystems.open_input(path) as file:
        content = io.BytesIO(file.read())  # Arrow cannot seek to a file's end in gs://
    with np.load(content) as arrays:
        return CellIndex(arrays["cell_of"], arrays["nearest_cells"])
