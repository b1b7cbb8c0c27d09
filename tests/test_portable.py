"""The Beam pipelines of this project's stages can run elsewhere: on Flink, Dataflow, any runner."""

import base64
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

import sample_library
from components import artifacts
from components.bulk_inferrer import executor as bulk_inferrer
from components.bulk_inferrer import neighbors, tables
from components.clip_example_gen import executor as clip_example_gen
from tests.portable import Captured
from tests.range_server import RangeServer

ROOT = Path(__file__).resolve().parent.parent
#: In a process that has the code and nothing else of this one: each DoFn's class, and its texts.
LOAD = """
import base64, json, pickletools, sys
import cloudpickle
from apache_beam.internal import pickler
for payload in json.load(sys.stdin):
    loaded = pickler.loads(base64.b64decode(payload))
    function = loaded[0] if isinstance(loaded, tuple) else loaded
    operations = pickletools.genops(cloudpickle.dumps(loaded))
    print(json.dumps([type(function).__name__, [a for _, a, _ in operations if type(a) is str]]))
"""


@pytest.fixture
def bucket(tmp_path):
    """Stands for a folder that workers elsewhere see, too."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


def capture(executor, act):
    """Lets an executor act up to its Beam pipeline; returns that in its portable form."""
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=[
            "--runner=tests.portable.CapturingRunner",
            "--sdk_container_image=none",  # else TFX packs itself
        ],
        tmp_dir="",
        unique_id="1",
    )
    with pytest.raises(Captured) as captured:
        act(executor(context))
    return captured.value.pipeline


def load_elsewhere(pipeline, tmp_path):
    """Returns, by class, the texts that DoFns hold as a worker's process finds them."""
    payloads = []
    for transform in pipeline.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            pardo = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            if pardo.do_fn.payload:  # not Beam's own
                payloads.append(base64.b64encode(pardo.do_fn.payload).decode())
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD],
        input=json.dumps(payloads),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, filter(lambda line: line[0] == "[", done.stdout.splitlines())))


def check_paths(functions, bucket):
    """Fails if a DoFn holds a path of this machine that is not in the bucket."""
    for text in itertools.chain.from_iterable(functions.values()):
        if text.endswith(".py"):  # where code is from, for tracebacks
            continue
        assert str(ROOT) not in text and sys.prefix not in text
        assert not text.startswith("/") or text.startswith(str(bucket)), text


def test_ingestion_is_portable(bucket, tmp_path):
    """ClipExampleGen's DoFns load elsewhere, and know no path but those that they are given."""
    library = sample_library.make_library(
        tmp_path / "library.zip",
        classes=("Fall", "Rise"),
        clips_per_group={1: 1, 8: 1, 25: 1},
        num_frames=(8, 9),
    )
    examples = standard_artifacts.Examples()
    examples.uri = str(bucket / "examples")
    with RangeServer({"library.zip": library.read_bytes()}) as server:
        properties = {
            "source": server.url("library.zip"), "classes": "2", "clips_per_class": "[1, 1, 1]",
            "split": "ucf101-1", "split_fractions": "[0.6, 0.2, 0.2]", "num_frames": 4,
            "frame_step": 2, "num_windows": 1, "image_size": 32, "seed": 1,
            "max_reject_fraction": 0.0, "fetch_workers": 2, "fetch_timeout": 10.0,
            "store_dir": str(bucket / "store"), "decode_version": "1",
        }  # fmt: skip
        pipeline = capture(
            clip_example_gen.Executor,
            lambda executor: executor.Do({}, {"examples": [examples]}, properties),
        )
    functions = load_elsewhere(pipeline, tmp_path)
    assert "_MakeShard" in functions
    check_paths(functions, bucket)


def make_inputs(bucket):
    """Makes what BulkInferrer takes: Examples of two shards, a model, its blessing, no champion."""
    examples, model = standard_artifacts.Examples(), standard_artifacts.Model()
    champion, blessing = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
    found = {"examples": examples, "model": model, "champion": champion}
    for name, artifact in (found | {"retrieval_blessing": blessing}).items():
        artifact.uri = str(bucket / name)
    examples.split_names = '["train"]'
    blessing.set_int_custom_property("blessed", 1)
    (bucket / "examples" / "Split-train").mkdir(parents=True)
    for shard in range(2):
        name = f"data_tfrecord-{shard:05d}-of-00002"
        (bucket / "examples" / "Split-train" / name).touch()
    return {name: [artifact] for name, artifact in found.items()} | {
        "retrieval_blessing": [blessing]
    }


def test_embedding_is_portable(bucket, tmp_path):
    """BulkInferrer's first pipeline loads elsewhere, and knows no path but its artifacts'."""
    embeddings, table = artifacts.Embeddings(), artifacts.NeighborTable()
    embeddings.uri, table.uri = str(bucket / "embeddings"), str(bucket / "neighbors")
    outputs = {"embeddings": [embeddings], "neighbors": [table]}
    properties = {"embed_engine": "tensorflow"}
    pipeline = capture(
        bulk_inferrer.Executor,
        lambda executor: executor.Do(make_inputs(bucket), outputs, properties),
    )
    functions = load_elsewhere(pipeline, tmp_path)
    assert any(text.startswith(str(bucket / "model")) for text in functions["_EmbedShard"])
    check_paths(functions, bucket)


def test_search_is_portable(bucket, tmp_path):
    """Its second one, too."""
    vectors = np.eye(4, dtype=np.float32)
    names = tuple(f"clip{row}" for row in range(4))
    for name in ("embeddings", "neighbors"):
        (bucket / name).mkdir()
    tables.write_embeddings(
        str(bucket / "embeddings" / "embeddings-0.parquet"),
        tables.EmbeddingTable(names, names, names, ("train",) * 4, vectors, "m", names, "e"),
    )

    pipeline = capture(
        bulk_inferrer.Executor,
        lambda executor: executor._find_neighbors(
            str(bucket / "embeddings"),
            str(bucket / "neighbors"),
            neighbors.NeighborOptions(2),
            exact_limit=2,
            min_recall=0.0,
        ),
    )
    functions = load_elsewhere(pipeline, tmp_path)
    assert "_FindNeighbors" in functions
    check_paths(functions, bucket)
