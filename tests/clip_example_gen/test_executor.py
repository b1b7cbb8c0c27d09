"""The whole node on Beam's DirectRunner."""

import json
import logging
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components import features
from components.clip_example_gen import executor
from tests.ingestion import files, ingest


@pytest.fixture(scope="module")
def library(tmp_path_factory, make_video) -> Path:
    """Two classes of 40 clips in 20 groups."""
    folder = tmp_path_factory.mktemp("library")
    for seed in range(80):
        name, group, clip = ("Rise", "Fall")[seed % 2], seed // 4 + 1, seed // 2 % 2 + 1
        make_video(folder / name / f"v_{name}_g{group:02d}_c{clip:02d}.avi", seed=seed)
    return folder


def test_two_runs_write_the_same_bytes(library, tmp_path, caplog):
    """Splits, tables and artifact are complete, and a second run is identical byte for byte."""
    with caplog.at_level(logging.INFO, logger="clip_recommender.progress"):
        artifact = ingest(tmp_path / "one", library)
    assert json.loads(artifact.split_names) == list(features.SPLITS)
    assert artifact.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert len(artifact.get_string_custom_property("input_fingerprint")) == 64

    written = files(tmp_path / "one")
    assert sorted(written) == [
        "Split-eval/data_tfrecord-00000-of-00001",
        "Split-test/data_tfrecord-00000-of-00001",
        "Split-train/data_tfrecord-00000-of-00002",
        "Split-train/data_tfrecord-00001-of-00002",
        "clips.parquet",
        "duplicates.parquet",
        "previews/eval-00000-of-00001.parquet",
        "previews/test-00000-of-00001.parquet",
        "previews/train-00000-of-00002.parquet",
        "previews/train-00001-of-00002.parquet",
        "rejects.parquet",
    ]
    rows = pq.read_table(tmp_path / "one" / "clips.parquet").to_pylist()
    assert [row["clip_id"] for row in rows] == sorted(row["clip_id"] for row in rows)
    in_records = set()
    for split in features.SPLITS:
        paths = sorted(str(p) for p in (tmp_path / "one" / f"Split-{split}").iterdir())
        for record in tf.data.TFRecordDataset(paths):
            feature = tf.train.Example.FromString(record.numpy()).features.feature
            assert len(feature[features.FRAMES].bytes_list.value) == 2 * 4  # windows of frames
            in_records.add((feature[features.CLIP_ID].bytes_list.value[0].decode(), split))
    assert in_records == {(row["clip_id"], row["split"]) for row in rows}
    assert len(rows) == 2 * (20 + 5 + 10)
    strips = pq.read_table(tmp_path / "one" / "previews").to_pylist()
    assert {row["clip_id"] for row in strips} == {row["clip_id"] for row in rows}
    assert all(row["preview"][8:12] == b"WEBP" for row in strips)
    assert pq.read_table(tmp_path / "one" / "rejects.parquet").num_rows == 0

    seen = [r.progress for r in caplog.records if hasattr(r, "progress")]
    assert {(p.task, p.total) for p in seen} == {("clips", 70)}
    counts = [p.done for p in seen]
    assert counts == sorted(set(counts))
    assert counts[-1] == 70

    ingest(tmp_path / "two", library, store_dir=str(tmp_path / "other store"))
    assert files(tmp_path / "two") == written


def test_few_rejects_are_told_and_many_stop_the_run(library, tmp_path):
    """One bad clip in 70 stops the run and is named; the same clip in 101 is only recorded."""
    broken = Path(shutil.copytree(library, tmp_path / "library"))
    (broken / "Rise" / "v_Rise_g10_c01.avi").write_bytes(b"")
    everything = {"clips_per_class": (99, 33, 99)}
    with pytest.raises(ValueError, match=r"1 of 80 clips .*v_Rise_g10_c01 \(decode\): .*empty"):
        ingest(tmp_path / "one", broken, **everything)

    good = (library / "Rise" / "v_Rise_g10_c02.avi").read_bytes()
    for index in range(21):  # the bytes behind the video make each another file
        copy = good + bytes([index])
        (broken / "Rise" / f"v_Rise_g11_c{index + 10}.avi").write_bytes(copy)
    ingest(tmp_path / "two", broken, **everything)
    (reject,) = pq.read_table(tmp_path / "two" / "rejects.parquet").to_pylist()
    assert (reject["clip_id"], reject["stage"]) == ("v_Rise_g10_c01", "decode")
    assert pq.read_table(tmp_path / "two" / "clips.parquet").num_rows == 100


