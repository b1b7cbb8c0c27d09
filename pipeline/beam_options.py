"""Options of the stages' Beam pipelines: the settings', and DirectRunner's where they run here."""

import argparse
from collections.abc import Sequence

from pipeline.config import PipelineConfig

_LOCAL = (
    # Threads in this process: OpenCV, TensorFlow and FAISS release the interpreter's lock.
    "--direct_running_mode=multi_threading",
    "--direct_num_workers=0",
    # Without an image TFX packs itself for remote workers, seconds for each stage.
    "--sdk_container_image=none",
)
#: Beam's runners whose workers are on this machine; Beam takes their names in any case.
_LOCAL_RUNNERS = frozenset({"direct", "bundlebaseddirect", "prism"})


def of_all(config: PipelineConfig) -> list[str]:
    """Returns the options of every stage."""
    return [*(() if runs_elsewhere(config.beam_args) else _LOCAL), *config.beam_args]


def of_statistics_gen(config: PipelineConfig) -> list[str]:
    """Returns those that StatisticsGen has besides.

    Its reading is Python's, one thread at a time, and each worker builds TFDV's large graph anew:
    with a second one it takes half as long again.
    """
    return [] if runs_elsewhere(config.beam_args) else ["--direct_running_mode=in_memory"]


def runs_elsewhere(beam_args: Sequence[str]) -> bool:
    """Tells whether Beam's options name a runner whose workers may be on other machines."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--runner", default="DirectRunner")
    runner = parser.parse_known_args(list(beam_args))[0].runner
    return runner.split(".")[-1].lower().removesuffix("runner") not in _LOCAL_RUNNERS
