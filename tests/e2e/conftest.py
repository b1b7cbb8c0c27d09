"""One run of the whole pipeline on a tiny library, shared by the tests of its results."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import sample_library

ROOT = Path(__file__).resolve().parent.parent.parent
#: Test clips of group 1, training clips of 8 to 10, evaluation clips of 25.
CLIPS_PER_GROUP = {1: 2, 8: 2, 9: 2, 10: 2, 25: 2}
CLASSES = ("DriftLeft", "Grow", "Rise")
TINY = (
    "--classes", "3", "--clips-per-class", "6,2,2", "--num-frames", "4", "--frame-step", "5",
    "--image-size", "32", "--epochs", "2", "--batch-size", "4", "--k", "5", "--min-accuracy", "0",
    "--min-recall", "0",
)  # fmt: skip


class Run(NamedTuple):
    """What a run of `local_runner.py` left behind."""

    output_dir: Path
    code: int
    stdout: str
    stderr: str

    @property
    def live(self) -> Path:
        """The published version."""
        published = self.output_dir / "published"
        return published / (published / "CURRENT").read_text().strip()

    @property
    def manifest(self) -> dict:
        """Its manifest."""
        return json.loads((self.live / "manifest.json").read_text())

    def artifact(self, stage: str, output: str) -> Path:
        """The newest artifact of a stage."""
        folders = (self.output_dir / "pipeline" / stage / output).iterdir()
        return max(folders, key=lambda folder: int(folder.name))


def run_locally(output_dir: Path, *arguments: object) -> Run:
    """Runs `local_runner.py` as a user does."""
    command = [sys.executable, "local_runner.py", "--output-dir", output_dir, *arguments]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    return Run(output_dir, done.returncode, done.stdout, done.stderr)


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
