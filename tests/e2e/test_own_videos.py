"""A folder of one's own videos, named as people name them, through to recommendations."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from components import features
from tests.e2e.runs import ROOT, TINY, run_locally
from tests.e2e.test_local_run import table, write_video

CLASSES = ("cats & dogs", "Größe “XL”", "it's 100% fun")
UNLABELED = ("new one.avi", "Ещё 'один'.avi", "-q.avi")


def _make_library(folder):
    rng = np.random.default_rng(0)
    for class_name, index in itertools.product(CLASSES, range(8)):
        look = rng.integers(0, 256, (1, 48, 48, 3), np.uint8)
        frames = np.concatenate([np.roll(look, step, axis=1) for step in range(20)])
        write_video(folder / class_name / f"clip №{index} ({class_name}).avi", frames)
    for name in UNLABELED:
        look = rng.integers(0, 256, (1, 48, 48, 3), np.uint8)
        write_video(folder / name, np.repeat(look, 20, axis=0))


def test_own_videos_are_recommended(tmp_path):
    """Spaces, quotes and other scripts do no harm; unlabeled clips are served, never trained on."""
    library = tmp_path / "my videos"
    _make_library(library)
    (library / "cats & dogs" / "no video.avi").write_bytes(b"")
    arguments = [*TINY, "--split", "group-hash", "--max-reject-fraction", "0.05"]
    run = run_locally(tmp_path / "out put", "--source", library, *arguments)
    assert run.code == 0, run.stdout + run.stderr
    assert "unlabeled 3" in run.stdout
    assert "no video (decode: " in run.stdout

    clips = table(run.live / "clips.parquet")
    labels = dict(zip(clips["clip_id"], clips["class_name"], strict=True))
    unlabeled = {name.removesuffix(".avi") for name in UNLABELED}
    assert {clip_id for clip_id, name in labels.items() if not name} == unlabeled
    assert set(labels.values()) == {"", *CLASSES}
    neighbors = table(run.live / "neighbors.parquet")
    assert unlabeled <= set(neighbors["query_id"])
    assert set(neighbors["query_id"]) == set(labels)

    examples = run.artifact("ClipExampleGen", "examples")
    for split in features.SPLITS:
        for record in tf.data.TFRecordDataset(
            [str(path) for path in (examples / f"Split-{split}").iterdir()]
        ):
            feature = tf.train.Example.FromString(record.numpy()).features.feature
            assert feature[features.CLASS_NAME].bytes_list.value[0].decode() in CLASSES
    vocabulary = next(run.artifact("Transform", "transform_graph").rglob("assets/class_name"))
    assert set(vocabulary.read_text().splitlines()) == set(CLASSES)
    rejects = pq.read_table(examples / "rejects.parquet").to_pylist()
    assert [row["clip_id"] for row in rejects] == ["cats & dogs/no video"]

    command = [
        sys.executable,
        "recommend.py",
        "--push-dir",
        run.output_dir / "published",
        "--format",
        "jsonl",
    ]
    for clip_id in sorted(unlabeled):
        asked = subprocess.run(
            [*command, f"--clip-id={clip_id}"], cwd=ROOT, capture_output=True, text=True
        )
        assert asked.returncode == 0, asked.stderr
        assert len(json.loads(asked.stdout)["neighbors"]) == 5
