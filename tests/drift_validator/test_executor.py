"""The whole node on artifacts on disk."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import channel, standard_artifacts

from components.drift_validator import executor
from components.drift_validator.component import DriftValidator

LIMITS = {"max_drift": 0.4, "max_class_drift": 0.2, "code_version": "test"}


def clips(brightness=0.4, class_names=("Fall", "Rise", "Spin", "Walk")):
    rng = np.random.default_rng(0)
    count = 40 * len(class_names)
    return tfdv.generate_statistics_from_dataframe(
        pd.DataFrame(
            {
                "clip_id": [f"clip{i}" for i in range(count)],
                "group": [f"group{i // 4}" for i in range(count)],
                "class_name": np.repeat(class_names, 40),
                "num_frames": rng.integers(29, 120, count),
                "width": np.full(count, 320),
                "height": np.full(count, 240),
                "fps": np.full(count, 25.0),
                "duration_sec": rng.uniform(1, 5, count),
                "brightness": rng.normal(brightness, brightness / 10, count),
                "motion": rng.uniform(0.02, 0.12, count),
            }
        )
    )


@pytest.fixture
def validate(tmp_path):
    """Runs the node and returns its folder; without clips the champion has no statistics."""

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        (tmp_path / name).mkdir()
        return made

    def run(now, champion_version=None, champion_clips=None):
        statistics = artifact(standard_artifacts.ExampleStatistics, "statistics")
        statistics.split_names = '["train", "test"]'
        # The split that is not compared has nothing in common with the champion's.
        for split, found in (("train", now), ("test", clips(0.9, ("Other",)))):
            (tmp_path / "statistics" / f"Split-{split}").mkdir()
            path = tmp_path / "statistics" / f"Split-{split}" / "FeatureStats.pb"
            path.write_bytes(found.SerializeToString())
        champion = artifact(standard_artifacts.Model, "champion")
        if champion_version:
            manifest = tmp_path / "champion" / "manifest.json"
            manifest.write_text(json.dumps({"version": champion_version}))
        if champion_clips:
            (tmp_path / "champion" / "statistics.pb").write_bytes(
                champion_clips.SerializeToString()
            )
        drift = artifact(standard_artifacts.ExampleAnomalies, "drift")
        executor.Executor().Do(
            {"statistics": [statistics], "champion": [champion]}, {"drift": [drift]}, LIMITS
        )
        assert drift.splits == ["train"]

    return run


def report_in(tmp_path):
    return json.loads((tmp_path / "drift" / "drift.json").read_text())


def anomalies_in(tmp_path):
    path = tmp_path / "drift" / "Split-train" / "SchemaDiff.pb"
    return anomalies_pb2.Anomalies.FromString(path.read_bytes())


def test_clips_as_before_pass(validate, tmp_path):
    """The report holds every feature's drift with its limit, and nothing is objected."""
    validate(clips(), 3, clips())
    report = report_in(tmp_path)
    assert (report["champion"], report["objections"]) == ("version 3", [])
    assert report["note"] == "compared with the training clips of version 3"
    scalars = ("num_frames", "width", "height", "fps", "duration_sec", "brightness", "motion")
    limits = dict.fromkeys(scalars, 0.4) | {"class_name": 0.2}
    assert {name: each["limit"] for name, each in report["features"].items()} == limits
    assert all(each["drift"] == pytest.approx(0) for each in report["features"].values())
    found = anomalies_in(tmp_path)
    assert not found.anomaly_info
    assert {info.path.step[0] for info in found.drift_skew_info} == set(limits)


def test_halved_brightness_stops_the_run(validate, tmp_path, caplog):
    """The error is one line that names the feature; report and log were written before it."""
    with (
        caplog.at_level("INFO"),
        pytest.raises(
            ValueError,
            match=r"^the clips are not as those that version 3 was trained on: "
            r"brightness: mean 0\.198 .*, the champion's data had mean 0\.395 .*; "
            r"Jensen-Shannon divergence 0\.99\d, above --max-drift 0\.4; .*raise the limit$",
        ) as raised,
    ):
        validate(clips(brightness=0.2), 3, clips())
    assert "\n" not in str(raised.value)
    report = report_in(tmp_path)
    assert len(report["objections"]) == 1 and report["objections"][0] in str(raised.value)
    assert report["features"]["brightness"]["drift"] > 0.4
    assert set(anomalies_in(tmp_path).anomaly_info) == {"brightness"}
    (logged,) = [each for each in caplog.messages if each.startswith("drift: ")]
    assert json.loads(logged.removeprefix("drift: ")) == report


def test_missing_class_stops_the_run(validate, tmp_path):
    """One class of four is more than the limit, and is named with its clips."""
    with pytest.raises(ValueError, match=r"class Rise has 0 of 120 clips, .* 40 of 160; missing"):
        validate(clips(class_names=("Fall", "Spin", "Walk")), 3, clips())
    assert report_in(tmp_path)["missing_classes"] == ["Rise"]


def test_new_class_is_reported(validate, tmp_path, caplog):
    """A fifth class is within the limit; the report and the console name it."""
    caplog.set_level("INFO")
    validate(clips(class_names=("Fall", "Jump", "Rise", "Spin", "Walk")), 3, clips())
    report = report_in(tmp_path)
    assert (report["new_classes"], report["missing_classes"]) == (["Jump"], [])
    (said,) = [record.note for record in caplog.records if hasattr(record, "note")]
    assert said.endswith("; new classes: Jump")
    assert report["features"]["class_name"] == {"drift": pytest.approx(0.2), "limit": 0.2}


def test_first_run(validate, tmp_path):
    """Without a champion the report says so, and the artifact is readable all the same."""
    validate(clips())
    report = report_in(tmp_path)
    assert report["champion"] is None and report["note"].startswith("no champion")
    assert report["features"] == {} and report["objections"] == []
    assert anomalies_in(tmp_path) == anomalies_pb2.Anomalies()


def test_champion_without_statistics(validate, tmp_path):
    """A champion that was published without statistics stops nothing, and the note says why."""
    validate(clips(brightness=0.2), 3)
    report = report_in(tmp_path)
    assert (report["champion"], report["features"]) == ("version 3", {})
    assert "version 3 was published without statistics" in report["note"]


def test_declaration():
    """Limits and code are properties, so that the cache sees them."""
    component = DriftValidator(
        statistics=channel.Channel(type=standard_artifacts.ExampleStatistics),
        champion=channel.Channel(type=standard_artifacts.Model),
        **LIMITS,
    )
    assert dict(component.exec_properties) == LIMITS
    assert component.outputs["drift"].type is standard_artifacts.ExampleAnomalies
