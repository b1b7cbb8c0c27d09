"""The commands submit and schedule, from their options to the exit code."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kubeflow_runner
from pipeline.kubeflow import client
from tests.kubeflow.packages import NAME, write_package
from tests.kubeflow.server import Fault, KubeflowServer

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "token-that-nobody-may-see"
COOKIES = "session=cookie-that-nobody-may-see"
DAILY = ("--cron", "0 0 3 * * *", "--param", "source=a")
STATES = [({"plan": "RUNNING"}, "RUNNING", ""), ({"plan": "SUCCEEDED"}, "SUCCEEDED", "")]


@pytest.fixture
def server(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("KFP_", "KF_PIPELINES_")):
            monkeypatch.delenv(name)
    with KubeflowServer() as running:
        monkeypatch.setenv("KFP_HOST", running.host)
        yield running


@pytest.fixture
def package(tmp_path):
    return str(write_package(tmp_path))


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command; returns its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["kubeflow_runner.py"])

    def call(*arguments):
        try:
            code = kubeflow_runner.main(list(arguments))
        except SystemExit as stopped:
            code = stopped.code
        out, err = capsys.readouterr()
        return code, out, err

    return call


def rows(text):
    """Returns the names and values of a summary."""
    return dict(line.split("  ", 1) for line in text.splitlines() if "  " in line.strip())


def test_submit_prints_the_link_of_the_run(server, package, run):
    """It uploads, starts a run with the parameters given, and does not wait."""
    code, out, err = run("submit", package, "--param", "source=a", "--param=epochs=3")
    (made,) = server.runs.values()
    assert (code, err) == (0, "")
    assert made["runtime_config"] == {"parameters": {"source": "a", "epochs": 3}}
    assert f"{server.host}/#/runs/details/{made['run_id']}" in out
    assert "(uploaded)" in out
    assert "(already there)" in run("submit", package, "--param", "source=a")[1]
    assert not any("/runs/" in path for path in server.asked("GET"))


def test_options_reach_the_run(server, package, run, tmp_path, monkeypatch):
    """Names, root, namespace and credentials, from options and the environment."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    server.multi_user = True
    server.required = {"Authorization": f"Bearer {TOKEN}", "Cookie": COOKIES}
    monkeypatch.setenv("KFP_HOST", "http://elsewhere.invalid")
    monkeypatch.setenv("KFP_COOKIES", COOKIES)
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://ui")
    code, out, _ = run(
        "submit", package, "--param=source=a", "--host", server.host, "--namespace", "ann",
        "--token-file", str(token), "--pipeline-name", "p", "--experiment", "e",
        "--pipeline-root", "s3://b/root",
    )  # fmt: skip
    assert code == 0
    (made,), (experiment,) = server.runs.values(), server.experiments.values()
    assert (experiment["display_name"], experiment["namespace"]) == ("e", "ann")
    assert [one["display_name"] for one in server.pipelines.values()] == ["p"]
    assert made["runtime_config"]["pipeline_root"] == "s3://b/root"
    assert f"https://ui/#/runs/details/{made['run_id']}" in out


def test_wait_shows_the_tasks(server, package, run, monkeypatch):
    """Their states as they change, then the run's; the exit code is 0."""
    monkeypatch.setattr(
        client.Kubeflow.wait, "__kwdefaults__", {"poll_sec": 0.0, "patience_sec": 1}
    )
    server.history = STATES
    code, out, err = run("submit", package, "--param=source=a", "--wait")
    assert (code, err) == (0, "")
    assert out.splitlines()[-4:-2] == [f"  {'plan':<20} running", f"✓ {'plan':<20} succeeded"]
    assert out.splitlines()[-1].startswith("succeeded  http://127.0.0.1")


def test_wait_ends_with_1_where_the_run_failed(server, package, run):
    """The last line says why."""
    server.history = [({"Trainer": "FAILED"}, "FAILED", "no such image")]
    code, out, _ = run("submit", package, "--param=source=a", "--wait")
    assert code == 1
    assert out.splitlines()[-1] == "failed  no such image; in Trainer"


