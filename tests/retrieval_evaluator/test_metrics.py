"""Retrieval metrics against loops in plain Python."""

import numpy as np
import pytest

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
    for k in (1, 5, 10):
        recalls, _ = brute_force(queries, query_classes, gallery, gallery_classes, k)
        assert result.recall[k] == pytest.approx(np.mean(recalls))
    _, precisions = brute_force(queries, query_classes, gallery, gallery_classes, 10)
    assert result.mean_average_precision == pytest.approx(np.mean(precisions))
    first, _ = brute_force(queries, query_classes, gallery, gallery_classes, 1)
    for name, value in result.recall_at_1_per_class.items():
        own = [hit for hit, wanted in zip(first, query_classes, strict=True) if wanted == name]
        assert value == pytest.approx(np.mean(own))
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
