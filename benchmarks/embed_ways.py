"""What benchmarks/embed.py compares: ways to embed a library.

Each function takes a `Job` and imports what it needs, in a process that nothing else runs in.
"""

import functools
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from train_networks import Job as Clips
from train_networks import prepare as prepare_clips

from components import published
from components.bulk_inferrer.settings import OPENVINO, TENSORFLOW

if TYPE_CHECKING:
    from tfx import types

#: Clips of a file of Examples, as ClipExampleGen writes them.
_CLIPS_PER_SHARD = 32
#: One clip in so many is new to a library that grows.
NEW_OF = 100
#: The bare ways run for so long.
_BARE_SEC = 10
#: Else TFX packs itself for workers elsewhere.
_BEAM_ARGS = ["--sdk_container_image=none"]


class Job(NamedTuple):
    """What is measured.

    Attributes:
      work_dir: for Examples, model and results.
      clips: how many are embedded, of those that were prepared.
      num_windows: of a clip.
    """

    work_dir: str
    clips: int
    num_windows: int

    @property
    def examples_dir(self) -> Path:
        """Of the Examples artifact with `clips` clips."""
        return Path(self.work_dir, f"examples-{self.clips}")

    @property
    def model_dir(self) -> Path:
        """Of the Model artifact."""
        return Path(self.work_dir, "model")

    def result_dir(self, engine: str) -> Path:
        """Of the Embeddings artifact that an engine makes."""
        return Path(self.work_dir, f"embeddings-{self.clips}-{engine}")


def prepare(clips: Clips, sizes: tuple[int, ...]) -> None:
    """Writes Examples artifacts of so many clips each, and a network that nobody trained."""
    import keras
    import tensorflow_transform as tft

    from components import embedder
    from components.clip_example_gen import examples
    from components.trainer import model, signatures

    prepare_clips(clips)
    made = list(embedder.read_examples(clips.records))
    for size in sizes:
        folder = Job(clips.work_dir, size, 0).examples_dir / "Split-train"
        count = -(-size // _CLIPS_PER_SHARD)
        for index in range(count):
            path = str(folder / f"data_tfrecord-{index:05d}-of-{count:05d}")
            examples.write_shard(path, f"{clips.work_dir}/temp", made[index:size:count])
    keras.utils.set_random_seed(0)
    network = model.build_network(clips.config().num_frames, clips.image_size, 10)
    target = Job(clips.work_dir, 0, 0).model_dir / "Format-Serving"
    signatures.export(network, tft.TFTransformOutput(clips.transform_dir), str(target))


def _inputs(job: Job) -> dict[str, list["types.Artifact"]]:
    """Returns the artifacts that both BulkInferrers take."""
    from tfx.types import standard_artifacts

    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names = str(job.examples_dir), json.dumps(["train"])
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    model = standard_artifacts.Model()
    model.uri = str(job.model_dir)
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = job.work_dir
    blessing.set_int_custom_property("blessed", 1)
    return {"examples": [examples], "model": [model], "model_blessing": [blessing]}


def _context(job: Job) -> object:
    from tfx.dsl.components.base import base_beam_executor

    return base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=_BEAM_ARGS, tmp_dir=f"{job.work_dir}/beam", unique_id="1"
    )


def run_component(job: Job, engine: str, *, growing: bool = False) -> float:
    """Runs BulkInferrer's executor: the engine's check, embedding, the neighbor table.

    Args:
      job: what to embed.
      engine: that embeds.
      growing: whether all clips but one in NEW_OF were published before.

    Returns:
      Seconds.
    """
    from tfx.types import standard_artifacts

    from components import artifacts
    from components.bulk_inferrer import executor
    from pipeline.config import PipelineConfig

    champion = standard_artifacts.Model()
    champion.uri = f"{job.work_dir}/champion"
    shutil.rmtree(champion.uri, ignore_errors=True)
    if growing:
        _publish_most(job.result_dir(engine), Path(champion.uri))
    embeddings, table = artifacts.Embeddings(), artifacts.NeighborTable()
    embeddings.uri = str(job.result_dir("growing" if growing else engine))
    table.uri = f"{job.work_dir}/neighbors"
    for artifact in (embeddings, table):
        shutil.rmtree(artifact.uri, ignore_errors=True)
        Path(artifact.uri).mkdir()
    inputs = _inputs(job)
    inputs |= {"champion": [champion], "retrieval_blessing": inputs["model_blessing"]}
    names = ("k", "min_score", "exclude_group", "one_per_group", "exact_limit", "min_index_recall")
    properties = {name: getattr(PipelineConfig(), name) for name in names}
    start = time.perf_counter()
    executor.Executor(_context(job)).Do(
        inputs,
        {"embeddings": [embeddings], "neighbors": [table]},
        {**properties, "embed_engine": engine},
    )
    return time.perf_counter() - start


