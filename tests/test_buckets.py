"""What stages on Beam do in a bucket of Google Cloud Storage, by all three of their clients."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components import embedder
from tests.gcs_server import BUCKET, GcsServer

ROOT = Path(__file__).resolve().parent.parent
PLACE = f"gs://{BUCKET}/run/examples"


@pytest.fixture
def server(tmp_path):
    with GcsServer(tmp_path) as running:
        yield running


def run(server: GcsServer, code: str) -> object:
    """Runs Python code with the server in its environment; returns what it leaves as `said`."""
    code += "\nimport json, os; print(json.dumps(said), flush=True); os._exit(0)"
    environment = os.environ | server.environment | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_no_model_has_no_name(tmp_path):
    """A folder that is not there is not taken for an empty model."""
    with pytest.raises(FileNotFoundError, match=r"expected files; there are none in .*/model"):
        embedder.model_id(str(tmp_path / "model"))


def test_a_models_name_does_not_depend_on_its_place(server, tmp_path):
    """A model has the same name in a folder and in a bucket, where folders' names end in "/"."""
    names = ("assets/a", "assets.extra/b", "model.pb", "variables/c")
    for name in names:
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        server.put(f"model/{name}", name.encode(), {})
    places = [str(tmp_path / "model"), f"gs://{BUCKET}/model"]
    code = f"from components import embedder\nsaid = [embedder.model_id(p) for p in {places}]"
    here, there = run(server, code)
    assert here == there


def test_shards_and_stores_are_written_without_marks_of_folders(server):
    """Only files are made, by writers that may not ask for the bucket."""
    said = run(
        server,
        f"""
from components.clip_example_gen import examples, store
from components import embedder
clips = store.ClipStore("gs://{BUCKET}/store")
clip = store.StoredClip("key", "clip", 1, 1, 1.0, 1.0, b"", b"", "", b"content")
list(clips.write([clip]))
examples.write_shard("{PLACE}/Split-train/data", "{PLACE}/temporary", [b"one", b"two"])
read = embedder.read_examples("{PLACE}/Split-train/data")
said = [len(clips.index()), [example.decode() for example in read]]
""",
    )
    assert said == [1, ["one", "two"]]
    shard, part = sorted(server.objects)
    assert shard == "run/examples/Split-train/data" and part.endswith(".parquet")


def test_marks_of_folders_are_removed(server):
    """TensorFlow's marks go, at every depth, and files stay; where there is nothing, nothing is."""
    server.put("run/examples2/", b"", {})
    said = run(
        server,
        f"""
import tensorflow as tf
from pipeline.kubeflow import entrypoint
tf.io.gfile.makedirs("{PLACE}/Split-train/empty")
with tf.io.gfile.GFile("{PLACE}/Split-train/data", "w") as file:
    file.write("content")
said = sorted(tf.io.gfile.listdir("{PLACE}/Split-train"))
entrypoint.remove_folder_marks("{PLACE}")
entrypoint.remove_folder_marks("gs://{BUCKET}/run/nothing")
""",
    )
    assert said == ["data", "empty/"]
    assert sorted(server.objects) == ["run/examples/Split-train/data", "run/examples2/"]


def test_an_index_is_read_back(server):
    """In a bucket, too, where Arrow cannot seek to the end of a file."""
    said = run(
        server,
        f"""
import numpy as np
from components.bulk_inferrer import index
made = index.CellIndex(np.arange(3), np.array([[0, 1], [1, 0]]))
index.write_index(made, "gs://{BUCKET}/neighbors/index.npz")
read = index.read_index("gs://{BUCKET}/neighbors/index.npz")
said = [read.cell_of.tolist(), read.nearest_cells.tolist()]
""",
    )
    assert said == [[0, 1, 2], [[0, 1], [1, 0]]]
