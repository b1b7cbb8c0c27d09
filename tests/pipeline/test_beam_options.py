"""Beam's options: what runs here gets DirectRunner's, what runs elsewhere the settings' alone."""

import pytest

from pipeline import beam_options
from pipeline.config import PipelineConfig


@pytest.mark.parametrize(
    ("arguments", "elsewhere"),
    [
        ([], False),
        (["--runner=DirectRunner"], False),
        (["--runner=direct"], False),
        (["--runner", "apache_beam.runners.direct.DirectRunner"], False),
        (["--direct_num_workers=0", "--runner=FlinkRunner"], True),
        (["--runner", "DataflowRunner", "--project=p"], True),
    ],
)
def test_where_beam_runs(arguments, elsewhere):
    """What Beam's options say of the runner decides what the stages see."""
    assert beam_options.runs_elsewhere(arguments) is elsewhere


@pytest.mark.parametrize("arguments", [(), ("--runner=DirectRunner", "--direct_num_workers=3")])
def test_stages_here(arguments):
    """What the settings say comes last, so that it holds."""
    config = PipelineConfig(source="clips", beam_args=arguments)
    options = beam_options.of_all(config)
    assert options[0] == "--direct_running_mode=multi_threading"
    assert options[len(options) - len(arguments) :] == list(arguments)
    assert beam_options.of_statistics_gen(config) == ["--direct_running_mode=in_memory"]


def test_stages_elsewhere():
    """No option of DirectRunner's reaches another runner."""
    config = PipelineConfig(source="clips", beam_args=("--runner=FlinkRunner", "--parallelism=4"))
    assert beam_options.of_all(config) == ["--runner=FlinkRunner", "--parallelism=4"]
    assert beam_options.of_statistics_gen(config) == []
