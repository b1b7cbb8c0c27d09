"""The readers that benchmarks/ingest.py compares.

Each takes a `Job`, imports what it needs, and returns a function that reads every clip once and
returns how many there were.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

NUM_FRAMES, FRAME_STEP, IMAGE_SIZE = 10, 15, 224
SAMPLING = {
    "num_frames": NUM_FRAMES,
    "frame_step": FRAME_STEP,
    "image_size": IMAGE_SIZE,
    "num_windows": 1,  # as the tutorial's
}


class Job(NamedTuple):
    """What a reader gets.

    Attributes:
      clips_dir: folder of the clips.
      threads: that decode.
      scratch_dir: for what it writes; empty.
    """

    clips_dir: str
    threads: int
    scratch_dir: str

    def videos(self) -> list[Path]:
        """Returns the clips, sorted."""
        return sorted(Path(self.clips_dir).iterdir())


def read_as_the_tutorial(job: Job) -> Callable[[], int]:
    """Seeks to a random start, reads every frame from there on, resizes with TensorFlow."""
    import random

    import tutorial

    rng = random.Random(0)
    return lambda: sum(
        len(tutorial.read_clip(str(path), rng)) == tutorial.NUM_FRAMES for path in job.videos()
    )


def decode_in_threads(job: Job, *, encode: bool = False) -> Callable[[], int]:
    """Decodes with `clips.decode` and nothing around it, or with the frames' JPEGs."""
    from components.clip_example_gen import clips

    def read(path: Path) -> bool:
        frames = clips.decode(path, **SAMPLING).frames
        jpegs = [clips.encode_jpeg(frame) for frame in frames] if encode else frames
        return len(jpegs) == NUM_FRAMES

    def work() -> int:
        with ThreadPoolExecutor(job.threads) as pool:
            return sum(pool.map(read, job.videos()))

    return work


def run_component(job: Job) -> Callable[[], int]:
    """Runs ClipExampleGen's executor: listing, Beam's start, decoding, store, shards, tables."""
    import pyarrow.parquet as pq
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components import published
    from components.clip_example_gen.component import ClipExampleGen

    component = ClipExampleGen(
        source=job.clips_dir,
        classes=1,
        clips_per_class=(10**9, 10**9, 10**9),
        split="ucf101-1",
        split_fractions=(0.6, 0.2, 0.2),
        seed=0,
        max_reject_fraction=0.0,
        fetch_workers=8,
        fetch_timeout=300.0,
        store_dir=f"{job.scratch_dir}/store",
        data_version="",
        code_version="",
        decode_version="",
        **SAMPLING,
    )
    examples = standard_artifacts.Examples()
    examples.uri = f"{job.scratch_dir}/examples"
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=[
            "--direct_running_mode=multi_threading",
            f"--direct_num_workers={job.threads}",
            "--sdk_container_image=none",  # else TFX packs itself for workers elsewhere
        ],
        tmp_dir=f"{job.scratch_dir}/tmp",
        unique_id="1",
    )
    executor = component.executor_spec.executor_class(context)

    def work() -> int:
        executor.Do({}, {"examples": [examples]}, dict(component.exec_properties))
        return pq.read_metadata(f"{examples.uri}/{published.CLIPS_FILE}").num_rows

    return work


TUTORIAL, BARE, COMPONENT = "tutorial", "decode", "component"
READERS: dict[str, Callable[[Job], Callable[[], int]]] = {
    TUTORIAL: read_as_the_tutorial,
    BARE: decode_in_threads,
    "decode, JPEG": functools.partial(decode_in_threads, encode=True),
    COMPONENT: run_component,
}