def test_names_that_cannot_be_used_stop_the_run_before_anything_is_fetched(library, tmp_path):
    """Files of which too many can be no clips are told at once, all of them in the table."""
    broken = Path(shutil.copytree(library, tmp_path / "library"))
    for index in range(30):
        (broken / "Rise" / f"line\n{index}.avi").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"30 of 70 clips .*control character.*and 10 more; see "):
        ingest(tmp_path / "out", broken)
    assert pq.read_table(tmp_path / "out" / "rejects.parquet").num_rows == 30
    assert not (tmp_path / "store").exists()


def test_duplicates_are_kept_once_and_look_alikes_are_told(library, tmp_path):
    """Of the same bytes one clip is taken; the same look in another split is only reported."""
    copied = Path(shutil.copytree(library, tmp_path / "library"))
    original = copied / "Rise" / "v_Rise_g09_c01.avi"
    (copied / "Rise" / "v_Rise_g09_c07.avi").write_bytes(original.read_bytes())
    (copied / "Rise" / "v_Rise_g03_c07.avi").write_bytes(original.read_bytes() + b"other end")
    ingest(tmp_path / "out", copied, clips_per_class=(99, 33, 99))
    rows = pq.read_table(tmp_path / "out" / "duplicates.parquet").to_pylist()
    exact = [row for row in rows if row["kind"] == "exact"]
    assert [(row["clip_id"], row["other_clip_id"]) for row in exact] == [
        ("v_Rise_g09_c07", "v_Rise_g09_c01")
    ]
    near = {(row["clip_id"], row["other_clip_id"]): row for row in rows if row["kind"] == "near"}
    found = near["v_Rise_g03_c07", "v_Rise_g09_c01"]
    assert (found["split"], found["other_split"], found["distance"]) == ("test", "train", 0)
    taken = set(pq.read_table(tmp_path / "out" / "clips.parquet")["clip_id"].to_pylist())
    assert "v_Rise_g09_c07" not in taken
    assert {"v_Rise_g03_c07", "v_Rise_g09_c01"} <= taken


def test_real_clips_are_a_source(real_clips, tmp_path):
    """The real clips of UCF101 fill all three splits of ucf101-1."""
    ingest(tmp_path / "out", real_clips / "UCF-101", classes=6)
    rows = pq.read_table(tmp_path / "out" / "clips.parquet").to_pylist()
    splits_of = {row["clip_id"]: row["split"] for row in rows}
    assert len(rows) == 12
    assert set(splits_of.values()) == set(features.SPLITS)
    assert splits_of["v_Diving_g01_c01"] == "test"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "absent"}, "absent"),
        ({"classes": ["Raise"]}, "did you mean Rise"),
        ({"clips_per_class": (1, 2)}, "three numbers"),
    ],
)
def test_bad_parameters_stop_before_any_work(library, tmp_path, changes, message):
    """A bad parameter is named, and nothing is written."""
    with pytest.raises(ValueError, match=message):
        ingest(tmp_path / "out", **{"source": library, **changes})
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
    ingest(tmp_path / "out", library, clips_per_class=(2, 1, 1))
    counters = {
        counter.key.metric.name: counter.committed
        for counter in results[0].metrics().query()["counters"]
        if counter.key.metric.namespace == "clip_example_gen"
    }
    rows = pq.read_table(tmp_path / "out" / "clips.parquet").to_pylist()
    assert counters == {
        "clips": 8,
        "rejects": 0,
        "reused": 0,
        "fetched": 8,
        "wire_bytes": 0,
        "retries": 0,
        "decoded_frames": sum(row["num_frames"] for row in rows),
        "fetched_bytes": sum(row["size"] for row in rows),
    }