def _publish_most(result_dir: Path, champion_dir: Path) -> None:
    """Writes the embeddings of an earlier library: one clip in NEW_OF was not there."""
    import numpy as np

    from components.bulk_inferrer import tables

    whole = tables.read_embeddings(str(result_dir))
    keep = np.flatnonzero(np.arange(len(whole.clip_ids)) % NEW_OF != 0)
    columns = ("clip_ids", "class_names", "groups", "splits", "example_digests")
    of_columns: dict[str, Any] = {
        name: tuple(getattr(whole, name)[row] for row in keep) for name in columns
    }
    champion_dir.mkdir()
    path = str(champion_dir / published.EMBEDDINGS_FILE)
    tables.write_embeddings(path, whole._replace(vectors=whole.vectors[keep], **of_columns))


def run_stock(job: Job) -> float:
    """Runs TFX's own BulkInferrer on the same Examples and signature; returns seconds."""
    from google.protobuf import json_format
    from tfx.components.bulk_inferrer import executor
    from tfx.proto import bulk_inferrer_pb2
    from tfx.types import standard_artifacts

    result = standard_artifacts.InferenceResult()
    result.uri = f"{job.work_dir}/stock"
    shutil.rmtree(result.uri, ignore_errors=True)
    model_spec = bulk_inferrer_pb2.ModelSpec(model_signature_name=["embed"])
    data_spec = bulk_inferrer_pb2.DataSpec()
    start = time.perf_counter()
    executor.Executor(_context(job)).Do(
        _inputs(job),
        {"inference_result": [result]},
        {
            "model_spec": json_format.MessageToJson(model_spec, preserving_proto_field_name=True),
            "data_spec": json_format.MessageToJson(data_spec, preserving_proto_field_name=True),
        },
    )
    return time.perf_counter() - start


def _per_second(forward: Callable[[], None], windows: int, job: Job) -> float:
    """Returns the clips a second of a forward pass of so many windows, repeated."""
    forward()  # traces, allocates
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < _BARE_SEC:
        forward()
        done += windows
    return done / job.num_windows / (time.perf_counter() - start)


def bare_tensorflow(job: Job) -> float:
    """Returns the clips a second of the network alone, on frames in memory, in float32."""
    import numpy as np
    import tensorflow as tf

    from components import embedder

    loaded = embedder.Embedder(str(job.model_dir / "Format-Serving"))
    embed = loaded.signature("embed_frames")
    shape = (embedder.BATCH_SIZE, *embed.structured_input_signature[1]["frames"].shape[1:])
    frames = tf.constant(np.random.default_rng(0).random(shape, np.float32))
    return _per_second(lambda: embed(frames=frames)["embedding"].numpy(), len(frames), job)


def bare_openvino(job: Job) -> float:
    """Returns the same of OpenVINO: one window in a request, as many requests as it likes best."""
    import numpy as np

    from components import embedder
    from components.bulk_inferrer.openvino_engine import openvino  # sends no usage statistics

    loaded = embedder.Embedder(str(job.model_dir / "Format-Serving"))
    network = openvino.convert_model(loaded.signature("embed_frames"))
    network.reshape([1, *list(network.inputs[0].partial_shape)[1:]])
    compiled = openvino.Core().compile_model(network, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    queue = openvino.AsyncInferQueue(compiled)
    frames = np.random.default_rng(0).random(tuple(network.inputs[0].shape), np.float32)

    def forward() -> None:
        for _ in range(8):
            queue.start_async({0: frames})
        queue.wait_all()

    return _per_second(forward, 8, job)


#: Engine -> clips a second of the network alone.
BARE: dict[str, Callable[[Job], float]] = {TENSORFLOW: bare_tensorflow, OPENVINO: bare_openvino}


class Way(NamedTuple):
    """A component that embeds a library: its engine, and what returns the seconds of a job."""

    engine: str
    run: Callable[[Job], float]


WHOLE, GROWING, STOCK = "BulkInferrer, openvino", "the same, 1 % new", "BulkInferrer of TFX"
#: Each by name; GROWING takes what WHOLE left, STOCK may not run.
WAYS = {
    "BulkInferrer, tensorflow": Way(
        TENSORFLOW, functools.partial(run_component, engine=TENSORFLOW)
    ),
    WHOLE: Way(OPENVINO, functools.partial(run_component, engine=OPENVINO)),
    GROWING: Way(OPENVINO, functools.partial(run_component, engine=OPENVINO, growing=True)),
    STOCK: Way(TENSORFLOW, run_stock),
}
