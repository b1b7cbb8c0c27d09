"""Candidate against champion, clip by clip."""

import numpy as np
import pytest

from components.retrieval_evaluator import bootstrap, comparison

IDS = [f"v_{i}" for i in range(6)]
CLASSES = ["Rise", "Rise", "Rise", "Fall", "Fall", "Fall"]
GROUPS = ["Rise_g1", "Rise_g1", "Rise_g2", "Fall_g1", "Fall_g1", "Fall_g2"]


def compare(candidate, champion, groups=GROUPS):
    return comparison.compare(
        np.array(candidate, bool),
        np.array(champion, bool),
        query_ids=IDS,
        query_classes=CLASSES,
        groups=groups,
    )


def test_who_answers_what():
    """Queries that one of both gets right are named and counted by class; the others are not."""
    found = compare([1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 1])
    assert found.won == ("v_1",)
    assert found.lost == ("v_3", "v_5")
    assert found.won_per_class == {"Rise": 1}
    assert found.lost_per_class == {"Fall": 2}
    assert found.difference == pytest.approx(3 / 6 - 4 / 6)


def test_interval_is_paired():
    """Each resample draws the same groups for both models, and takes the difference there."""
    candidate, champion = [1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 1]
    found = compare(candidate, champion)
    names = sorted(set(GROUPS))
    differences = []
    for counts in bootstrap.draw_groups(4):
        rows = [
            row
            for name, count in zip(names, counts, strict=True)
            for row in [row for row, group in enumerate(GROUPS) if group == name] * count
        ]
        recalls = [np.mean([right[row] for row in rows]) for right in (candidate, champion)]
        differences.append(recalls[0] - recalls[1])
    np.testing.assert_allclose(found.interval, np.percentile(differences, [2.5, 97.5]))


def test_equal_models_differ_by_nothing():
    """A model compared with itself: nothing won or lost, and no doubt about it."""
    found = compare([1, 0, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0])
    assert found.as_dict() == {
        "won": [],
        "lost": [],
        "recall_at_1_difference": 0.0,
        "interval": [0.0, 0.0],
    }


def test_one_group_has_no_interval():
    """Clips of one video give the difference alone."""
    found = compare([1] * 6, [0] * 6, groups=["g"] * 6)
    assert found.as_dict()["interval"] is None
    assert found.as_dict()["recall_at_1_difference"] == 1.0


def test_lengths_must_fit():
    """Answers to other queries are refused by name."""
    with pytest.raises(ValueError, match=r"champion_right: expected shape \(6,\); got \(5,\)"):
        compare([1] * 6, [1] * 5)
