"""The whole pipeline, run as a user runs it."""

import itertools
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.e2e.runs import CLASSES, ROOT, TINY, run_locally
from tests.range_server import RangeServer

REAL_CLIPS = ROOT.parent / "shared" / "real-clips" / "UCF-101"


def table(path):
    return pq.read_table(path).to_pydict()


def neighbor_ids(run):
    rows = table(run.live / "neighbors.parquet")
    return list(zip(rows["query_id"], rows["rank"], rows["neighbor_id"], strict=True))


def write_video(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    size = frames.shape[2], frames.shape[1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    for frame in frames:
        writer.write(frame)
    writer.release()


def test_publishes_every_clip_once(first_run):
    """All 30 clips are in the published tables, by the split that their group gives them."""
    clips = table(first_run.live / "clips.parquet")
    assert len(set(clips["clip_id"])) == 30
    assert set(clips["class_name"]) == set(CLASSES)
    expected = {1: "test", 8: "train", 9: "train", 10: "train", 25: "eval"}
    for group, split in zip(clips["group"], clips["split"], strict=True):
        assert split == expected[int(group[-2:])]
    embeddings = table(first_run.live / "embeddings.parquet")
    assert sorted(embeddings["clip_id"]) == sorted(clips["clip_id"])


def test_no_group_is_in_two_splits(first_run):
    """The clips of one source video are all in one split."""
    clips = table(first_run.live / "clips.parquet")
    places = set(zip(clips["group"], clips["split"], strict=True))
    assert len(places) == len(set(clips["group"]))


def test_neighbors_equal_brute_force(first_run):
    """The table is what NumPy finds in float64 over the published vectors, without one's group."""
    embeddings = table(first_run.live / "embeddings.parquet")
    ids = np.array(embeddings["clip_id"])
    vectors = np.array(embeddings["embedding"], np.float64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    scores = vectors @ vectors.T
    groups = np.array(embeddings["group"])
    scores[groups[:, np.newaxis] == groups] = -np.inf  # itself, and its source video's others
    rows = table(first_run.live / "neighbors.parquet")
    assert len(rows["query_id"]) == 30 * 5
    position = {clip_id: index for index, clip_id in enumerate(ids)}
    for query, rank, neighbor, score in zip(*rows.values(), strict=True):
        assert query != neighbor
        best = np.sort(scores[position[query]])[::-1][rank - 1]
        assert scores[position[query], position[neighbor]] == pytest.approx(best, abs=1e-5)
        assert score == pytest.approx(best, abs=1e-5)


def test_console_shows_stages_and_summary(first_run):
    """Every stage is shown with its state, then the figures and the command that asks."""
    for stage in ("ClipExampleGen", "Trainer", "RetrievalEvaluator", "BulkInferrer", "Pusher"):
        assert f"{stage} " in first_run.stdout
    for part in ("train 18, eval 6, test 6", "test accuracy", "recommend.py --push-dir"):
        assert part in first_run.stdout
    assert "epochs 2/2" in first_run.stdout
    assert "Warning" not in first_run.stdout + first_run.stderr
    assert first_run.stderr == ""


def test_nothing_changed_publishes_nothing(first_run, library):
    """A second run says that the result is up to date and leaves it alone."""
    before = first_run.manifest
    again = run_locally(first_run.output_dir, "--source", library, *TINY)
    assert again.code == 0
    assert "already up to date" in again.stdout
    assert again.manifest == before


def test_same_seed_same_result_over_http(first_run, library, tmp_path):
    """A run on the same zip behind a server writes the same Examples, finds the same neighbors."""
    with RangeServer({"library.zip": library.read_bytes()}) as server:
        second = run_locally(tmp_path, "--source", server.url("library.zip"), *TINY)
    assert second.code == 0, second.stdout + second.stderr
    assert {request.status for request in server.requests if request.method == "GET"} == {206}
    shards = sorted(first_run.artifact("ClipExampleGen", "examples").glob("Split-*/*"))
    assert len(shards) == 3
    for shard in shards:
        twin = second.artifact("ClipExampleGen", "examples") / shard.parent.name / shard.name
        assert twin.read_bytes() == shard.read_bytes()
    assert neighbor_ids(second) == neighbor_ids(first_run)


def test_unblessed_model_is_not_published(first_run, library):
    """A bar that the model misses ends in exit code 3, a reason, and the live version as it was."""
    before = first_run.manifest
    strict = (*TINY[:-4], "--min-accuracy", "1", "--min-recall", "1")
    refused = run_locally(first_run.output_dir, "--source", library, *strict)
    assert refused.code == 3, refused.stdout + refused.stderr
    assert "below the floor of 1.000" in refused.stdout
    assert "cached" in refused.stdout  # what the bar does not touch was not done again
    evaluation = refused.artifact("RetrievalEvaluator", "evaluation")
    assert f"figures and pictures in {evaluation}" in refused.stdout
    assert {"learning_curves.png", "confusion.png", "recall_by_class.png", "embedding_map.png"} <= {
        file.name for file in evaluation.iterdir()
    }
    report = evaluation / "retrieval.json"
    found = json.loads(report.read_text())
    # The same model, measured anew as the champion of this run.
    assert found["champion"]["recall"] == found["candidate"]["recall"]
    assert refused.manifest == before


def test_champion_of_another_geometry_is_not_compared(first_run, library, tmp_path):
    """Where the live model cannot embed this run's clips, the run says so and goes on.

    Its weights are of use all the same.
    """
    shutil.copytree(first_run.output_dir / "published", tmp_path / "published")
    others = (*TINY, "--num-frames", "3", "--epochs", "1", "--warm-start")
    second = run_locally(tmp_path, "--source", library, *others)
    assert second.code == 0, second.stdout + second.stderr
    assert (second.manifest["version"], second.manifest["parent"]) == (2, 1)
    report = second.artifact("RetrievalEvaluator", "evaluation") / "retrieval.json"
    found = json.loads(report.read_text())
    assert found["champion"] is None
    assert found["champion_note"].startswith("version 1 cannot embed these clips")
    assert "compared with the training clips of version 1" in second.stdout
    assert "began with the weights of version 1; best epoch 1 of 1" in second.stdout


def test_recommends_by_id_and_by_video(first_run, library, tmp_path):
    """The published version answers for a clip of the library and for a file."""
    query, _, neighbor = neighbor_ids(first_run)[0]
    push_dir = first_run.output_dir / "published"
    command = [sys.executable, "recommend.py", "--push-dir", str(push_dir)]
    by_id = subprocess.run(
        [*command, "--clip-id", query, "-k", "3"], cwd=ROOT, capture_output=True, text=True
    )
    assert by_id.returncode == 0, by_id.stderr
    assert neighbor in by_id.stdout
    shutil.unpack_archive(library, tmp_path)
    video = next(tmp_path.rglob(f"{query}.avi"))
    by_video = subprocess.run(
        [*command, "--video", str(video), "-k", "3"], cwd=ROOT, capture_output=True, text=True
    )
    assert by_video.returncode == 0, by_video.stderr
    assert query in by_video.stdout  # the clip itself is in the library


WITHOUT_THE_PROJECT = """
import sys
import duckdb, numpy as np, pandas as pd, tensorflow as tf
version, shard = sys.argv[1:]
embeddings = pd.read_parquet(version + "/embeddings.parquet").set_index("clip_id")
model = tf.saved_model.load(version + "/model")
examples = list(tf.data.TFRecordDataset(shard).as_numpy_iterator())
given = model.signatures["embed"](tf.constant(examples[:1]))
vector = given["embedding"].numpy()[0]
clip_id = given["clip_id"].numpy()[0].decode()
np.testing.assert_allclose(vector, embeddings.embedding[clip_id], atol=1e-4)
best = duckdb.sql(f'''
    select n.neighbor_id, c.class_name from '{version}/neighbors.parquet' n
    join '{version}/clips.parquet' c on c.clip_id = n.neighbor_id
    where n.query_id = '{clip_id}' and n.rank = 1
''').fetchall()[0]
others = embeddings[embeddings.group != embeddings.group[clip_id]]
cosines = pd.Series(np.stack(others.embedding) @ vector, others.index)
assert cosines[best[0]] > cosines.max() - 1e-4, (best, cosines.nlargest(2))
assert best[0].startswith("v_" + best[1])
assert not {"components", "tfx"} & set(sys.modules)
print("whole")
"""


def test_others_read_what_is_published(first_run):
    """pandas, DuckDB and a bare TensorFlow read a version, without this project's code."""
    shard = next(first_run.artifact("ClipExampleGen", "examples").glob("Split-train/*"))
    arguments = [str(first_run.live), str(shard)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_THE_PROJECT, *arguments],
        cwd=first_run.output_dir,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "whole\n", done.stderr


def test_broken_data_stop_before_training(tmp_path):
    """Data that break the schema end the run, naming split, feature and anomaly."""
    rng = np.random.default_rng(0)
    for class_name, group in itertools.product(CLASSES, (1, 8, 9, 25)):
        name = f"UCF-101/{class_name}/v_{class_name}_g{group:02d}_c01.avi"
        write_video(tmp_path / "library" / name, rng.integers(0, 256, (20, 8, 8, 3), np.uint8))
    run = run_locally(tmp_path / "output", "--source", tmp_path / "library", *TINY)
    assert run.code == 1
    assert "ExampleValidator failed" in run.stderr
    for split in ("train", "eval", "test"):
        assert f"split {split}, feature width: " in run.stderr
    assert "Traceback" not in run.stderr
    assert not (run.output_dir / "pipeline" / "Trainer").exists()
    assert not (run.output_dir / "published" / "CURRENT").exists()


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="../shared/real-clips is not here")
def test_real_clips_are_recommended(tmp_path):
    """UCF101's own files decode, are embedded, and are recommended."""
    arguments = [*TINY, "--classes", "6", "--clips-per-class", "9,9,9", "--k", "3"]
    run = run_locally(tmp_path, "--source", REAL_CLIPS, *arguments)
    assert run.code == 0, run.stdout + run.stderr
    clips = set(table(run.live / "clips.parquet")["clip_id"])
    assert clips == {path.stem for path in REAL_CLIPS.rglob("*.avi")}
    assert {query for query, _, _ in neighbor_ids(run)} == clips
