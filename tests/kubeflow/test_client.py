"""Uploading, running and waiting, on a server that keeps what it is given."""

import pytest

from pipeline.kubeflow import schedules
from pipeline.kubeflow.package import read_package
from pipeline.kubeflow.transport import KubeflowError
from tests.kubeflow.asking import only, reach
from tests.kubeflow.packages import NAME, PARAMETERS, write_package
from tests.kubeflow.server import Fault

UNSPECIFIED = "RUNTIME_STATE_UNSPECIFIED"
ARGUMENTS = {"source": "s3://b/clips"}


def test_submit_uploads_and_runs(server, kubeflow, package, capsys):
    """The file arrives byte for byte, as a version of the pipeline that the run is of."""
    run = kubeflow.submit(package, ARGUMENTS | {"epochs": 3}, pipeline_root="s3://b/root")
    made = only(server.runs)
    assert run.link == f"{server.host}/#/runs/details/{made['run_id']}"
    assert made["display_name"].startswith(f"{NAME} 20")
    assert made["runtime_config"] == {
        "parameters": {"source": "s3://b/clips", "epochs": 3},
        "pipeline_root": "s3://b/root",
    }
    assert made["pipeline_version_reference"] == {
        "pipeline_id": only(server.pipelines)["pipeline_id"],
        "pipeline_version_id": only(server.versions)["pipeline_version_id"],
    }
    assert run.version == (*made["pipeline_version_reference"].values(), True)
    assert only(server.files) == package.path.read_bytes()
    assert only(server.versions)["display_name"] == package.version
    assert (
        only(server.pipelines)["display_name"] == only(server.experiments)["display_name"] == NAME
    )
    assert capsys.readouterr() == ("", "")


def test_root_of_the_package_is_each_runs(server, kubeflow, tmp_path):
    """Servers pass over the one in the file: it is sent along, unless another one is asked for."""
    package = read_package(write_package(tmp_path, root="s3://b/compiled"))
    for root in ("", "s3://b/other"):
        kubeflow.submit(package, ARGUMENTS, pipeline_root=root)
        schedules.schedule(kubeflow, package, "0 0 3 * * *", ARGUMENTS, pipeline_root=root)
        sent = [list(made.values())[-1] for made in (server.runs, server.recurring_runs)]
        expected = [root or "s3://b/compiled"] * 2
        assert [one["runtime_config"]["pipeline_root"] for one in sent] == expected


def test_the_same_package_is_uploaded_once(server, kubeflow, package, tmp_path):
    """Each submit is a run; a version is made where the file changed."""
    first = kubeflow.submit(package, ARGUMENTS)
    second = kubeflow.submit(package, ARGUMENTS)
    assert second.version == (*first.version[:2], False)
    write_package(tmp_path, parameters=PARAMETERS + "    k: {defaultValue: a}\n")
    third = kubeflow.submit(read_package(package.path), ARGUMENTS)
    assert (third.version.pipeline_id, third.version.new) == (first.version.pipeline_id, True)
    counts = (
        len(server.runs),
        len(server.versions),
        len(server.pipelines),
        len(server.experiments),
    )
    assert counts == (3, 2, 1, 1)


def test_names_may_be_chosen(server, kubeflow, package):
    """The pipeline's and the experiment's; one that differs in its case alone is not taken."""
    for name in ("a+b 100%25 ü", "mine"):
        kubeflow.upload(package, name)
        assert not kubeflow.upload(package, name).new
        server.pipelines.clear()
    kubeflow.submit(package, ARGUMENTS, pipeline_name="mine", experiment="nightly")
    assert only(server.pipelines)["display_name"] == "mine"
    assert only(server.experiments)["display_name"] == "nightly"
    with pytest.raises(KubeflowError, match=r"409 Conflict: .* MINE already exists; there is one"):
        kubeflow.submit(package, ARGUMENTS, pipeline_name="MINE")


def test_lists_are_read_to_their_end(server, kubeflow, package):
    """A version on the third page is found, after two whose names differ in their case."""
    server.page_size = 1
    first = kubeflow.upload(package)
    for name in ("SHA256", "sha256"):
        other = {**server.versions[first.version_id], "pipeline_version_id": name}
        other["display_name"] = package.version.replace("sha256", name).upper()
        server.versions = {name: other, **server.versions}
    assert kubeflow.upload(package) == (*first[:2], False)
    assert server.asked("GET").count(f"/pipelines/{first.pipeline_id}/versions") == 1 + 3


def test_namespace_of_several_users(server, package):
    """Pipelines and experiments are made in the user's namespace, and found there alone."""
    server.multi_user = True
    for name in ("ann", "bob"):
        reach(server, namespace=name).submit(package, ARGUMENTS)
        schedules.schedule(reach(server, namespace=name), package, "0 0 3 * * *", ARGUMENTS)
    for made in (server.pipelines, server.experiments, server.recurring_runs):
        assert [one["namespace"] for one in made.values()] == ["ann", "bob"]


