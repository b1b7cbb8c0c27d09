"""Nearest neighbors against brute force in float64, then written and read back."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.bulk_inferrer import neighbors, tables


def unit(rng, count, dim):
    vectors = rng.normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def brute_force(vectors, ids, k):
    """For each row, the (id, score) of the nearest others, sorted as Python tuples."""
    scores = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    found = []
    for row, line in enumerate(scores):
        ranked = sorted(
            (-float(np.float32(score)), ids[other])
            for other, score in enumerate(line)
            if other != row
        )
        found.append([(name, -score) for score, name in ranked[:k]])
    return found


@pytest.mark.parametrize("duplicates", [1, 4, 40])
@pytest.mark.parametrize("k", [1, 3, 10, 500])
@pytest.mark.parametrize(("count", "dim"), [(2, 3), (41, 1), (80, 16), (200, 64)])
def test_equals_brute_force(count, dim, k, duplicates, tmp_path):
    """Ids and scores are brute force's, with equal vectors ordered by id, and survive Parquet."""
    rng = np.random.default_rng(count + k)
    distinct = unit(rng, -(-count // duplicates), dim)
    vectors = np.repeat(distinct, duplicates, axis=0)[:count]
    ids = [f"clip{i:03d}" for i in rng.permutation(count)]
    found = neighbors.nearest_neighbors(vectors, ids, k)
    expected = brute_force(vectors, ids, k)
    width = min(k, count - 1)
    assert found.indices.shape == found.scores.shape == (count, width)
    assert (found.indices != np.arange(count)[:, np.newaxis]).all()
    assert (np.diff(found.scores, axis=1) <= 0).all()
    for row in range(count):
        scores = [score for _, score in expected[row]]
        np.testing.assert_allclose(found.scores[row], scores, atol=1e-6)
        # Neighbors may change places only where float32 cannot tell their scores apart.
        for index, (name, score) in zip(found.indices[row], expected[row], strict=True):
            if ids[index] != name:
                assert abs(float(vectors[row] @ vectors[index]) - score) < 1e-6
    path = str(tmp_path / "neighbors.parquet")
    tables.write_neighbors(path, found, ids, "model")
    table = pq.read_table(path)
    assert table["query_id"].to_pylist() == [name for name in ids for _ in range(width)]
    assert table["rank"].to_pylist() == list(range(1, width + 1)) * count
    assert table["neighbor_id"].to_pylist() == [ids[i] for i in found.indices.ravel()]
    np.testing.assert_array_equal(table["score"].to_numpy(), found.scores.ravel())
    assert table.schema.metadata[b"k"] == str(width).encode()


def test_ties_at_the_last_place_go_by_id():
    """Of many equal vectors, those with the first ids are kept, however many tie."""
    vectors = np.tile(np.array([[1.0, 0.0]], np.float32), (300, 1))
    ids = [f"clip{i:03d}" for i in reversed(range(300))]
    found = neighbors.nearest_neighbors(vectors, ids, 3)
    names = [[ids[i] for i in row] for row in found.indices]
    assert names[0] == ["clip000", "clip001", "clip002"]  # clip299
    assert names[-1] == ["clip001", "clip002", "clip003"]  # clip000


def test_rows_that_tie_and_rows_that_do_not_share_a_table(monkeypatch):
    """Small blocks, and rows that need many candidates among those that need few."""
    monkeypatch.setattr(neighbors, "_BLOCK_SIZE", 4000)
    rng = np.random.default_rng(7)
    vectors = np.concatenate([unit(rng, 60, 24), np.repeat(unit(rng, 1, 24), 90, axis=0)])
    ids = [f"clip{i:03d}" for i in rng.permutation(150)]
    found = neighbors.nearest_neighbors(vectors, ids, 5)
    expected = brute_force(vectors, ids, 5)
    for row in range(60):  # their scores differ by more than float32's steps, but for the copies
        np.testing.assert_allclose(found.scores[row], [s for _, s in expected[row]], atol=1e-6)
    for row in range(60, 150):
        others = sorted(ids[other] for other in range(60, 150) if other != row)
        assert [ids[i] for i in found.indices[row]] == others[:5]


def test_a_single_clip_has_no_neighbors():
    """One vector gives a row without columns."""
    found = neighbors.nearest_neighbors(np.ones((1, 1), np.float32), ["a"], 3)
    assert found.indices.shape == found.scores.shape == (1, 0)


@pytest.mark.parametrize(
    ("vectors", "ids", "k", "message"),
    [
        (np.ones((0, 1)), [], 1, "vectors: expected at least one; got none"),
        (np.full((2, 1), np.nan), ["a", "b"], 1, "vectors: expected unit norm; got nan for a"),
        (np.ones((2, 1)), ["a"], 1, r"vectors: expected shape \(1, d\); got \(2, 1\)"),
        (np.ones((2, 1)), ["a", "a"], 1, "ids: expected each once; got 1 again"),
        (np.ones((2, 1)), ["a", "b"], 0, "k: expected 1 or more; got 0"),
        (np.full((2, 1), 2.0), ["a", "b"], 1, "vectors: expected unit norm; got 2.0 for a"),
    ],
)
def test_bad_arguments(vectors, ids, k, message):
    """What does not fit is refused by name."""
    with pytest.raises(ValueError, match=message):
        neighbors.nearest_neighbors(vectors, ids, k)
