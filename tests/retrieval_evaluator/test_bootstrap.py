"""The cluster bootstrap against a loop that draws queries group by group."""

import numpy as np
import pytest

from components.retrieval_evaluator import bootstrap, metrics


def slow_interval(values, groups):
    """Puts each resample's queries together, one list a resample, by the same draws."""
    names = sorted(set(groups))
    means = []
    for counts in bootstrap.draw_groups(len(names)):
        drawn = []
        for name, count in zip(names, counts, strict=True):
            own = [value for value, group in zip(values, groups, strict=True) if group == name]
            drawn.extend(own * count)
        means.append(sum(drawn) / len(drawn))
    return np.percentile(means, [2.5, 97.5])


@pytest.mark.parametrize("num_groups", [2, 11])
def test_equals_a_slow_loop(num_groups):
    """Groups of different sizes, two figures at once: the loop's percentiles."""
    rng = np.random.default_rng(num_groups)
    groups = [f"g{i}" for i in range(num_groups)] + [
        f"g{i}" for i in rng.integers(num_groups, size=40)
    ]
    values = np.column_stack([rng.random(len(groups)) < 0.6, rng.random(len(groups))])
    found = bootstrap.confidence_intervals(values, groups)
    assert found is not None
    for column, interval in enumerate(found):
        np.testing.assert_allclose(interval, slow_interval(values[:, column].tolist(), groups))
        assert interval.low <= values[:, column].mean() <= interval.high


def test_draws_are_whole_and_repeatable():
    """Each resample draws as many groups as there are, all alike often, the same every time."""
    draws = bootstrap.draw_groups(20)
    assert draws.shape == (bootstrap.NUM_RESAMPLES, 20)
    np.testing.assert_array_equal(draws.sum(axis=1), 20)
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.15)
    np.testing.assert_array_equal(draws, bootstrap.draw_groups(20))
    assert len(np.unique(draws, axis=0)) == bootstrap.NUM_RESAMPLES


def test_groups_that_agree_widen_the_interval():
    """Clips that are right or wrong with their group say less than as many independent ones."""
    right = np.repeat(np.arange(40) % 2 == 0, 5)[:, np.newaxis]
    together = bootstrap.confidence_intervals(right, [f"g{i // 5}" for i in range(200)])
    alone = bootstrap.confidence_intervals(right, [f"g{i}" for i in range(200)])
    assert together is not None and alone is not None
    widths = [found[0].high - found[0].low for found in (together, alone)]
    # Five clips that agree count as one: the square root of 5 wider.
    assert widths[0] / widths[1] == pytest.approx(5**0.5, rel=0.15)


def test_independent_clips_get_the_normal_interval():
    """With a clip a group, the interval is that of a binomial share."""
    right = (np.arange(400) % 4 == 0)[:, np.newaxis]
    found = bootstrap.confidence_intervals(right, [str(i) for i in range(400)])
    assert found is not None
    half = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    np.testing.assert_allclose(found[0], [0.25 - half, 0.25 + half], atol=0.01)


def test_one_group_bounds_nothing():
    """Where all clips are of one video, there is no interval."""
    assert bootstrap.confidence_intervals(np.ones((3, 1)), ["g", "g", "g"]) is None


def test_lengths_must_fit():
    """Values without groups are refused by name."""
    with pytest.raises(ValueError, match=r"values: expected shape \(2, m\); got \(3, 1\)"):
        bootstrap.confidence_intervals(np.ones((3, 1)), ["g", "h"])


def test_intervals_of_the_metrics():
    """Each recall and mAP@10 has bounds under its own name, around its value."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(90, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    classes = rng.choice(["A", "B", "C", "D", "E"], 90)
    measured = metrics.evaluate_retrieval(vectors[:50], classes[:50], vectors[50:], classes[50:])
    groups = [f"g{i // 5}" for i in range(50)]
    found = bootstrap.metric_intervals(measured, groups)
    assert found is not None
    assert (found["level"], found["num_groups"]) == (0.95, 10)
    assert list(found["recall"]) == ["1", "5", "10", "20", "50"]
    for k, bounds in found["recall"].items():
        column = measured.per_query.recalled[:, list(measured.recall).index(int(k))]
        np.testing.assert_allclose(bounds, slow_interval(column.tolist(), groups))
    expected = slow_interval(measured.per_query.average_precision.tolist(), groups)
    np.testing.assert_allclose(found["map_at_10"], expected)
    assert bootstrap.metric_intervals(measured, ["g"] * 50) is None
