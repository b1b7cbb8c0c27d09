"""Runs of `local_runner.py`, and what they leave behind."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("DriftLeft", "Grow", "Rise")
#: Test clips of group 1, training clips of 8 to 10, evaluation clips of 25.
CLIPS_PER_GROUP = {1: 2, 8: 2, 9: 2, 10: 2, 25: 2}
#: Options for a quick run on so few clips.
TINY = (
    "--classes", "3", "--clips-per-class", "6,2,2", "--num-frames", "4", "--frame-step", "5",
    "--image-size", "32", "--epochs", "2", "--batch-size", "4", "--k", "5", "--min-accuracy", "0",
    "--min-recall", "0",
)  # fmt: skip


class Run(NamedTuple):
    """A finished run."""

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

    @property
    def states(self) -> dict[str, str]:
        """How each stage ended, by its name: done, cached or failed."""
        return dict(re.findall(r"^[✓=✗] (\w+) +(done|cached|failed) ", self.stdout, re.MULTILINE))

    def artifact(self, stage: str, output: str) -> Path:
        """The newest artifact of a stage."""
        folders = (self.output_dir / "pipeline" / stage / output).iterdir()
        return max(folders, key=lambda folder: int(folder.name))


def run_locally(output_dir: Path, *arguments: object) -> Run:
    """Runs `local_runner.py` as a user does."""
    return finish(output_dir, start_locally(output_dir, *arguments))


def start_locally(output_dir: Path, *arguments: object) -> subprocess.Popen:
    """Starts a run."""
    command = [sys.executable, "local_runner.py", "--output-dir", output_dir, *arguments]
    return subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(output_dir: Path, process: subprocess.Popen) -> Run:
    """Waits for the end of a run."""
    stdout, stderr = process.communicate(timeout=600)
    return Run(output_dir, process.returncode, stdout, stderr)


def kill_in(stage: str, output_dir: Path, *arguments: object) -> Run:
    """Starts a run and kills it, as kill -9 does, when a stage shows its first progress."""
    process = start_locally(output_dir, *arguments)
    seen = ""
    for line in process.stdout:
        seen += line
        if line.startswith(f"  {stage} "):
            break
    process.kill()
    run = finish(output_dir, process)
    return run._replace(stdout=seen + run.stdout)
