"""What benchmarks/train.py compares: two networks, and the ways to feed them.

Each function takes a `Job` and imports what it needs, in a process that nothing else runs in.
"""

import functools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ceiling import matmul_speed, training_flops

from components import features
from pipeline.config import PipelineConfig

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    import tensorflow_transform as tft

    from components.trainer.settings import TrainSettings

ROOT = Path(__file__).resolve().parent.parent
NUM_CLASSES, SEED = 10, 0
#: Steps that are not measured, at the start of each measurement.
WARM_UP = 2
#: Ours is fed in one way and the other this often, so that what else the machine does hits both.
ALTERNATIONS = 4

FIRST, LATER = "tutorial, first epoch", "tutorial, later epochs"
FED, MEMORY = "ours, our input", "ours, from memory"
CEILING = "ours, at matmul's speed"


class Job(NamedTuple):
    """What is measured.

    Attributes:
      clips_dir: folder of `steps * batch_size` clips.
      work_dir: for Examples and their transform graph.
      steps: of training, in each measurement.
      batch_size: clips in a step.
      image_size: height and width of the frames, pixels.
    """

    clips_dir: str
    work_dir: str
    steps: int
    batch_size: int
    image_size: int

    @property
    def records(self) -> str:
        """TFRecord file of the clips' Examples."""
        return f"{self.work_dir}/examples/clips"

    @property
    def transform_dir(self) -> str:
        """The transform graph."""
        return f"{self.work_dir}/transform"

    def videos(self) -> list[Path]:
        """Returns the clips, sorted."""
        return sorted(Path(self.clips_dir).iterdir())

    def config(self) -> PipelineConfig:
        """Returns the pipeline's settings: its defaults, but for size and batch."""
        return PipelineConfig(image_size=self.image_size, batch_size=self.batch_size)


class Speed(NamedTuple):
    """One measurement.

    Attributes:
      steps_per_sec: of training.
      share: of the speed that the machine's matrix products would allow.
      steps_per_cpu_sec: by the processor time of all threads; None where nothing was trained.
    """

    steps_per_sec: float
    share: float
    steps_per_cpu_sec: float | None


class _Time(NamedTuple):
    """On the clock, and of the processor time of all threads; in seconds."""

    clock: float
    cpu: float

    @classmethod
    def now(cls) -> "_Time":
        return cls(time.perf_counter(), time.process_time())

    def since(self, start: "_Time") -> "_Time":
        return _Time(self.clock - start.clock, self.cpu - start.cpu)

    def speed(self, steps: int, ceiling: float) -> Speed:
        """Returns that of `steps` in this time; the machine might make `ceiling` in a second."""
        speed = steps / self.clock
        return Speed(speed, speed / ceiling, steps / self.cpu)


def prepare(job: Job) -> None:
    """Writes the clips' Examples, as the pipeline stores them, and the transform graph."""
    from components.clip_example_gen import clips, examples

    config = job.config()

    def example(index: int, path: Path) -> bytes:
        clip = clips.decode(
            path,
            num_frames=config.num_frames,
            frame_step=config.frame_step,
            image_size=config.image_size,
            num_windows=config.num_windows,
        )
        return examples.to_example(
            clip_id=path.stem,
            group=path.stem,
            class_name=f"Class{index % NUM_CLASSES}",
            **clip._asdict(),
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(example, *zip(*enumerate(job.videos()), strict=True)))
    examples.write_shard(job.records, f"{job.work_dir}/temp", made)
    _analyze(made[:NUM_CLASSES], job)


