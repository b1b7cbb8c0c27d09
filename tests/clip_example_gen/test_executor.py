"""The whole node on Beam's DirectRunner."""

import json
import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components import features
from components.clip_example_gen import executor
from components.clip_example_gen.component import ClipExampleGen

BEAM_ARGS = [
    "--direct_running_mode=multi_threading",
    "--direct_num_workers=2",
    # No image is used here; without the name of one, TFX packs itself for workers elsewhere.
    "--sdk_container_image=none",
]


@pytest.fixture(scope="module")
def library(tmp_path_factory, make_video) -> Path:
    """Two classes of 40 clips in 20 groups."""
    folder = tmp_path_factory.mktemp("library")
    for seed in range(80):
        name, group, clip = ("Rise", "Fall")[seed % 2], seed // 4 + 1, seed // 2 % 2 + 1
        make_video(folder / name / f"v_{name}_g{group:02d}_c{clip:02d}.avi", seed=seed)
    return folder


def _component(library: Path, **changes) -> ClipExampleGen:
    arguments = {
        "source": str(library),
        "classes": 2,
        "clips_per_class": (20, 5, 10),
        "split": "ucf101-1",
        "num_frames": 4,
        "frame_step": 3,
        "image_size": 16,
        "seed": 0,
        "data_version": "data",
        "code_version": "code",
    }
    return ClipExampleGen(**arguments | changes)


def _run(output: Path, component: ClipExampleGen) -> standard_artifacts.Examples:
    """Runs the component's executor as an orchestrator does, and returns its artifact."""
    examples = standard_artifacts.Examples()
    examples.uri = str(output)
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(BEAM_ARGS), tmp_dir=str(output.parent / "tmp"), unique_id="1"
    )
    runner = component.executor_spec.executor_class(context)
    runner.Do({}, {"examples": [examples]}, dict(component.exec_properties))
    return examples


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_two_runs_write_the_same_bytes(library, tmp_path, caplog):
    """Splits, tables and artifact are complete, and a second run is identical byte for byte."""
    with caplog.at_level(logging.INFO, logger="clip_recommender.progress"):
        artifact = _run(tmp_path / "one", _component(library))
    assert json.loads(artifact.split_names) == list(features.SPLITS)
    assert artifact.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert len(artifact.get_string_custom_property("input_fingerprint")) == 64

    files = _files(tmp_path / "one")
    assert sorted(files) == [
        "Split-eval/data_tfrecord-00000-of-00001",
        "Split-test/data_tfrecord-00000-of-00001",
        "Split-train/data_tfrecord-00000-of-00002",
        "Split-train/data_tfrecord-00001-of-00002",
        "clips.parquet",
        "rejects.parquet",
    ]
    rows = pq.read_table(tmp_path / "one" / "clips.parquet").to_pylist()
    assert [row["clip_id"] for row in rows] == sorted(row["clip_id"] for row in rows)
    in_records = set()
    for split in features.SPLITS:
        paths = sorted(str(p) for p in (tmp_path / "one" / f"Split-{split}").iterdir())
        for record in tf.data.TFRecordDataset(paths):
            feature = tf.train.Example.FromString(record.numpy()).features.feature
            assert len(feature[features.FRAMES].bytes_list.value) == 4
            in_records.add((feature[features.CLIP_ID].bytes_list.value[0].decode(), split))
    assert in_records == {(row["clip_id"], row["split"]) for row in rows}
    assert len(rows) == 2 * (20 + 5 + 10)
    assert pq.read_table(tmp_path / "one" / "rejects.parquet").num_rows == 0

    seen = [r.progress for r in caplog.records if hasattr(r, "progress")]
    assert [(p.task, p.done, p.total) for p in seen] == [("clips", i, 70) for i in range(1, 71)]

    _run(tmp_path / "two", _component(library))
    assert _files(tmp_path / "two") == files


def test_few_rejects_are_told_and_many_stop_the_run(library, tmp_path):
    """One bad clip in 70 stops the run and is named; the same clip in 101 is only recorded."""
    broken = tmp_path / "library"
    for path in library.rglob("*.avi"):
        copy = broken / path.relative_to(library)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (broken / "Rise" / "v_Rise_g10_c01.avi").write_bytes(b"")
    everything = _component(broken, clips_per_class=(99, 33, 99))
    with pytest.raises(ValueError, match=r"1 of 80 clips .*v_Rise_g10_c01 \(decode\): .*empty"):
        _run(tmp_path / "one", everything)

    good = (library / "Rise" / "v_Rise_g10_c02.avi").read_bytes()
    for index in range(21):
        (broken / "Rise" / f"v_Rise_g11_c{index + 10}.avi").write_bytes(good)
    _run(tmp_path / "two", everything)
    (reject,) = pq.read_table(tmp_path / "two" / "rejects.parquet").to_pylist()
    assert (reject["clip_id"], reject["stage"]) == ("v_Rise_g10_c01", "decode")
    assert pq.read_table(tmp_path / "two" / "clips.parquet").num_rows == 100


def test_real_clips_are_a_source(real_clips, tmp_path):
    """The real clips of UCF101 fill all three splits of ucf101-1."""
    component = _component(real_clips / "UCF-101", classes=6)
    _run(tmp_path / "out", component)
    rows = pq.read_table(tmp_path / "out" / "clips.parquet").to_pylist()
    splits_of = {row["clip_id"]: row["split"] for row in rows}
    assert len(rows) == 12
    assert set(splits_of.values()) == set(features.SPLITS)
    assert splits_of["v_Diving_g01_c01"] == "test"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "absent"}, "found nothing at 'absent'"),
        ({"classes": ["Raise"]}, "did you mean Rise"),
        ({"clips_per_class": (1, 2)}, "three numbers"),
    ],
)
def test_bad_parameters_stop_before_any_work(library, tmp_path, changes, message):
    """A bad parameter is named, and nothing is written."""
    with pytest.raises(ValueError, match=message):
        _run(tmp_path / "out", _component(library, **changes))
    assert not (tmp_path / "out").exists()


def test_metrics_count_the_work(library, tmp_path, monkeypatch):
    """Beam's counters hold clips, rejects, decoded frames and fetched bytes."""
    results = []
    make_pipeline = executor.Executor._make_beam_pipeline

    def keep_result(self):
        pipeline = make_pipeline(self)
        run = pipeline.run
        pipeline.run = lambda *args: results.append(run(*args)) or results[-1]
        return pipeline

    monkeypatch.setattr(executor.Executor, "_make_beam_pipeline", keep_result)
    _run(tmp_path / "out", _component(library, clips_per_class=(2, 1, 1)))
    counters = {
        counter.key.metric.name: counter.committed
        for counter in results[0].metrics().query()["counters"]
        if counter.key.metric.namespace == "clip_example_gen"
    }
    rows = pq.read_table(tmp_path / "out" / "clips.parquet").to_pylist()
    assert counters == {
        "clips": 8,
        "rejects": 0,
        "decoded_frames": sum(row["num_frames"] for row in rows),
        "fetched_bytes": sum(row["size"] for row in rows),
    }
