"""Nearest neighbors against brute force in float64, then written and read back."""

import itertools

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.bulk_inferrer import neighbors, tables
from components.bulk_inferrer.neighbors import NeighborOptions, Searcher


def unit(rng, count, dim):
    vectors = rng.normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def search(vectors, ids, groups, options):
    """Returns each query's (id, score), in order of rank."""
    found = Searcher(vectors, ids, groups, options).search(np.arange(len(ids)))
    assert (found.queries != found.neighbors).all()
    answers = [[] for _ in ids]
    for query, other, rank, score in zip(*found, strict=True):
        answers[query].append((ids[other], float(score)))
        assert rank == len(answers[query])
    return answers


def brute_force(vectors, ids, groups, options):
    """The same, sorted as Python tuples."""
    scores = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    answers = []
    for row, line in enumerate(scores):
        ranked = sorted((-float(np.float32(min(s, 1))), ids[i], i) for i, s in enumerate(line))
        answer, seen = [], set()
        for score, name, i in ranked:
            group = groups[i] or ("none", i)
            if i == row or (options.min_score is not None and -score < options.min_score):
                continue
            if options.exclude_group and groups[i] and groups[i] == groups[row]:
                continue
            if options.one_per_group and group in seen:
                continue
            seen.add(group)
            answer.append((name, -score))
        answers.append(answer[: options.k])
    return answers


def assert_same(found, expected):
    """Neighbors may change places only where float32 cannot tell their scores apart."""
    for answer, true in zip(found, expected, strict=True):
        assert len(answer) == len(true)
        np.testing.assert_allclose([s for _, s in answer], [s for _, s in true], atol=1e-6)
        for (name, score), (true_name, _) in zip(answer, true, strict=True):
            if name != true_name:
                near = [s for other, s in true if abs(s - score) < 1e-6]
                assert near, (name, true_name)


