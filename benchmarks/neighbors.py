"""How fast every vector's nearest others are found: this project's ways beside bare libraries.

Vectors are clustered as embeddings are. Every measurement runs in a process of its own, so that its
memory is its own, and the ways take turns. Where all queries would take too long, the exact ways
answer some of them and are scaled up; such figures have a ~.
"""

import argparse
import importlib
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
from measuring import in_a_process, memory_mb

from components.bulk_inferrer import index, neighbors
from pipeline import console

_CLUSTERS = 101
_GROUP_SIZE = 5
_MIN_RECALL = 0.99
#: Queries of which the true neighbors are known, and of which scaled figures are measured.
_SAMPLE = 1000
#: Vectors above which the exact ways answer a sample only.
_ALL_QUERIES = 100_000
_NUMPY_BLOCK = 256


class Figures(NamedTuple):
    """One measurement.

    Attributes:
      seconds: for all queries, scaled up where only some were asked.
      scaled: whether they were.
      peak_mb: the most that was resident; 10**6 bytes.
      recall: share of the sample's true neighbors that were found.
    """

    seconds: float
    scaled: bool
    peak_mb: float
    recall: float


def make_vectors(count: int, dim: int) -> np.ndarray:
    """Returns float32 [count, dim] of unit norm, in clusters."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(_CLUSTERS, dim)).astype(np.float32)
    vectors = 0.7 * centers[rng.integers(0, _CLUSTERS, count)]
    vectors += rng.normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def sample_of(count: int) -> np.ndarray:
    """Returns the rows by which recall is measured."""
    return np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)


def ours_exact(vectors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Answers as BulkInferrer does up to --exact-limit."""
    return _answers(_searcher(vectors, k), rows, k)


def ours_by_index(vectors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Answers as BulkInferrer does above it; the index is built, too."""
    ids, groups = _names(len(vectors))
    made = index.make_index(vectors, ids, groups, neighbors.NeighborOptions(k), _MIN_RECALL)
    return _answers(_searcher(vectors, k, made.cells), rows, k)


def bare_faiss(vectors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """One call; a vector finds itself first."""
    _, found = faiss.knn(vectors[rows], vectors, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    return found[:, 1:]


def numpy_blocks(vectors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Matrix products of blocks of queries, then argpartition."""
    found = np.empty((len(rows), k), np.int64)
    for start in range(0, len(rows), _NUMPY_BLOCK):
        block = rows[start : start + _NUMPY_BLOCK]
        scores = vectors[block] @ vectors.T
        scores[np.arange(len(block)), block] = -2
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        found[start : start + len(block)] = np.take_along_axis(best, order, axis=1)
    return found


def hnsw(vectors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """hnswlib, M 32, ef 80 to build and 256 to search; the graph is built, too."""
    hnswlib = importlib.import_module("hnswlib")

    graph = hnswlib.Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), M=32, ef_construction=80, random_seed=0)
    graph.add_items(vectors)
    graph.set_ef(256)
    found, _ = graph.knn_query(vectors[rows], k + 1)
    return found[:, 1:].astype(np.int64)


#: By name: what answers, whether exactly, and what must be installed.
WAYS: dict[str, tuple[Callable[[np.ndarray, np.ndarray, int], np.ndarray], bool, str]] = {
    "ours, exact": (ours_exact, True, "faiss"),
    "ours, by index": (ours_by_index, False, "faiss"),
    "faiss.knn": (bare_faiss, True, "faiss"),
    "NumPy blocks": (numpy_blocks, True, "numpy"),
    "hnswlib": (hnsw, False, "hnswlib"),
}
_BASELINE = "faiss.knn"


def _names(count: int) -> tuple[list[str], list[str]]:
    ids = [f"clip{i:08d}" for i in range(count)]
    return ids, [f"video{i // _GROUP_SIZE}" for i in range(count)]


def _searcher(
    vectors: np.ndarray, k: int, cells: neighbors.CellIndex | None = None
) -> neighbors.Searcher:
    ids, groups = _names(len(vectors))
    return neighbors.Searcher(vectors, ids, groups, neighbors.NeighborOptions(k), cells)


def _answers(searcher: neighbors.Searcher, rows: np.ndarray, k: int) -> np.ndarray:
    found = searcher.search(rows)
    return found.neighbors.reshape(len(rows), k)


def measure(way: str, count: int, dim: int, k: int) -> Figures | None:
    """Measures one way; None where an index finds too little. Call it in a process of its own."""
    answer, exact, _ = WAYS[way]
    vectors, sample = make_vectors(count, dim), sample_of(count)
    scaled = exact and count > _ALL_QUERIES
    rows = sample if scaled else np.arange(count)
    bare_faiss(vectors[:_SAMPLE], np.arange(min(count, _SAMPLE)), 1)  # starts the threads
    started = time.perf_counter()
    try:
        found = answer(vectors, rows, k)
    except index.RecallError:
        return None
    seconds = (time.perf_counter() - started) * (count / len(rows))
    peak_mb = memory_mb("VmHWM")
    truth = numpy_blocks(vectors, sample, k)
    of_sample = found if scaled else found[sample]
    hits = (of_sample[:, :, np.newaxis] == truth[:, np.newaxis]).sum()
    return Figures(seconds, scaled, peak_mb, float(hits / truth.size))


def main(argv: list[str] | None = None) -> None:
    """Measures and prints a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--size", action="append", type=int, metavar="N", help="repeatable; default: 10k, 100k, 1M"
    )
    parser.add_argument("--dim", type=int, default=128, metavar="N", help="default: %(default)s")
    parser.add_argument("--k", type=int, default=10, metavar="N", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="default: %(default)s")
    args = parser.parse_args(argv)
    sizes = args.size or [10_000, 100_000, 1_000_000]
    for name, value, least in (
        ("--size", min(sizes), 100),
        ("--dim", args.dim, 1),
        ("--k", args.k, 1),
        ("--rounds", args.rounds, 1),
    ):
        if value < least:
            parser.error(f"{name}: expected {least} or more; got {value}")
    if args.k >= min(sizes):
        parser.error(f"--k: expected less than --size; got {args.k}")
    for size in sizes:
        _show(size, args.dim, args.k, args.rounds)


def _show(size: int, dim: int, k: int, rounds: int) -> None:
    installed = [way for way, (*_, needs) in WAYS.items() if importlib.util.find_spec(needs)]
    measured: dict[str, list[Figures | None]] = {way: [] for way in installed}
    for _ in range(rounds):
        for way in installed:
            with tempfile.TemporaryDirectory() as folder:
                log = Path(folder, "log")
                measured[way].append(in_a_process(log, measure, way, size, dim, k))
    best = {way: min(filter(None, found), default=None) for way, found in measured.items()}
    baseline = best[_BASELINE]
    assert baseline is not None  # exact
    rows = []
    for way in WAYS:
        figures = best.get(way)
        if figures is None:
            why = f"recall below {_MIN_RECALL}" if way in best else "not installed"
            rows.append((way, why, "", "", ""))
            continue
        rows.append(
            (
                way,
                f"{'~' if figures.scaled else ''}{figures.seconds:.1f}",
                f"{baseline.seconds / figures.seconds:.2f}x",
                f"{figures.peak_mb:.0f}",
                f"{figures.recall:.4f}",
            )
        )
    screen = console.make_console(sys.stdout)
    screen.print(f"{size} vectors of {dim}, the best of {rounds} rounds")
    header = ("way", "seconds", f"times as fast as {_BASELINE}", "peak MB", f"recall@{k}")
    console.print_table(screen, header, rows)


if __name__ == "__main__":
    main()
