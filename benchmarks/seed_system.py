"""The seed system, from which this project grew, measured on the clips of a run of the pipeline.

It is a notebook around TensorFlow's tutorial: its network, trained and asked in the simplest way.
It sees what the tutorial's reader makes of a clip, from a random start, also when it is asked; its
embedding is what the network averages over time and space.
"""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from measuring import in_a_process

from components import features
from components.clip_example_gen import archive
from pipeline.config import PipelineConfig

#: Least height and width of its frames, in pixels: four times halved, one is left.
MIN_IMAGE_SIZE = 16
#: Decoded clips that are kept in memory, bytes at the most; more are read again in each epoch.
_CACHE_BYTES = 4 << 30


class Job(NamedTuple):
    """What is trained and measured.

    Attributes:
      config: of the pipeline's run: the source of the clips, and the seed of what is drawn.
      clips_file: the run's table of clips and splits.
      seconds: of training.
      image_size: height and width of the frames, pixels.
      log_file: for what libraries print.
    """

    config: PipelineConfig
    clips_file: str
    seconds: float
    image_size: int
    log_file: Path


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
      figures: as those of a model in retrieval.json.
      training: its steps and seconds.
      num_clips: that were trained on.
    """

    figures: dict[str, Any]
    training: tuple[int, float]
    num_clips: int


def open_source(config: PipelineConfig) -> archive.Archive:
    """Opens a run's source; SourceError where that cannot be."""
    return archive.open_archive(
        config.source,
        timeout_sec=config.fetch_timeout,
        download_dir=archive.download_dir(config.store_dir),
        beam_args=config.beam_args,
    )


def run(job: Job) -> Outcome:
    """Trains and measures in a process of its own."""
    return in_a_process(job.log_file, _run_here, job)


def _run_here(job: Job) -> Outcome:
    with contextlib.ExitStack() as stack:
        table = pq.read_table(job.clips_file).to_pylist()
        clips = [clip for clip in table if clip["split"] in features.SPLITS]
        paths = _fetch([clip["member"] for clip in clips], job.config, stack)
        return _train_and_measure(clips, paths, job)


def _fetch(
    members: Sequence[str], config: PipelineConfig, stack: contextlib.ExitStack
) -> list[str]:
    """Brings files here until `stack` ends; returns their paths."""
    with open_source(config) as opened:
        entry_of = {entry.member: entry for entry in opened.entries()}
        with ThreadPoolExecutor(config.fetch_workers) as pool:
            every = list(pool.map(lambda member: opened.fetch(entry_of[member]), members))
    for fetched in every:
        stack.callback(fetched.discard)
    return [fetched.path for fetched in every]


def _train_and_measure(clips: list[dict[str, Any]], paths: list[str], job: Job) -> Outcome:
    """Takes rows of the table of clips, and the path of each."""
    import keras
    import tutorial

    names = sorted({clip["class_name"] for clip in clips})
    train = [
        tutorial.LabeledClip(path, names.index(clip["class_name"]))
        for clip, path in zip(clips, paths, strict=True)
        if clip["split"] == "train"
    ]
    options = {"image_size": job.image_size, "seed": job.config.seed}
    keras.utils.set_random_seed(job.config.seed)
    network = tutorial.build_network(len(names), job.image_size)
    clip_bytes = tutorial.NUM_FRAMES * job.image_size**2 * 3 * 4  # float32
    cached = len(train) * clip_bytes <= _CACHE_BYTES
    batches = tutorial.training_batches(train, cached=cached, **options)
    training = tutorial.train_for(network, batches, job.seconds)
    figures = measure(clips, tutorial.embed(network, paths, **options))
    return Outcome(figures, (training.steps, training.seconds), len(train))


def measure(clips: list[dict[str, Any]], vectors: np.ndarray) -> dict[str, Any]:
    """Measures embeddings: queries are the test clips, the gallery all others.

    Args:
      clips: n rows of the run's table of clips.
      vectors: float32 [n, d], of unit norm.

    Returns:
      Figures as those of a model in retrieval.json.
    """
    from components.retrieval_evaluator import bootstrap, metrics

    is_query = np.array([clip["split"] == "test" for clip in clips])
    classes = np.array([clip["class_name"] for clip in clips])
    groups = np.array([clip["group"] for clip in clips])
    measured = metrics.evaluate_retrieval(
        vectors[is_query],
        classes[is_query].tolist(),
        vectors[~is_query],
        classes[~is_query].tolist(),
    )
    intervals = bootstrap.metric_intervals(measured, groups[is_query].tolist())
    return {**measured.as_dict(), "intervals": intervals}