def _analyze(examples: list[bytes], job: Job) -> None:
    """Writes the transform graph; all it learns of the Examples is the names of their classes."""
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.public import tfxio

    from components.transform import preprocessing

    schema_text = (ROOT / "schema" / "schema.pbtxt").read_text()
    schema = text_format.Parse(schema_text, schema_pb2.Schema())
    geometry = {"num_frames": job.config().num_frames, "image_size": job.image_size}
    of_clips = functools.partial(preprocessing.preprocessing_fn, custom_config=geometry)
    source = tfxio.TFExampleBeamRecord("benchmark", schema=schema)
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=f"{job.work_dir}/temp"):
        batches = pipeline | beam.Create(examples) | source.BeamSource()
        analyzed = (batches, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(of_clips)
        _ = analyzed | tft_beam.WriteTransformFn(job.transform_dir)
        raw_dir = f"{job.transform_dir}/{tft.TFTransformOutput.RAW_METADATA_DIR}"
        _ = tft.DatasetMetadata(schema) | tft_beam.WriteMetadata(raw_dir, pipeline)


def measure_tutorial(job: Job) -> dict[str, Speed]:
    """Trains the tutorial's network for three epochs; the first decodes all clips before it trains.

    The buffer that shuffles is larger than the epoch, and is filled before the first step.
    """
    import keras
    import tutorial

    clips = [tutorial.LabeledClip(str(p), i % NUM_CLASSES) for i, p in enumerate(job.videos())]
    keras.utils.set_random_seed(SEED)
    network = tutorial.build_network(NUM_CLASSES, job.image_size)
    batches = functools.partial(
        tutorial.training_batches, image_size=job.image_size, batch_size=job.batch_size, seed=SEED
    )
    network.fit(batches(clips[: job.batch_size]), epochs=WARM_UP, verbose=0)
    moments = [_Time.now()]
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: moments.append(_Time.now()))
    network.fit(batches(clips), epochs=3, verbose=0, callbacks=[clock])
    ceiling = matmul_speed() / training_flops(network, job.batch_size)
    start, first, _, last = moments
    return {
        FIRST: first.since(start).speed(job.steps, ceiling),
        LATER: last.since(first).speed(2 * job.steps, ceiling),
    }


def measure_ours(job: Job) -> dict[str, Speed]:
    """Trains our network on its input, and on one batch that is kept in memory."""
    import keras
    import tensorflow as tf
    import tensorflow_transform as tft

    from components.trainer import precision

    told = _train_settings(job)
    keras.utils.set_random_seed(told.seed)
    tf.config.experimental.enable_op_determinism()  # as the Trainer does
    transform = tft.TFTransformOutput(job.transform_dir)
    product = matmul_speed()
    with precision.used(precision.choose(told.precision)):
        network = _our_network(told, transform, job.steps)
        fed = _our_batches(job, told, transform)
        kept = tf.data.Dataset.from_tensors(next(iter(fed))).repeat()
        ways = {FED: fed, MEMORY: kept}
        for batches in ways.values():  # traces; while it does, the input would get ahead
            network.fit(batches, steps_per_epoch=WARM_UP, verbose=0)
        ceiling = product / training_flops(network, job.batch_size)
        times: dict[str, list[_Time]] = {FED: [], MEMORY: []}
        for turn in range(ALTERNATIONS):
            for name in (FED, MEMORY) if turn % 2 else (MEMORY, FED):
                times[name].append(_fit(network, ways[name], job.steps))
    speeds = {
        name: _Time(*map(sum, zip(*each, strict=True))).speed(ALTERNATIONS * job.steps, ceiling)
        for name, each in times.items()
    }
    return {**speeds, CEILING: Speed(ceiling, 1.0, None)}


def _train_settings(job: Job) -> "TrainSettings":
    """Returns the Trainer's settings, as the pipeline makes them of its own."""
    from components.trainer.settings import TrainSettings

    config = job.config()
    named = {"crop": "augment_crop", "flip": "augment_flip", "color": "augment_color"}
    return TrainSettings(
        **{name: getattr(config, named.get(name, name)) for name in TrainSettings._fields}
    )


def _our_network(
    told: "TrainSettings", transform: "tft.TFTransformOutput", total_steps: int
) -> "keras.Model":
    from components.trainer import train

    num_classes = transform.vocabulary_size_by_name(features.CLASS_NAME)
    return train.compiled_network(told, num_classes, total_steps)


def _our_batches(
    job: Job, told: "TrainSettings", transform: "tft.TFTransformOutput"
) -> "tf.data.Dataset":
    import numpy as np

    from components.trainer import augmentation, input_fn

    num_classes = transform.vocabulary_size_by_name(features.CLASS_NAME)
    return input_fn.training_batches(
        [job.records],
        transform,
        told.batch_size,
        num_clips=job.steps * job.batch_size,
        seed=told.seed,
        changes=augmentation.Augmentation(told.crop, told.flip, told.color, told.temporal_jitter),
        class_weights=np.ones(num_classes, np.float32),
    )


def _fit(network: "keras.Model", batches: "tf.data.Dataset", steps: int) -> _Time:
    """Trains for `steps` after those of the warm-up; returns how long they took."""
    import keras

    moments: list[_Time] = []

    def mark(batch: int, logs: dict) -> None:
        if batch + 1 in (WARM_UP, WARM_UP + steps):
            float(logs["loss"])  # waits for a GPU
            moments.append(_Time.now())

    clock = keras.callbacks.LambdaCallback(on_train_batch_end=mark)
    network.fit(batches, steps_per_epoch=WARM_UP + steps, verbose=0, callbacks=[clock])
    return moments[1].since(moments[0])