@pytest.mark.parametrize("path", ["/pipelines$", "/upload_version", "/experiments"])
def test_others_may_do_the_same_at_once(server, kubeflow, package, path):
    """What another one made between question and request is taken: the server answers 409."""
    server.faults = [Fault("POST", path, 409, after=True)]
    kubeflow.submit(package, ARGUMENTS)
    counts = (
        len(server.runs),
        len(server.versions),
        len(server.pipelines),
        len(server.experiments),
    )
    assert counts == (1, 1, 1, 1)


@pytest.mark.parametrize("path", ["/pipelines$", "/upload_version", "/experiments", "/runs"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 503])
def test_submit_refused(server, kubeflow, package, path, status):
    """Whatever is refused, and why ever, is one error; the next call goes on from there."""
    body = b'{"message": "because", "error_message": "because"}'
    server.faults = [Fault("POST", path, status, body)] * 2
    with pytest.raises(KubeflowError, match=f"{status} .*: because") as raised:
        kubeflow.submit(package, ARGUMENTS)
    assert raised.value.status == status
    server.faults = []
    kubeflow.submit(package, ARGUMENTS)
    assert (len(server.runs), len(server.versions), len(server.pipelines)) == (1, 1, 1)


def test_answers_without_an_id_are_told(server, kubeflow, package):
    """A server of another version may answer with something else."""
    server.faults = [Fault("POST", "/runs", 200, b'{"run": {"id": "1"}}')]
    with pytest.raises(KubeflowError, match=r"expected run_id in the answer.*another version"):
        kubeflow.submit(package, ARGUMENTS)


def test_wait_tells_what_changes(server, kubeflow, package):
    """Each task's state, once; not the parts that a task is made of; the end is SUCCEEDED."""
    server.history = [
        ({}, "PENDING", ""),
        ({"root": "RUNNING", "root-driver": "RUNNING"}, "RUNNING", ""),
        ({"plan-driver": "SUCCEEDED", "plan": "RUNNING", "executor": "RUNNING"}, "RUNNING", ""),
        ({"plan": "RUNNING"}, "RUNNING", ""),
        ({"plan": "SUCCEEDED", "executor": "SUCCEEDED", "Trainer": "SKIPPED"}, "SUCCEEDED", ""),
    ]
    told = []
    run = kubeflow.submit(package, ARGUMENTS)
    outcome = kubeflow.wait(run.run_id, lambda *change: told.append(change), poll_sec=0.01)
    assert outcome == ("SUCCEEDED", "")
    assert told == [("plan", "RUNNING"), ("plan", "SUCCEEDED"), ("Trainer", "SKIPPED")]


@pytest.mark.parametrize(
    ("tasks", "state", "error", "why"),
    [
        ({"Trainer": "FAILED", "executor": "FAILED"}, "FAILED", "", "in Trainer"),
        ({"Trainer-driver": "FAILED"}, "FAILED", "no\nimage", "no image; in Trainer-driver"),
        ({"Trainer": "FAILED", "Pusher": UNSPECIFIED}, "FAILED", "", "in Trainer"),
        ({"Trainer": "SUCCEEDED"}, "CANCELED", "", ""),
        ({}, "SKIPPED", "", ""),
    ],
)
def test_wait_tells_why_a_run_failed(server, kubeflow, package, tasks, state, error, why):
    """What the server says of the run, and the tasks that failed, in one line."""
    server.history = [({}, "CANCELING", ""), (tasks, state, error)]
    told = []
    run = kubeflow.submit(package, ARGUMENTS)
    outcome = kubeflow.wait(run.run_id, lambda *change: told.append(change), poll_sec=0.01)
    assert outcome == (state, why)
    assert UNSPECIFIED not in dict(told).values()  # Argo's "omitted": it will never start


def test_wait_outlasts_an_outage(server, package):
    """A server that restarts is asked again; one that refuses is not."""
    kubeflow = reach(server, attempts=1)
    run = kubeflow.submit(package, ARGUMENTS)
    server.faults = [Fault("GET", "/runs/", status) for status in (0, 503, 502)]
    assert kubeflow.wait(run.run_id, print, poll_sec=0.01).state == "SUCCEEDED"
    server.faults = [Fault("GET", "/runs/", 503)] * 9
    with pytest.raises(KubeflowError, match="503"):
        kubeflow.wait(run.run_id, print, poll_sec=0.01, patience_sec=0.02)
    server.faults = [Fault("GET", "/runs/", 401)]
    with pytest.raises(KubeflowError, match="401"):
        kubeflow.wait(run.run_id, print, poll_sec=0.01)
