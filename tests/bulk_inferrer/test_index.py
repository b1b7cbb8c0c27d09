"""The index of large libraries, against exact search."""

import numpy as np
import pytest

from components.bulk_inferrer import index
from components.bulk_inferrer.neighbors import NeighborOptions, Searcher


@pytest.fixture(scope="module")
def library():
    """Clips in clusters, as classes make them; vectors, ids and groups."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(101, 32))[rng.integers(0, 101, 6000)] + rng.normal(size=(6000, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"clip{i:05d}" for i in range(6000)]
    return vectors.astype(np.float32), ids, [f"group{i // 5}" for i in range(6000)]


def recall_by_hand(found, truth):
    pairs = set(zip(truth.queries, truth.neighbors, strict=True))
    return len(pairs & set(zip(found.queries, found.neighbors, strict=True))) / len(pairs)


@pytest.mark.parametrize("options", [NeighborOptions(10), NeighborOptions(5, 0.3, True, True)])
def test_the_index_finds_what_it_says(library, options, tmp_path):
    """Recall over all queries is what was measured on some; scores are exact; a file keeps it."""
    made = index.make_index(*library, options, 0.85)
    assert made.recall >= 0.85
    index.write_index(made.cells, str(tmp_path / "index"))
    read = index.read_index(str(tmp_path / "index"))
    rows = np.arange(6000)
    found = Searcher(*library, options, read).search(rows)
    truth = Searcher(*library, options).search(rows)
    assert recall_by_hand(found, truth) == pytest.approx(made.recall, abs=0.02)
    vectors = library[0].astype(np.float64)
    np.testing.assert_allclose(
        found.scores, (vectors[found.queries] * vectors[found.neighbors]).sum(axis=1), atol=1e-6
    )
    shard = Searcher(*library, options, read).search(rows[100:200])
    inside = (found.queries >= 100) & (found.queries < 200)
    for part, whole in zip(shard, found, strict=True):
        np.testing.assert_array_equal(part, whole[inside])


def test_the_index_is_the_same_every_time(library):
    """Two builds find the same."""
    options = NeighborOptions(10)
    first, second = (
        Searcher(*library, options, index.make_index(*library, options, 0.85).cells).search(
            np.arange(500)
        )
        for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_recall_that_is_not_reached_is_told(library):
    """The error names the bound, what was found, and what to change."""
    message = r"min_index_recall: expected 1.0 or more; .* found 0.\d+ of .*raise exact_limit"
    with pytest.raises(index.RecallError, match=message):
        index.make_index(*library, NeighborOptions(10), 1.0)


def test_without_neighbors_there_is_nothing_to_miss(library):
    """Where conditions leave no neighbor, recall is whole."""
    vectors, ids, _ = library
    options = NeighborOptions(10, exclude_group=True)
    made = index.make_index(vectors, ids, ["one"] * len(ids), options, 1.0)
    assert made.recall == 1