@pytest.mark.parametrize("duplicates", [1, 4, 40])
@pytest.mark.parametrize("k", [1, 3, 10, 500])
@pytest.mark.parametrize(("count", "dim"), [(2, 3), (41, 1), (80, 16), (200, 64)])
def test_equals_brute_force(count, dim, k, duplicates, tmp_path):
    """Ids and scores are brute force's, with equal vectors ordered by id, and survive Parquet."""
    rng = np.random.default_rng(count + k)
    distinct = unit(rng, -(-count // duplicates), dim)
    vectors = np.repeat(distinct, duplicates, axis=0)[:count]
    ids = [f"clip{i:03d}" for i in rng.permutation(count)]
    options = NeighborOptions(k)
    found = search(vectors, ids, [""] * count, options)
    assert_same(found, brute_force(vectors, ids, [""] * count, options))
    assert {len(answer) for answer in found} == {min(k, count - 1)}
    path = str(tmp_path / "neighbors.parquet")
    shard = Searcher(vectors, ids, [""] * count, options).search(np.arange(count))
    tables.write_neighbors(path, shard, ids, {"model_id": "m"})
    rows = [tuple(row.values()) for row in pq.read_table(path).to_pylist()]
    assert rows == [
        (query, rank, name, score)
        for query, answer in zip(ids, found, strict=True)
        for rank, (name, score) in enumerate(answer, start=1)
    ]
    assert pq.read_schema(path).metadata[b"model_id"] == b"m"


@pytest.mark.parametrize("k", [1, 4, 30])
@pytest.mark.parametrize("min_score", [None, -0.2, 0.3, 1.0])
@pytest.mark.parametrize(
    ("exclude_group", "one_per_group"), list(itertools.product([False, True], repeat=2))
)
@pytest.mark.parametrize("sizes", [(1,) * 90, (30, 30, 30), (85, 1, 1, 1, 1, 1), (5,) * 18])
def test_conditions_equal_brute_force(sizes, exclude_group, one_per_group, min_score, k):
    """Groups of any size, and a lowest score, shorten or lengthen the search as they must."""
    rng = np.random.default_rng(len(sizes))
    groups = [f"group{i}" for i, size in enumerate(sizes) for _ in range(size)]
    centers = unit(rng, len(sizes), 6)[[int(name[5:]) for name in groups]]
    vectors = unit(rng, 90, 6) + centers
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[50:60] = vectors[50]  # ties
    ids = [f"clip{i:03d}" for i in rng.permutation(90)]
    options = NeighborOptions(k, min_score, exclude_group, one_per_group)
    found = search(vectors, ids, groups, options)
    assert_same(found, brute_force(vectors, ids, groups, options))


def test_clips_without_a_group_are_each_their_own():
    """An empty group is shared with nobody."""
    vectors = unit(np.random.default_rng(0), 12, 4)
    ids = [f"clip{i:02d}" for i in range(12)]
    options = NeighborOptions(20, exclude_group=True, one_per_group=True)
    assert {len(answer) for answer in search(vectors, ids, [""] * 12, options)} == {11}
    assert {len(answer) for answer in search(vectors, ids, ["one"] * 12, options)} == {0}


def test_ties_at_the_last_place_go_by_id():
    """Of many equal vectors, those with the first ids are kept, however many tie."""
    vectors = np.tile(np.array([[1.0, 0.0]], np.float32), (300, 1))
    ids = [f"clip{i:03d}" for i in reversed(range(300))]
    found = search(vectors, ids, [""] * 300, NeighborOptions(3))
    assert [name for name, _ in found[0]] == ["clip000", "clip001", "clip002"]  # clip299
    assert [name for name, _ in found[-1]] == ["clip001", "clip002", "clip003"]  # clip000


def test_shards_of_queries_are_the_whole(monkeypatch):
    """What is found for a query depends neither on the other queries nor on how many go at once."""
    rng = np.random.default_rng(3)
    vectors = np.repeat(unit(rng, 100, 24), 3, axis=0)
    ids = [f"clip{i:03d}" for i in rng.permutation(300)]
    groups = [f"group{i // 7}" for i in range(300)]
    searcher = Searcher(vectors, ids, groups, NeighborOptions(5, exclude_group=True))
    whole = searcher.search(np.arange(300))
    monkeypatch.setattr(neighbors, "_PAIRS_AT_ONCE", 300)
    parts = [searcher.search(rows) for rows in np.array_split(np.arange(300), 7)]
    for column, expected in zip(zip(*parts, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(column), expected)


def test_a_single_clip_has_no_neighbors():
    """One vector gives no row."""
    alone = Searcher(np.ones((1, 1), np.float32), ["a"], [""], NeighborOptions(3))
    found = alone.search(np.array([0]))
    assert [len(column) for column in found] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("vectors", "ids", "options", "message"),
    [
        (np.ones((0, 1)), [], {}, "vectors: expected at least one; got none"),
        (np.full((2, 1), np.nan), ["a", "b"], {}, "vectors: expected unit norm; got nan for a"),
        (np.ones((2, 1)), ["a"], {}, r"vectors: expected shape \(1, d\); got \(2, 1\)"),
        (np.ones((2, 1)), ["a", "a"], {}, "ids: expected each once; got 1 again"),
        (np.ones((2, 1)), ["a", "b"], {"k": 0}, "k: expected 1 or more; got 0"),
        (np.ones((2, 1)), ["a", "b"], {"min_score": 2}, "min_score: expected -1 to 1; got 2"),
        (np.full((2, 1), 2.0), ["a", "b"], {}, "vectors: expected unit norm; got 2.0 for a"),
    ],
)
def test_bad_arguments(vectors, ids, options, message):
    """What does not fit is refused by name."""
    with pytest.raises(ValueError, match=message):
        Searcher(vectors, ids, [""] * len(ids), NeighborOptions(**({"k": 1} | options)))
    with pytest.raises(ValueError, match="groups: expected 2; got 1"):
        Searcher(np.ones((2, 1)), ["a", "b"], [""], NeighborOptions(1))
