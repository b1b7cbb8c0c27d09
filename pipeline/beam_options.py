"""Options of the stages' Beam pipelines: the settings', and DirectRunner's unless they name one."""

from pipeline.config import PipelineConfig

_LOCAL = (
    # Threads in this process: OpenCV, TensorFlow and FAISS release the interpreter's lock.
    "--direct_running_mode=multi_threading",
    "--direct_num_workers=0",
    # Without an image TFX packs itself for remote workers, seconds for each stage.
    "--sdk_container_image=none",
)


def of_all(config: PipelineConfig) -> list[str]:
    """Returns the options of every stage."""
    return [*(() if _runs_elsewhere(config) else _LOCAL), *config.beam_args]


def of_statistics_gen(config: PipelineConfig) -> list[str]:
    """Returns those that StatisticsGen has besides.

    Its reading is Python's, one thread at a time, and each worker builds TFDV's large graph anew:
    with a second one it takes half as long again.
    """
    return [] if _runs_elsewhere(config) else ["--direct_running_mode=in_memory"]


def _runs_elsewhere(config: PipelineConfig) -> bool:
    return any(argument.startswith("--runner") for argument in config.beam_args)
