"""The command runs; how fast is not tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "benchmarks" / "neighbors.py"


def run(*arguments):
    command = [sys.executable, str(COMMAND), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_the_table_is_complete():
    """Each way has its figures, or is not installed; exact ways find everything."""
    done = run("--size", 3000, "--dim", 32, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    rows = [re.split(r" {2,}", line.strip()) for line in done.stdout.splitlines()]
    found = {row[0]: row[1:] for row in rows if len(row) > 1}
    assert found.pop("way")[0] == "seconds"
    for way in ("ours, exact", "faiss.knn", "NumPy blocks"):
        _, ratio, peak_mb, recall = found[way]
        assert float(ratio[:-1]) > 0 and float(peak_mb) > 50 and float(recall) > 0.999, way
    assert found["faiss.knn"][1] == "1.00x"
    # So few vectors have too few cells for an index to be of use.
    assert found["ours, by index"] == ["recall below 0.99"]
    assert found["hnswlib"][0] == "not installed" or float(found["hnswlib"][-1]) > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "5"], "--size: expected 100 or more; got 5"),
        (["--rounds", "0"], "--rounds: expected 1 or more; got 0"),
        (["--size", "200", "--k", "200"], "--k: expected less than --size; got 200"),
    ],
)
def test_bad_arguments(arguments, message):
    """They are told before anything is measured."""
    done = run(*arguments)
    assert done.returncode == 2 and message in done.stderr
