"""The command runs; what it measures is not tested."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

COMMAND = Path(__file__).parents[2] / "benchmarks" / "ingest.py"


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(COMMAND), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def tables(output: str) -> list[list[list[str]]]:
    """Returns the cells that are not empty of every row below a rule, for each table."""
    parts = re.split(r"\n ─+ *\n", output)[1:]
    bodies = [re.split(r"\n *\n", part)[0].splitlines() for part in parts]
    return [[re.split(r" {2,}", row.strip()) for row in body] for body in bodies]


@pytest.fixture
def videos(tmp_path) -> Path:
    """A folder of two clips that belong to no class."""
    folder = tmp_path / "my videos"
    folder.mkdir()
    for seed in range(2):
        frames = np.random.default_rng(seed).integers(0, 255, (12, 24, 32, 3), np.uint8)
        path, codec = str(folder / f"{seed}.avi"), cv2.VideoWriter_fourcc(*"MJPG")
        video = cv2.VideoWriter(path, cv2.CAP_FFMPEG, codec, 25, (32, 24))
        for frame in frames:
            video.write(frame)
        video.release()
    return folder


def test_both_tables_are_complete_and_nothing_is_left(videos, tmp_path):
    """All readers and all sizes are there, with a figure in each column, and no file stays."""
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    options = ("--count", 5, "--rounds", 1, "--grow", "3,6", "--work-dir", work_dir)
    result = run("--clips", videos, *options)
    assert result.returncode == 0, result.stderr
    compared, grown = tables(result.stdout)
    assert [row[0] for row in compared] == ["tutorial", "decode", "decode, JPEG", "component"]
    for _, *cells in compared:
        figures = [float(cell) for cell in cells]
        assert len(figures) == 7
        assert min(figures) > 0
        peak, at_start = figures[-2:]
        assert peak >= at_start
    assert [row[0] for row in grown] == ["3", "6"]
    assert len(grown[1]) == 9
    assert len(grown[0]) == 6, "the first row is relative to none"
    assert all(float(cell) > 0 for row in grown for cell in row)
    assert list(work_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--clips", "absent"), "absent"),
        (("--count", 2), "at least 3"),
        (("--grow", "100,x"), "--grow"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    """A bad argument ends the command at once, with one line."""
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