def test_schedule_says_what_it_did(server, package, run):
    """Created, unchanged, replaced, resumed; always one recurring run."""
    code, out, err = run("schedule", package, *DAILY)
    assert (code, err) == (0, "")
    assert rows(out)["created"].strip() == f"{NAME}, 0 0 3 * * *"
    assert f"{server.host}/#/recurringrun/details/{next(iter(server.recurring_runs))}" in out
    assert "unchanged" in run("schedule", package, *DAILY)[1]
    out = run("schedule", package, *DAILY, "--param", "epochs=3")[1]
    assert "replaced" in out
    assert rows(out)["deleted"].strip() == "1 that had the name before"
    assert run("schedule", package, "--pause")[:2] == (0, f"\npaused  {NAME}\n")
    assert "resumed" in run("schedule", package, *DAILY, "--param", "epochs=3")[1]
    assert len(server.recurring_runs) == 1


def test_schedule_is_shown_and_changed_without_a_package(server, package, run):
    """By the pipeline's name, of which this project has a default."""
    run("schedule", package, *DAILY, "--pipeline-name", "clip-recommender")
    code, out, _ = run("schedule", "--status")
    assert code == 0
    shown = {name: value.strip() for name, value in rows(out).items()}
    assert (shown["recurring run"], shown["state"]) == ("clip-recommender", "on")
    assert (shown["when"], shown["parameters"]) == ("0 0 3 * * *", "source=a")
    assert run("schedule", "--pause")[:2] == (0, "\npaused  clip-recommender\n")
    assert "paused" in run("schedule", "--status")[1]
    assert run("schedule", "--resume")[:2] == (0, "\nresumed  clip-recommender\n")
    assert run("schedule", "--delete")[:2] == (0, "\ndeleted  clip-recommender\n")
    none = "no recurring run is called clip-recommender\n"
    assert server.recurring_runs == {}
    assert run("schedule", "--status")[:2] == (0, none)
    assert run("schedule", "--delete")[:2] == (0, none)
    assert run("schedule", "--pause")[:2] == (1, none)


