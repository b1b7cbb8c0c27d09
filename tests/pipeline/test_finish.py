"""The command of --on-finish."""

import json
import os
import signal
import subprocess
import sys
import time

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import beam_options, finish
from pipeline.config import PipelineConfig

RESULT = finish.Result(
    3,
    finish.NOT_BLESSED,
    "recall@1 is 0.2, below the floor of 0.3",
    push_dir="output/published",
    metrics={"recall": {"1": 0.2}},
    objections=("recall@1 is 0.2, below the floor of 0.3",),
    log="output/logs/1.log",
    seconds=12.5,
)


def is_running(pid):
    """Whether a process is there, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_command_gets_the_result(tmp_path):
    """One JSON object on standard input, under the names of the result's fields."""
    assert finish.tell(f"tee '{tmp_path}/with spaces.json'", RESULT) == ""
    told = json.loads((tmp_path / "with spaces.json").read_text())
    assert told == {
        "exit_code": 3,
        "outcome": "not blessed",
        "message": "recall@1 is 0.2, below the floor of 0.3",
        "version": None,
        "push_dir": "output/published",
        "metrics": {"recall": {"1": 0.2}},
        "objections": ["recall@1 is 0.2, below the floor of 0.3"],
        "log": "output/logs/1.log",
        "seconds": 12.5,
    }


def test_no_shell_reads_the_command(tmp_path):
    """Words are taken apart as a shell does, and are the program's as they are."""
    script = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w'))"
    arguments = f"'{tmp_path}/arguments' '$HOME and more' ; > x"
    assert finish.tell(f'{sys.executable} -c "{script}" {arguments}', RESULT) == ""
    found = json.loads((tmp_path / "arguments").read_text())
    assert found == ["$HOME and more", ";", ">", "x"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("sh -c 'exit 7'", "expected exit code 0; got 7"),
        ("/no/such/program", "cannot be run: No such file or directory"),
        ("/", "cannot be run: Permission denied"),
    ],
)
def test_what_goes_wrong_is_told(command, problem):
    """A command that fails, or cannot be run, is no exception."""
    assert finish.tell(command, RESULT) == problem


def test_a_command_need_not_read():
    """More than a pipe holds, and nobody who takes it, is no error."""
    assert finish.tell("true", RESULT._replace(message="long" * 100_000)) == ""


def test_a_command_that_hangs_is_killed(tmp_path):
    """It ends with all that it started when its time is over."""
    script = f"sleep 600 & echo $$ $! > {tmp_path}/pids; wait"
    problem = finish.tell(f'sh -c "{script}"', RESULT, time_limit_sec=3)
    assert problem == "expected an end within 3 seconds; it was killed"
    pids = (tmp_path / "pids").read_text().split()
    deadline = time.monotonic() + 30
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_running, pids))


def test_ctrl_c_ends_the_command_alone(tmp_path):
    """Whoever waits for the command no longer still learns how the run ended."""
    command = f"sh -c 'touch {tmp_path}/started; sleep 600'"
    code = (
        "from pipeline import finish; print(finish.tell({!r}, finish.Result(0, 'up to date', '')))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code.format(command)], stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted; it was killed\n"
    assert process.returncode == 0


def break_down(folder):
    """A step of a pipeline that fails as the disk does."""
    try:
        os.mkdir(f"{folder}/missing/folder")
    except OSError as error:
        raise ValueError(f"folder: {error.strerror}\nin two lines") from error


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (ValueError("source: no\nsuch"), "ClipExampleGen failed: ValueError: source: no"),
        (KeyError(), "ClipExampleGen failed: KeyError"),
        (RuntimeError("long " * 1000), "ClipExampleGen failed: RuntimeError: long long "),
    ],
)
def test_why_a_stage_failed(cause, reason):
    """The stage, the kind of error, and its first line, which is not too long."""
    error = RuntimeError("ClipExampleGen failed")
    error.__cause__ = cause
    assert finish.reason(error).startswith(reason)
    assert "\n" not in finish.reason(error) and len(finish.reason(error)) <= 500


def test_why_a_worker_failed(tmp_path):
    """Of the traceback that Beam raises, the error that it ends with."""
    options = PipelineOptions(beam_options.of_all(PipelineConfig(source="clips")))
    with pytest.raises(RuntimeError) as raised, beam.Pipeline(options=options) as pipeline:
        _ = pipeline | beam.Create([str(tmp_path)]) | "Break" >> beam.Map(break_down)
    stage = RuntimeError("ClipExampleGen failed")
    stage.__cause__ = raised.value
    assert finish.reason(stage) == (
        "ClipExampleGen failed: ValueError: folder: No such file or directory"
    )
    assert finish.reason(raised.value) == "ValueError: folder: No such file or directory"


def test_a_program_that_is_missing_is_told_beforehand():
    """Before the run, by the option's name."""
    finish.check("sh -c 'exit 7'")
    with pytest.raises(ValueError, match=r"on_finish: expected a program .* got 'mial'"):
        finish.check("mial -s 'a run' me")


def test_the_environment_is_the_runs_own(tmp_path, monkeypatch):
    """Secrets can be given to the command by variables, so that no list of processes shows them."""
    monkeypatch.setenv("TOKEN", "secret")
    assert finish.tell(f"sh -c 'echo $TOKEN > {tmp_path}/token'", RESULT) == ""
    assert (tmp_path / "token").read_text() == f"{os.environ['TOKEN']}\n"
