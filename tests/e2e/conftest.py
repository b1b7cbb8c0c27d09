"""One run of the whole pipeline on a tiny library, shared by the tests of its results."""

from pathlib import Path

import pytest

import sample_library
from tests.e2e.runs import CLASSES, CLIPS_PER_GROUP, TINY, Run, run_locally


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """A zip of 30 clips in three classes."""
    return sample_library.make_library(
        tmp_path_factory.mktemp("library") / "library.zip",
        classes=CLASSES,
        clips_per_group=CLIPS_PER_GROUP,
        num_frames=(18, 26),
    )


@pytest.fixture(scope="session")
def first_run(library, tmp_path_factory) -> Run:
    """The first run, from an empty output folder."""
    run = run_locally(tmp_path_factory.mktemp("first"), "--source", library, *TINY)
    assert run.code == 0, run.stdout + run.stderr
    return run