def test_status_tells_of_an_interruption(server, package, run):
    """Two of a name are shown, and how one of them goes."""
    run("schedule", package, *DAILY)
    server.faults = [Fault("DELETE", "/recurringruns/")]
    code, _, err = run("schedule", package, "--cron", "0 0 4 * * *", "--param=source=a")
    assert code == 1
    assert err.count("\n") == 1
    out = run("schedule", "--status", "--pipeline-name", NAME)[1]
    assert f"2 recurring runs are called {NAME}; schedule --cron leaves one" in out
    assert "unchanged" in run("schedule", package, "--cron", "0 0 4 * * *", "--param=source=a")[1]
    assert len(server.recurring_runs) == 1


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["COMMAND"]),
        (["submit"], ["PACKAGE"]),
        (["submit", "/none.yaml"], ["PACKAGE: expected a compiled pipeline at /none.yaml"]),
        (["submit", "PACKAGE"], ["--param: expected source", "no default"]),
        (["submit", "PACKAGE", "--param", "sauce=a"], ["--param: expected one of", "'sauce'"]),
        (["submit", "PACKAGE", "--param", "source=a", "--param", "epochs=x"], ["--param", "'x'"]),
        (["submit", "PACKAGE", "--param=source=a", "--host", "a:1"], ["--host: expected http"]),
        (["submit", "PACKAGE", "--param=source=a", "--token-file", "/none"], ["--token-file: "]),
        (["submit", "PACKAGE", "--param=source=a", "--ca-cert", "/none"], ["--ca-cert", "/none"]),
        (["submit", "PACKAGE", "--param=source=a", "--timeout", "-1"], ["--timeout", "-1"]),
        (["submit", "PACKAGE", "--token", TOKEN], ["unrecognized arguments: --token"]),
        (["schedule", "PACKAGE"], ["--cron", "--status", "required"]),
        (["schedule", "--cron", "0 0 3 * * *"], ["PACKAGE", "beside --cron"]),
        (["schedule", "PACKAGE", "--cron", "0 3 * * *"], ["--cron: expected six", "seconds come"]),
        (["schedule", "PACKAGE", "--cron", "0 0 3 * * *"], ["--param: expected source"]),
        (["schedule", "--status", "--pause"], ["--pause", "not allowed with", "--status"]),
        (["schedule", "--status", "--param", "source=a"], ["--param: expected --cron beside it"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(server, package, run, arguments, parts):
    """What was expected and what came; the server is not asked."""
    code, out, err = run(*[package if one == "PACKAGE" else one for one in arguments])
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("kubeflow_runner.py")
    assert all(part in err for part in parts), err
    assert server.requests == []


def test_no_host_is_bad_input(server, package, run, monkeypatch):
    """Neither an option nor the environment has one."""
    monkeypatch.delenv("KFP_HOST")
    code, _, err = run("schedule", "--status")
    assert (code, err.count("\n")) == (2, 1)
    assert "--host: expected the address of Kubeflow Pipelines" in err


@pytest.mark.parametrize(
    "fault",
    [
        *[Fault("POST", "/runs", status) for status in (0, 302, 400, 401, 403, 404, 409, 500, 503)],
        Fault("POST", "/runs", 200, b"<html>"),
        Fault("POST", "/runs", 200, b"{}"),
        Fault("POST", "/runs", 200, b"[1]"),
        Fault("POST", "/runs", 200, stall_sec=9),
    ],
)
def test_refusals_are_one_line_and_exit_code_1(server, package, run, fault):
    """Whatever the server does, nobody sees a traceback."""
    server.faults = [fault]
    code, _, err = run("submit", package, "--param=source=a", "--timeout", "0.5")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"kubeflow_runner.py: error: {server.host}: ")


def test_other_versions_are_told(server, run):
    """Kubeflow Pipelines 1 is named."""
    server.v1_only, server.tag_name = True, "1.8.5"
    code, _, err = run("schedule", "--status")
    assert code == 1
    assert "expected Kubeflow Pipelines 2, whose API is v2beta1; this one is 1.8.5" in err


@pytest.mark.parametrize("variable", ["KFP_TOKEN", "KFP_COOKIES"])
@pytest.mark.parametrize("good", [True, False])
def test_no_secret_lands_anywhere(server, package, run, monkeypatch, caplog, variable, good):
    """Not in what is printed or logged, nor in the uploaded file or any request's body."""
    secret = TOKEN if variable == "KFP_TOKEN" else COOKIES
    header = ("Authorization", f"Bearer {TOKEN}") if secret is TOKEN else ("Cookie", COOKIES)
    monkeypatch.setenv(variable, secret)
    caplog.set_level(logging.DEBUG)
    server.required = dict([header]) if good else {"Authorization": "Bearer other"}
    server.repeats_headers = True
    printed = [
        run("submit", package, "--param=source=a", "--wait"),
        run("schedule", package, *DAILY),
        run("schedule", "--status", "--pipeline-name", NAME),
    ]
    assert [code for code, *_ in printed] == ([0, 0, 0] if good else [1, 1, 1])
    assert all(request.headers[header[0]] == header[1] for request in server.requests)
    kept = (server.files, server.versions, server.pipelines, server.runs, server.recurring_runs)
    assert "nobody" not in f"{printed} {caplog.text} {kept} {Path(package).read_text()}"
    assert bool(server.files) == good


def test_help_is_fast_and_imports_little():
    """Neither kfp nor TFX nor TensorFlow is there, and options have no place for secrets."""
    code = (
        "import sys, contextlib, io, kubeflow_runner\n"
        "out = io.StringIO()\n"
        "for name in ('compile', 'submit', 'schedule'):\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):\n"
        "        kubeflow_runner.main([name, '--help'])\n"
        "print({'kfp', 'tfx', 'tensorflow', 'kubernetes'} & sys.modules.keys(), out.getvalue())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("set() usage: ")
    for option in ("--image ", "--out ", "--epochs ", "--cron ", "--wait", "--token-file "):
        assert option in done.stdout
    assert "--token " not in done.stdout
    assert "--cookies " not in done.stdout


def test_interrupted_wait_says_that_the_run_goes_on(server, package):
    """Ctrl-C ends the command with 1 and one line, not the run."""
    server.history = [({"plan": "RUNNING"}, "RUNNING", "")]
    command = [
        sys.executable,
        "kubeflow_runner.py",
        "submit",
        package,
        "--param=source=a",
        "--wait",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not any("/runs/" in path for path in server.asked("GET")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.decode() == "\ninterrupted; what was started on Kubeflow goes on\n"
    assert "/#/runs/details/" in out.decode()
    assert [one["state"] for one in server.runs.values()] == ["RUNNING"]
