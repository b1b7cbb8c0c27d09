"""Drift as TFDV measures it on real statistics, beside computations of our own."""

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from scipy.spatial.distance import jensenshannon
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.drift_validator import drift

CLASSES = ("Fall", "Rise", "Spin", "Walk")
LIMITS = drift.Limits(max_drift=0.3, max_class_drift=0.2)


def statistics(per_class=None, seed=0, **changed):
    """Statistics of clips that differ as those of a camera do; `changed` columns are scaled."""
    per_class = dict.fromkeys(CLASSES, 50) if per_class is None else per_class
    labels = [name for name, count in per_class.items() for _ in range(count)]
    count = len(labels)
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "clip_id": [f"clip{i}" for i in range(count)],
            "group": [f"group{i // 4}" for i in range(count)],
            "class_name": labels,
            "num_frames": rng.integers(29, 120, count),
            "width": np.full(count, 320),
            "height": np.full(count, 240),
            "fps": rng.choice([25.0, 29.97], count),
            "duration_sec": rng.uniform(1, 5, count),
            "brightness": rng.uniform(0.3, 0.5, count),
            "motion": rng.uniform(0.02, 0.12, count),
        }
    )
    for name, factor in changed.items():
        frame[name] = np.nan if factor is None else frame[name] * factor
    return tfdv.generate_statistics_from_dataframe(frame)


@pytest.fixture(scope="module")
def champion_statistics():
    return statistics()


def compare(now, before, **limits):
    return drift.compare(now, before, "version 3", LIMITS._replace(**limits))


def buckets_of(found, name):
    """Edges and counts of a feature's histogram of quantiles."""
    (feature,) = [each for each in found.datasets[0].features if each.path.step[0] == name]
    (histogram,) = [
        each
        for each in feature.num_stats.histograms
        if each.type == statistics_pb2.Histogram.QUANTILES
    ]
    edges = [histogram.buckets[0].low_value, *(each.high_value for each in histogram.buckets)]
    return np.array(edges), np.array([each.sample_count for each in histogram.buckets])


def divergence(now, before, name):
    """Jensen-Shannon divergence of two histograms, spread evenly over the edges of both."""
    histograms = [buckets_of(each, name) for each in (now, before)]
    edges = np.unique(np.concatenate([edges for edges, _ in histograms]))
    shares = [
        np.diff(np.interp(edges, own, np.concatenate([[0], np.cumsum(counts)])))
        for own, counts in histograms
    ]
    return jensenshannon(*shares, base=2) ** 2


@pytest.mark.parametrize("factor", [1.0, 1.1, 0.8, 0.5])
@pytest.mark.parametrize("name", ["brightness", "motion", "duration_sec"])
def test_divergence_is_that_of_the_histograms(name, factor, champion_statistics):
    """The drift of a scalar is what SciPy finds on the same buckets, also far below the limit."""
    now = statistics(seed=1, **{name: factor})
    found = compare(now, champion_statistics).features[name]
    assert found.limit == 0.3
    assert found.drift == pytest.approx(divergence(now, champion_statistics, name), abs=1e-6)


def test_every_feature_is_measured(champion_statistics):
    """Equal data have drift zero in every watched scalar and in the classes, and pass."""
    report = compare(champion_statistics, champion_statistics)
    assert list(report.features) == [
        "num_frames",
        "width",
        "height",
        "fps",
        "duration_sec",
        "brightness",
        "motion",
        "class_name",
    ]
    assert all(each.drift == pytest.approx(0, abs=1e-9) for each in report.features.values())
    assert report.features["class_name"].limit == 0.2
    assert report.objections == () and not report.anomalies.anomaly_info
    assert report.note == "compared with the training clips of version 3"


def test_other_clips_of_the_same_kind_pass(champion_statistics):
    """Clips drawn anew drift a little, and nothing is objected."""
    report = compare(statistics(seed=1), champion_statistics)
    assert 0 < report.features["brightness"].drift < 0.15
    assert report.objections == ()


def test_halved_brightness_is_named(champion_statistics):
    """The one feature that moved is told with its means, the measure and the option's name."""
    report = compare(statistics(brightness=0.5), champion_statistics)
    (objection,) = report.objections
    # Uniform in [0.3, 0.5], so that the halves are in [0.15, 0.25]: apart.
    assert objection == (
        "brightness: mean 0.201 (0.15 to 0.25), the champion's data had mean 0.403 (0.301 to 0.5)"
        "; Jensen-Shannon divergence 1.000, above --max-drift 0.3"
    )
    assert set(report.anomalies.anomaly_info) == {"brightness"}
    (reason,) = report.anomalies.anomaly_info["brightness"].reason
    assert reason.type == anomalies_pb2.AnomalyInfo.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH


def test_limit_is_allowed_itself(champion_statistics):
    """Drift equal to its limit passes, and drift just above does not."""
    now = statistics(brightness=0.8)
    measured = compare(now, champion_statistics).features["brightness"].drift
    assert compare(now, champion_statistics, max_drift=measured).objections == ()
    (objection,) = compare(now, champion_statistics, max_drift=measured - 1e-6).objections
    assert objection.startswith("brightness: ")


@pytest.mark.parametrize("num_changed", [0, 1, 10, 60, 100, 200])
def test_single_values_are_told_apart(num_changed, champion_statistics):
    """Where all clips had one width, the drift grows with the share of those of another."""
    factors = np.where(np.arange(200) < num_changed, 2, 1)
    found = compare(statistics(width=factors), champion_statistics).features["width"]
    share = num_changed / 200
    expected = jensenshannon([1 - share, share], [1, 0], base=2) ** 2
    assert found.drift == pytest.approx(expected, abs=1e-3)


