"""One run at a time in an output folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import run_lock

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pipeline import run_lock
with run_lock.held(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other_run(tmp_path):
    """A process that holds the folder's lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_is_told_who_is_at_work(other_run, tmp_path):
    """It does not wait, and the message names folder and process."""
    for _ in range(2):  # asking leaves the lock as it is
        with pytest.raises(run_lock.BusyError) as busy, run_lock.held(tmp_path):
            pass
        expected = f"another run (pid {other_run.pid}) is at work in {tmp_path}"
        assert str(busy.value) == expected


def test_a_killed_run_leaves_no_lock(other_run, tmp_path):
    """After kill -9 the next run has the folder, whatever is left of the file."""
    other_run.send_signal(signal.SIGKILL)
    other_run.wait()
    assert (tmp_path / run_lock.LOCK_FILE).read_text() == f"{other_run.pid}\n"
    with run_lock.held(tmp_path):
        assert (tmp_path / run_lock.LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_an_error_releases_the_lock(tmp_path):
    """One run after the other, also where the first one fails."""
    with pytest.raises(KeyError), run_lock.held(tmp_path):
        raise KeyError
    assert (tmp_path / run_lock.LOCK_FILE).read_text() == ""
    with run_lock.held(tmp_path):
        pass


def test_the_shells_flock_takes_the_same_lock(tmp_path):
    """`flock FOLDER/.lock rm ...` does not begin beside a run, nor a run beside it."""
    flock = ["flock", "--nonblock", str(tmp_path / run_lock.LOCK_FILE), "sh", "-c"]
    with run_lock.held(tmp_path):
        assert subprocess.run([*flock, "true"], check=False).returncode == 1
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*flock, "echo held; read line"], **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(run_lock.BusyError) as busy, run_lock.held(tmp_path):
            pass
        assert str(busy.value) == f"another run is at work in {tmp_path}"
        other.communicate("\n")
    with run_lock.held(tmp_path):
        pass


def test_other_folders_are_free(other_run, tmp_path):
    """The lock is the folder's own."""
    (tmp_path / "other").mkdir()
    with run_lock.held(tmp_path / "other"):
        pass
