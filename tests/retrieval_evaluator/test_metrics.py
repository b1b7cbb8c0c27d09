"""Retrieval metrics against loops in plain Python."""

import json

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score
from sklearn.neighbors import KNeighborsClassifier

from components.retrieval_evaluator import metrics


def unit(rng, count, dim):
    vectors = rng.normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def brute_force(queries, query_classes, gallery, gallery_classes, k):
    """Recall@k and AP@k of every query, by sorting Python tuples."""
    recalls, precisions = [], []
    for query, wanted in zip(queries, query_classes, strict=True):
        scored = [(-float(query @ vector), row) for row, vector in enumerate(gallery)]
        hits = [gallery_classes[row] == wanted for _, row in sorted(scored)[:k]]
        recalls.append(any(hits))
        total = sum(sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit)
        attainable = min(k, sum(name == wanted for name in gallery_classes))
        precisions.append(total / attainable if attainable else 0.0)
    return recalls, precisions


@pytest.mark.parametrize("num_classes", [2, 7])
@pytest.mark.parametrize(("num_queries", "num_gallery"), [(1, 12), (9, 40), (1500, 30), (5, 4)])
def test_equals_brute_force(num_queries, num_gallery, num_classes):
    """Recall at every k, mAP@10 and recall@1 by class are what plain loops count."""
    rng = np.random.default_rng(num_queries)
    queries, gallery = unit(rng, num_queries, 5), unit(rng, num_gallery, 5)
    names = [f"class{i}" for i in range(num_classes)]
    query_classes, gallery_classes = rng.choice(names, num_queries), rng.choice(names, num_gallery)
    result = metrics.evaluate_retrieval(
        queries, query_classes, gallery, gallery_classes, recall_ranks=(1, 5, 10)
    )
    assert sum(result.num_queries_per_class.values()) == num_queries
    for k in (1, 5, 10):
        recalls, _ = brute_force(queries, query_classes, gallery, gallery_classes, k)
        assert result.recall[k] == pytest.approx(np.mean(recalls))
        column = (1, 5, 10).index(k)
        assert result.per_query.recalled[:, column].tolist() == recalls
    _, precisions = brute_force(queries, query_classes, gallery, gallery_classes, 10)
    assert result.per_query.average_precision == pytest.approx(precisions)
    assert result.mean_average_precision == pytest.approx(np.mean(precisions))
    first, _ = brute_force(queries, query_classes, gallery, gallery_classes, 1)
    for name, value in result.recall_at_1_per_class.items():
        own = [hit for hit, wanted in zip(first, query_classes, strict=True) if wanted == name]
        assert value == pytest.approx(np.mean(own))
        assert result.num_queries_per_class[name] == len(own)
    assert set(result.recall_at_1_per_class) == set(query_classes)


def test_average_precision_by_hand():
    """Relevant at ranks 1 and 3 of three, two in all: (1 + 2/3) / 2; nothing relevant: 0."""
    hits = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(
        metrics.average_precision(hits, np.array([2, 0])), [(1 + 2 / 3) / 2, 0]
    )


def test_class_missing_in_the_gallery_is_a_miss():
    """A query of a class that the gallery lacks counts, and cannot be found."""
    vectors = np.eye(2, dtype=np.float32)
    result = metrics.evaluate_retrieval(vectors, ["A", "B"], vectors[:1], ["A"], recall_ranks=(1,))
    assert result.recall == {1: 0.5}
    assert result.recall_at_1_per_class == {"A": 1.0, "B": 0.0}


def test_equal_scores_keep_the_gallery_s_order():
    """Of equal vectors, the first of the gallery is ranked first, at any place and length."""
    for dim, count in ((1, 2), (100, 37), (128, 39)):
        vectors = unit(np.random.default_rng(dim), 4, dim)
        gallery = np.repeat(vectors[:1], count, axis=0)
        for classes, expected in ((["A"], 1.0), (["B"], 0.0)):
            gallery_classes = classes + ["A" if expected == 0 else "B"] * (count - 1)
            found = metrics.evaluate_retrieval(
                vectors[1:], ["A"] * 3, gallery, gallery_classes, recall_ranks=(1,)
            )
            assert found.recall[1] == expected