def test_another_constant_is_the_farthest(champion_statistics):
    """A feature with one value in all clips has drift 1 where that value is another one."""
    report = compare(statistics(width=2), champion_statistics)
    assert report.features["width"].drift == 1
    assert report.objections == (
        "width: mean 640 (640 to 640), the champion's data had mean 320 (320 to 320); "
        "Jensen-Shannon divergence 1.000, above --max-drift 0.3",
    )


@pytest.mark.parametrize(
    ("per_class", "distance", "sentence"),
    [
        (
            {"Fall": 50, "Rise": 0, "Spin": 50, "Walk": 50},
            1 / 4,
            "class Rise has 0 of 150 clips, the champion's data had 50 of 200",
        ),
        (
            {"Fall": 10, "Rise": 80, "Spin": 10, "Walk": 10},
            80 / 110 - 1 / 4,
            "class Rise has 80 of 110 clips, the champion's data had 50 of 200",
        ),
        (
            {**dict.fromkeys(CLASSES, 50), "Jump": 100},
            1 / 3,
            "class Jump has 100 of 300 clips, the champion's data had 0 of 200",
        ),
    ],
)
def test_class_shares_are_compared(per_class, distance, sentence, champion_statistics):
    """The distance is the greatest change of a share, and that class is named with its clips."""
    report = compare(statistics(per_class), champion_statistics)
    assert report.features["class_name"].drift == pytest.approx(distance)
    assert report.objections == (
        f"class shares: L-infinity distance {distance:.3f}, above --max-class-drift 0.2; "
        + sentence,
    )


def test_classes_that_came_or_went_are_named_below_the_limit(champion_statistics):
    """Classes that are missing or new are told by name also where nothing is objected."""
    per_class = {"Fall": 50, "Spin": 50, "Jump": 20, "Clap": 30, "Walk": 50}
    report = compare(statistics(per_class), champion_statistics, max_class_drift=0.3)
    assert report.objections == ()
    assert report.missing_classes == ("Rise",)
    assert report.new_classes == ("Clap", "Jump")
    written = report.as_dict()
    assert (written["missing_classes"], written["new_classes"]) == (["Rise"], ["Clap", "Jump"])
    assert report.finding() == (
        "compared with the training clips of version 3; missing classes: Rise; "
        "new classes: Clap, Jump"
    )


def test_summary_is_one_line_of_all_that_moved(champion_statistics):
    """It names the champion, every objection and the classes, of which it lists a few."""
    per_class = {"Fall": 50, "Spin": 50, **{f"New{i}": 40 for i in range(7)}}
    report = compare(statistics(per_class, brightness=0.5), champion_statistics)
    summary = report.summary()
    assert "\n" not in summary
    assert summary.startswith(
        "the clips are not as those that version 3 was trained on: brightness: mean"
    )
    assert "; class shares: L-infinity distance 0.250, above --max-class-drift 0.2; " in summary
    assert summary.endswith(
        "; missing classes: Rise, Walk; new classes: New0, New1, New2, New3, New4 and 2 more"
        "; where that is meant, raise the limit"
    )


def test_first_run_has_nothing_to_compare_with():
    """Without a champion the report says so and objects to nothing."""
    report = drift.compare(statistics(), None, None, LIMITS)
    assert report.as_dict() == {
        "champion": None,
        "note": "no champion: this is the first version, nothing to compare with",
        "features": {},
        "new_classes": [],
        "missing_classes": [],
        "objections": [],
    }


def test_champion_without_statistics_is_told():
    """A version that was published without statistics is named, and nothing is objected."""
    report = drift.compare(statistics(), None, "version 3", LIMITS)
    assert report.champion == "version 3" and report.objections == () and report.features == {}
    assert report.note == "version 3 was published without statistics: nothing to compare with"


def test_feature_that_is_gone_is_an_objection(champion_statistics):
    """A scalar that no clip has any more cannot be measured and does not pass unseen."""
    report = compare(statistics(brightness=None), champion_statistics)
    assert report.objections == ("brightness: no clip has it, those of the champion had",)
    assert report.features["brightness"].drift is None


def test_feature_that_is_new_is_noted(champion_statistics):
    """A scalar that the champion's data did not have is no reason to stop."""
    before = statistics_pb2.DatasetFeatureStatisticsList()
    before.CopyFrom(champion_statistics)
    (dataset,) = before.datasets
    kept = [each for each in dataset.features if each.path.step[0] != "motion"]
    del dataset.features[:]
    dataset.features.extend(kept)
    report = compare(champion_statistics, before)
    assert report.objections == () and report.features["motion"].drift is None
    assert report.note == "compared with the training clips of version 3, which have no motion"


def test_no_clips_are_objected_to(champion_statistics):
    """Where a split is empty, every feature and every class is missing."""
    empty = statistics_pb2.DatasetFeatureStatisticsList()
    empty.datasets.add()
    report = compare(empty, champion_statistics)
    assert len(report.objections) == len(report.features) == 8
    assert all("no clip has it" in objection for objection in report.objections)
    assert report.missing_classes == CLASSES
    back = compare(champion_statistics, empty)
    assert back.objections == () and back.new_classes == CLASSES


def test_statistics_are_read_back(champion_statistics):
    """What was serialized is parsed to the same message."""
    content = champion_statistics.SerializeToString()
    assert drift.parse_statistics(content) == champion_statistics


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff no message", "expected a binary DatasetFeatureStatisticsList; got 12 bytes"),
        (b"", "expected one data set; got 0"),
    ],
)
def test_broken_statistics_are_told(content, message):
    """Bytes that are no statistics, and none at all, are refused."""
    with pytest.raises(ValueError, match=f"statistics: {message}"):
        drift.parse_statistics(content)
