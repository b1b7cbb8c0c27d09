"""Runs the node ClipExampleGen as an orchestrator does, and reads what it wrote."""

import multiprocessing
import resource
import runpy
import tempfile
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.clip_example_gen.component import ClipExampleGen

BEAM_ARGS = [
    "--direct_running_mode=multi_threading",
    "--direct_num_workers=2",
    # No image is used here; without the name of one, TFX packs itself for workers elsewhere.
    "--sdk_container_image=none",
]

DEFAULTS = {
    "classes": 2,
    "clips_per_class": (20, 5, 10),
    "split": "ucf101-1",
    "split_fractions": (0.6, 0.2, 0.2),
    "num_frames": 4,
    "frame_step": 3,
    "image_size": 16,
    "num_windows": 2,
    "seed": 0,
    "max_reject_fraction": 0.01,
    "fetch_workers": 4,
    "fetch_timeout": 60.0,
    "data_version": "data",
    "code_version": "code",
    "decode_version": "decode",
}


def ingest(output: Path, source: object, **changes: Any) -> standard_artifacts.Examples:
    """Runs the node; the store is `store` beside `output` where `changes` name no other."""
    settings = {"store_dir": str(output.parent / "store"), **DEFAULTS, **changes}
    component = ClipExampleGen(source=str(source), **settings)
    examples = standard_artifacts.Examples()
    examples.uri = str(output)
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(BEAM_ARGS), tmp_dir=str(output.parent / "tmp"), unique_id="1"
    )
    executor = component.executor_spec.executor_class(context)
    executor.Do({}, {"examples": [examples]}, dict(component.exec_properties))
    return examples


def start(
    output: Path, source: object, *, temp_dir: Path | None = None, **changes: Any
) -> multiprocessing.Process:
    """Starts `ingest` in a process of its own, which has the libraries loaded already.

    It writes its peak memory, and that at its start, in MB, to `peak` beside `output`. Temporary
    files go to `temp_dir`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["components.clip_example_gen.component"])
    names = {"arguments": (output, source), "changes": changes, "temp_dir": temp_dir}
    # A path, not a module's name: other packages bring a module `tests`, too.
    process = context.Process(target=runpy.run_path, args=(__file__, names, "__main__"))
    process.start()
    return process


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _started() -> None:
    """Runs what `start` was asked for."""
    given = globals()
    if given["temp_dir"]:
        given["temp_dir"].mkdir()
        tempfile.tempdir = str(given["temp_dir"])
    output, source = given["arguments"]
    at_start = _peak_mb()
    ingest(output, source, **given["changes"])
    (output.parent / "peak").write_text(f"{_peak_mb()} {at_start}")


def files(root: Path) -> dict[str, bytes]:
    """Returns all files below `root`, by path."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


if __name__ == "__main__":
    _started()