def test_agrees_with_scikit_learn():
    """Recall@1 is a 1-nearest-neighbor classifier's accuracy; AP is label ranking's, to the end."""
    rng = np.random.default_rng(3)
    queries, gallery = unit(rng, 60, 6), unit(rng, 10, 6)
    query_classes = rng.choice(["A", "B", "C"], 60)
    gallery_classes = np.array(["A", "B", "C"] * 3 + ["A"])
    result = metrics.evaluate_retrieval(queries, query_classes, gallery, gallery_classes)
    nearest = KNeighborsClassifier(1, metric="cosine").fit(gallery, gallery_classes)
    assert result.recall[1] == pytest.approx(nearest.score(queries, query_classes))
    relevant = query_classes[:, np.newaxis] == gallery_classes
    expected = label_ranking_average_precision_score(relevant, queries @ gallery.T)
    assert result.mean_average_precision == pytest.approx(expected)


def test_first_neighbors_are_told():
    """Row and score of each query's nearest gallery clip, and whether it is of its class."""
    rng = np.random.default_rng(5)
    queries, gallery = unit(rng, 700, 8), unit(rng, 45, 8)
    classes = rng.choice(["A", "B"], 745)
    found = metrics.evaluate_retrieval(queries, classes[:700], gallery, classes[700:]).per_query
    scores = queries.astype(np.float64) @ gallery.astype(np.float64).T
    np.testing.assert_array_equal(found.first_rows, scores.argmax(axis=1))
    np.testing.assert_allclose(found.first_scores, scores.max(axis=1), atol=1e-12)
    np.testing.assert_array_equal(found.right, classes[700:][found.first_rows] == classes[:700])


@pytest.mark.parametrize("depth", [1, 3, 50, 200])
def test_ranks_as_a_stable_sort(depth):
    """With many ties, also across the last wanted rank, the order is a whole stable sort's."""
    rng = np.random.default_rng(depth)
    queries, gallery = rng.integers(-1, 2, (300, 4)), rng.integers(-1, 2, (200, 4))
    rows, first_scores = metrics.rank_gallery(queries, gallery, depth)
    scores = queries @ gallery.T
    np.testing.assert_array_equal(rows, np.argsort(-scores, axis=1, kind="stable")[:, :depth])
    np.testing.assert_array_equal(first_scores, scores.max(axis=1))


def test_ranks_beyond_the_gallery_count_all_of_it():
    """Recall@50 in a gallery of three is whether the class is there at all."""
    vectors = unit(np.random.default_rng(0), 5, 4)
    result = metrics.evaluate_retrieval(vectors[:2], ["A", "B"], vectors[2:], ["C", "C", "A"])
    assert list(result.recall) == [1, 5, 10, 20, 50]
    assert result.recall[5] == result.recall[50] == 0.5
    assert 0 < result.mean_average_precision <= 0.5


def test_the_dictionary_is_ready_for_json():
    """Reports and manifests get plain numbers under the names that their readers know."""
    vectors = np.eye(3, dtype=np.float32)
    result = metrics.evaluate_retrieval(vectors, ["A", "B", "B"], vectors[:2], ["A", "B"])
    assert json.loads(json.dumps(result.as_dict())) == {
        "num_queries": 3,
        "num_gallery": 2,
        "recall": {"1": pytest.approx(2 / 3), "5": 1.0, "10": 1.0, "20": 1.0, "50": 1.0},
        "map_at_10": pytest.approx((1 + 1 + 0.5) / 3),
        "recall_at_1_per_class": {"A": 1.0, "B": 0.5},
        "num_queries_per_class": {"A": 1, "B": 2},
    }


@pytest.mark.parametrize(
    ("queries", "query_classes", "gallery", "message"),
    [
        (np.ones((0, 3)), [], np.ones((2, 3)), "expected queries and a gallery"),
        (np.ones((1, 3)), ["A"], np.ones((0, 3)), "expected queries and a gallery"),
        (np.ones((1, 3)), ["A", "B"], np.ones((2, 3)), "queries: expected shape"),
        (np.ones((1, 4)), ["A"], np.ones((2, 3)), "queries: expected shape"),
        (np.ones((1, 3)), ["A"], np.ones((3, 3)), "gallery_classes: expected 3; got 2"),
    ],
)
def test_bad_shapes_are_refused(queries, query_classes, gallery, message):
    """Arrays that do not fit are refused by name."""
    with pytest.raises(ValueError, match=message):
        metrics.evaluate_retrieval(queries, query_classes, gallery, ["A", "A"], recall_ranks=(1,))
