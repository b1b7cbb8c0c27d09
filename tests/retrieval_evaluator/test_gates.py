"""The bars that a candidate must clear."""

import numpy as np
import pytest

from components.retrieval_evaluator import comparison, gates, metrics

#: Bars that nothing misses.
OPEN = gates.Limits(
    min_recall=0.0, max_recall_drop=1.0, min_class_recall=0.0, max_class_recall_drop=1.0
)


def measured(answers):
    """Metrics of queries that are right or wrong, by class: real rankings of one-hot vectors."""
    classes = [name for name, right in answers.items() for _ in right]
    right = [bool(answer) for answers_of_class in answers.values() for answer in answers_of_class]
    names = sorted(answers)
    gallery = np.eye(len(names) + 1)
    # A wrong query lies at the stranger's place.
    rows = [
        names.index(name) if ok else len(names) for name, ok in zip(classes, right, strict=True)
    ]
    return metrics.evaluate_retrieval(gallery[rows], classes, gallery, [*names, "stranger"])


def judge(candidate, champion=None, **limits):
    """Judges classes of answers, as in `measured`."""
    metrics_of = [measured(answers) if answers else None for answers in (candidate, champion)]
    classes = [name for name, right in candidate.items() for _ in right]
    compared = champion and comparison.compare(
        *(found.per_query.right for found in metrics_of),
        query_ids=[f"clip{i}" for i in range(len(classes))],
        query_classes=classes,
        groups=classes,
    )
    return gates.judge(*metrics_of, compared, OPEN._replace(**limits))


def test_all_bars_are_told():
    """Every bar is there with value and limit: for all clips, and for each class."""
    verdict = judge(
        {"Fall": [1, 1, 1, 1, 0], "Rise": [1] * 5}, {"Fall": [1] * 5, "Rise": [0, 1, 1, 1, 1]}
    )
    assert verdict.blessed
    assert verdict.objections == ()
    assert [bar[:2] for bar in verdict.bars] == [
        ("min_recall", ""),
        ("min_class_recall", "Fall"),
        ("min_class_recall", "Rise"),
        ("max_recall_drop", ""),
        ("max_class_recall_drop", "Fall"),
        ("max_class_recall_drop", "Rise"),
    ]
    assert [bar.value for bar in verdict.bars] == pytest.approx([0.9, 0.8, 1.0, 0.0, 0.2, -0.2])
    assert [bar.limit for bar in verdict.bars] == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("right", "limit", "blessed"), [(5, 0.5, True), (4, 0.5, False), (3, 0.3, True), (0, 0.0, True)]
)
def test_floor(right, limit, blessed):
    """A recall@1 at the floor passes, one below it is named with the floor."""
    verdict = judge({"A": [1] * right + [0] * (10 - right)}, min_recall=limit)
    assert verdict.blessed is blessed
    expected = [] if blessed else ["recall@1 is 0.400, below the floor of 0.500"]
    assert list(verdict.objections) == expected


@pytest.mark.parametrize(
    ("right", "before", "limit", "blessed"),
    [
        (17, 18, 0.05, True),  # 0.9 - 0.85 is more than 0.05 in floats
        (16, 18, 0.05, False),
        (18, 18, 0.0, True),
        (17, 18, 0.0, False),
        (20, 2, 0.0, True),
        (3, 9, 0.3, True),  # 0.45 - 0.15
    ],
)
def test_drop_below_the_champion(right, before, limit, blessed):
    """A drop of exactly the allowed size passes, whatever floats make of it; a larger does not."""
    answers = [{"A": [1] * n + [0] * (20 - n)} for n in (right, before)]
    assert judge(*answers, max_recall_drop=limit).blessed is blessed


def test_drop_names_champion_and_clips():
    """The objection gives both recalls, drop and limit, and how many clips are lost and won."""
    verdict = judge(
        {"A": [1, 0, 0, 0, 1, 1, 1, 1, 1, 1]}, {"A": [0] + [1] * 9}, max_recall_drop=0.05
    )
    assert verdict.objections == (
        "recall@1 is 0.700, 0.200 below the champion's 0.900, more than the 0.050 allowed "
        "(3 clips lost, 1 won)",
    )


def test_class_floor():
    """A class that collapsed is named, though the others carry the mean over its floor."""
    verdict = judge({"Fall": [1] * 9, "Rise": [0] * 5}, min_recall=0.5, min_class_recall=0.05)
    assert not verdict.blessed
    assert verdict.objections == ("recall@1 of class Rise is 0.000, below the floor of 0.050",)
    assert judge({"Fall": [1] * 9, "Rise": [1, 0, 0, 0, 0]}, min_class_recall=0.2).blessed


def test_class_drop():
    """A class may fall only so far below the champion's, though others rise."""
    candidate, champion = (
        {"Fall": [1] * 5, "Rise": [0, 0, 0, 0, 1]},
        {"Fall": [0] * 5, "Rise": [1, 1, 1, 0, 0]},
    )
    verdict = judge(candidate, champion, max_class_recall_drop=0.3)
    assert verdict.objections == (
        "recall@1 of class Rise is 0.200, 0.400 below the champion's 0.600, more than the 0.300 "
        "allowed (3 clips lost, 1 won)",
    )
    assert judge(candidate, champion, max_class_recall_drop=0.4).blessed


def test_small_classes_say_nothing():
    """A class of four queries is held against no bar; one of five is."""
    for count, judged in ((4, False), (5, True)):
        verdict = judge(
            {"Fall": [1] * 9, "Rise": [0] * count},
            {"Fall": [1] * 9, "Rise": [1] * count},
            min_class_recall=0.05,
            max_class_recall_drop=0.5,
        )
        assert verdict.blessed is not judged
        assert ("Rise" in {bar.class_name for bar in verdict.bars}) is judged


def test_all_that_is_missed_is_told():
    """A candidate that misses every bar hears of every one."""
    verdict = judge(
        {"A": [0] * 5},
        {"A": [1] * 5},
        min_recall=0.5,
        max_recall_drop=0.1,
        min_class_recall=0.5,
        max_class_recall_drop=0.1,
    )
    assert len(verdict.objections) == 4
    assert {bar.bar for bar in verdict.bars if not bar.passed} == set(OPEN._fields)


def test_many_classes_share_a_sentence():
    """The three worst classes have their own sentence, all others are named in one."""
    answers = {f"C{i}": [1] * i + [0] * (9 - i) for i in range(7)}
    verdict = judge(answers, {name: [1] * 9 for name in answers}, min_class_recall=0.6)
    assert [text[:25] for text in verdict.objections[:3]] == [
        f"recall@1 of class C{i} is 0" for i in range(3)
    ]
    assert verdict.objections[3:] == (
        "recall@1 of 3 more classes is below the floor of 0.600: C3, C4, C5",
    )
    verdict = judge(answers, {name: [1] * 9 for name in answers}, max_class_recall_drop=0.5)
    assert len(verdict.objections) == 4
    assert verdict.objections[3] == (
        "recall@1 of 2 more classes is more than 0.500 below the champion's: C3, C4"
    )


def test_near_misses_are_shown_apart():
    """A value that rounds to the limit is shown with enough decimals to tell them apart."""
    verdict = judge({"A": [1] * 3332 + [0] * 6668}, min_recall=0.3333)
    assert verdict.objections == ("recall@1 is 0.3332, below the floor of 0.3333",)


def test_champion_and_comparison_go_together():
    """A champion without the comparison is refused."""
    found = measured({"A": [1]})
    with pytest.raises(ValueError, match="comparison: expected one with a champion alone"):
        gates.judge(found, found, None, OPEN)
