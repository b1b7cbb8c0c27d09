"""What is made of the measurements; how fast is not tested."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

PRINTED = """
✓ Source               done        0.1 s
  Trainer              began with fresh weights; best epoch 25 of 30, bfloat16
✓ Trainer              done      224.2 s  epochs 30/30, loss 0.028, accuracy 0.997
= Transform            cached      0.1 s
✓ Pusher               done        1.5 s

published             version 1 in output/published/1
took                  313 s, log in output/logs/20261123-213756.log
"""


@pytest.fixture(scope="module", autouse=True)
def path():
    """The benchmarks import each other as commands do."""
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def test_stages_are_read_from_what_a_run_prints():
    """Their seconds, whether they were done or came from the cache."""
    import refresh

    expected = {"Source": 0.1, "Trainer": 224.2, "Transform": 0.1, "Pusher": 1.5}
    assert refresh.read_stages(PRINTED) == expected


def test_rows_and_finding_compare_with_the_full_run():
    """Medians of the refreshes by stage; a stage that a refresh lacks is left open."""
    import refresh

    full = refresh.Cost(200.0, 300.0, {"Source": 1.0, "Trainer": 190.0, "Pusher": 2.0})
    refreshes = [
        refresh.Cost(total, 15.0, {"Source": 1.0, "Pusher": pusher})
        for total, pusher in ((10.0, 3.0), (14.0, 4.0), (30.0, 9.0))
    ]
    assert refresh.make_rows(full, refreshes) == [
        ("Source", "1.0", "1.0"),
        ("Trainer", "190.0", ""),
        ("Pusher", "2.0", "4.0"),
        ("the rest", "7.0", "9.0"),
        ("all", "200.0", "14.0"),
        ("CPU", "300.0", "15.0"),
    ]
    assert refresh.finding(full, refreshes, 5) == (
        "a refresh after 5 new clips costs 7.0% of the full run (5.0% to 15.0%), "
        "5.0% of its CPU time"
    )


def test_new_clips_are_added_to_the_library(tmp_path):
    """One of a new source video in each of so many classes; the clips before stay."""
    import refresh

    library = tmp_path / "library.zip"
    refresh.sample_library.make_library(library, classes=("Grow",), clips_per_group={1: 1})
    refresh.add_clips(library, 2, 26)
    with zipfile.ZipFile(library) as grown:
        names = [Path(name).name for name in grown.namelist()]
        assert grown.testzip() is None
    assert names == ["v_Grow_g01_c01.avi", "v_Bounce_g26_c01.avi", "v_DriftLeft_g26_c01.avi"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clips", "11"], "expected at most 10, got 11"),
        (["--rounds", "0"], "expected at least 1, got 0"),
    ],
)
def test_bad_arguments(arguments, message):
    """They are told before anything is measured."""
    command = [sys.executable, str(BENCHMARKS / "refresh.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2 and message in done.stderr
