"""How `recommend.py` ends where its output goes nowhere, or Ctrl-C comes: quietly, or in a line."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.published_library import make_inputs, publish_next

ROOT = Path(__file__).resolve().parents[2]

# Ctrl-C while a library is imported that makes nothing, or another error, of KeyboardInterrupt.
INTERRUPTED_IMPORT = """
import os, signal, sys

class Library:
    def find_spec(self, name, *rest):
        if name == "numpy":
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                pass

sys.meta_path.insert(0, Library())
import recommend
sys.exit(recommend.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def push_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    publish_next(folder / "out", **make_inputs(folder / "in"))
    return folder / "out"


def shell(line, push_dir, unbuffered=""):
    """Runs a line of bash in which `ask` asks; the last on stderr is the exit code of `ask`."""
    ask = f"{sys.executable} recommend.py --push-dir {push_dir}"
    return subprocess.run(
        ["bash", "-c", line.replace("ask", ask, 1) + "; echo ${PIPESTATUS[0]} >&2"],
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


CLIP = "--clip-id v_Rise_g02_c01"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "question",
    [f"{CLIP} --format csv", f"{CLIP} --format table", "--list-versions", "--verify", "--help"],
)
def test_a_reader_that_goes_is_no_error(question, unbuffered, push_dir):
    """`| head` ends quietly with 0, wherever the first write fails."""
    done = shell(f"ask {question} | true", push_dir, unbuffered)
    assert (done.stdout, done.stderr) == ("", "0\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("question", [f"{CLIP} --format jsonl", CLIP, "--list-versions"])
def test_a_full_disk_is_an_error(question, unbuffered, push_dir):
    """One line that says so, and 2."""
    done = shell(f"ask {question} > /dev/full", push_dir, unbuffered)
    line, exit_code = done.stderr.splitlines()
    assert "recommend.py: error: [Errno 28] No space left on device" in line
    assert exit_code == "2"


@pytest.mark.parametrize("question", [f"{CLIP} --format csv", CLIP, "--rollback 1"])
def test_a_closed_output_is_an_error(question, push_dir):
    """It is told before anything is done."""
    done = shell(f"ask {question} >&-", push_dir)
    message = "recommend.py: error: stdout: expected it to be open; it is closed\n2\n"
    assert done.stderr == message


def test_without_a_place_for_errors(push_dir):
    """A closed stderr changes neither answer nor exit code; so does one that cannot be written."""
    for nowhere in ("2>&-", "2>/dev/full"):
        assert shell(f"ask {CLIP} --format jsonl {nowhere}", push_dir).stdout.count("\n") == 1
        assert shell(f"ask --clip-id x {nowhere}", push_dir).stderr == "2\n"


def test_interrupted_while_it_reads(push_dir, tmp_path):
    """Ctrl-C ends it with one line and 130."""
    out = tmp_path / "out"
    subprocess.run(["cp", "-r", push_dir, out], check=True)
    endless = out / "1" / "model" / "saved_model.pb"
    endless.unlink()
    os.mkfifo(endless)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "recommend.py", "--push-dir", out, "--verify"]
    process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
    with open(endless, "wb"):  # waits until it is read
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "interrupted\n")
    assert process.returncode == 130


def test_interrupted_while_it_imports(push_dir):
    """Nor does a library that swallows KeyboardInterrupt keep it from ending."""
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, "--push-dir", push_dir, *CLIP.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
