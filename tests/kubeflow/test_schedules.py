"""One recurring run of a name, whatever comes between."""

import itertools

import pytest

from pipeline.kubeflow import schedules
from pipeline.kubeflow.package import read_package
from pipeline.kubeflow.transport import KubeflowError
from tests.kubeflow.asking import only
from tests.kubeflow.packages import NAME, PARAMETERS, write_package
from tests.kubeflow.server import Fault

DAILY = "0 0 3 * * *"
ARGUMENTS = {"source": "s3://b/clips"}


@pytest.mark.parametrize(
    "cron",
    ["0 0 3 * * *", "*/5 0-30/10 1,2,3 ? JAN-mar MON-FRI", "0 0 0 1/2 12 0", " 0  0 3 * *  6 "],
)
def test_cron_of_six_fields(cron):
    """Numbers, names, ranges, steps and lists, as Kubeflow's scheduler reads them."""
    assert schedules.check_cron(cron) == " ".join(cron.split())


@pytest.mark.parametrize(
    ("cron", "parts"),
    [
        ("0 3 * * *", ["six fields", "'0 3 * * *'", "seconds come first"]),
        ("@daily", ["six fields", "@daily"]),
        ("", ["six fields", "''"]),
        ("60 0 3 * * *", ["second", "0 to 59", "'60'"]),
        ("0 0 24 * * *", ["hour", "0 to 23", "'24'"]),
        ("0 0 3 0 * *", ["day of the month", "1 to 31", "'0'"]),
        ("0 0 3 * 13 *", ["month", "1 to 12 or JAN to DEC", "'13'"]),
        ("0 0 3 * * 7", ["day of the week", "0 to 6 or SUN to SAT", "'7'"]),
        ("0 0 3 * * FRI-MON", ["day of the week", "'FRI-MON'"]),
        ("0 0 5-3 * * *", ["hour", "'5-3'"]),
        ("*/0 * * * * *", ["second", "'*/0'"]),
        ("0 0 3, * * *", ["hour", "'3,'"]),
        ("0 0 L * * *", ["hour", "'L'"]),
        ("0 0 3 * * \u0663", ["day of the week"]),
    ],
)
def test_bad_cron_is_named(cron, parts):
    """The field, what was expected and what came."""
    with pytest.raises(ValueError) as raised:
        schedules.check_cron(cron)
    assert all(part in str(raised.value) for part in ["cron: ", "expected", *parts]), raised.value


def test_schedule_makes_one_recurring_run(server, kubeflow, package):
    """Of the version, by the clock, one run at a time, and none for the times that were missed."""
    done = schedules.schedule(
        kubeflow, package, DAILY, ARGUMENTS, pipeline_root="s3://b/root", experiment="e"
    )
    made = only(server.recurring_runs)
    assert (done.done, done.removed) == ("created", 0)
    assert done.link == f"{server.host}/#/recurringrun/details/{made['recurring_run_id']}"
    assert made["display_name"] == NAME
    assert made["trigger"] == {"cron_schedule": {"cron": DAILY}}
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == ("1", True, "ENABLE")
    assert made["runtime_config"] == {"parameters": ARGUMENTS, "pipeline_root": "s3://b/root"}
    assert made["pipeline_version_reference"]["pipeline_version_id"] == done.version.version_id
    assert server.runs == {}


@pytest.mark.parametrize(
    "arguments",
    [{}, {"epochs": 3, "rate": 2.0, "more": {"a": [1]}, "fresh": False}],
)
def test_the_same_schedule_changes_nothing(server, kubeflow, tmp_path, arguments):
    """The second time nothing is made, changed or deleted, and it says so."""
    parameters = PARAMETERS.replace("STRING}", "STRING, defaultValue: a}")
    package = read_package(write_package(tmp_path, parameters=parameters))
    first = schedules.schedule(kubeflow, package, DAILY, arguments)
    there = dict(server.recurring_runs)
    changes = len(server.asked("POST"))
    second = schedules.schedule(kubeflow, package, f" {DAILY} ", arguments)
    assert (second.done, second.link, second.removed) == ("unchanged", first.link, 0)
    assert server.recurring_runs == there
    assert len(server.asked("POST")) == changes
    assert server.asked("DELETE") == []


@pytest.mark.parametrize(
    "change",
    [
        {"cron": "0 0 4 * * *"},
        {"parameters": {"source": "elsewhere"}},
        {"pipeline_root": "s3://b/other"},
        {"experiment": "other"},
        {"package": "other"},
    ],
)
def test_another_schedule_takes_its_place(server, kubeflow, package, tmp_path, change):
    """Whatever is another: the new one is made first, then the old one deleted."""
    wanted = {"package": package, "cron": DAILY, "parameters": ARGUMENTS}
    schedules.schedule(kubeflow, **wanted)
    (old,) = server.recurring_runs
    if "package" in change:
        (tmp_path / "other").mkdir()
        other = write_package(tmp_path / "other", parameters=PARAMETERS + "    k: {}\n")
        other.write_text(other.read_text().replace("k: {}", "k: {defaultValue: 1}"))
        change = {"package": read_package(other)}
    done = schedules.schedule(kubeflow, **wanted | change)
    assert (done.done, done.removed) == ("replaced", 1)
    assert old not in server.recurring_runs
    assert len(server.recurring_runs) == 1
    order = [(r.method, r.path.rsplit("/", 1)[1]) for r in server.requests if r.method != "GET"]
    assert order[-2:] == [("POST", "recurringruns"), ("DELETE", old)]
    assert server.policies == ["ORPHAN"]
    assert schedules.schedule(kubeflow, **wanted | change).done == "unchanged"


@pytest.mark.parametrize("field", ["max_concurrency", "no_catchup", "trigger", "runtime_config"])
def test_what_others_changed_is_replaced(server, kubeflow, package, field):
    """A recurring run of the name that is not as it should be does not stay."""
    schedules.schedule(kubeflow, package, DAILY, ARGUMENTS)
    del only(server.recurring_runs)[field]
    assert schedules.schedule(kubeflow, package, DAILY, ARGUMENTS).done == "replaced"
    assert only(server.recurring_runs)[field]


def test_a_paused_schedule_is_resumed(server, kubeflow, package):
    """The same schedule, but off, is turned on where it is."""
    schedules.schedule(kubeflow, package, DAILY, ARGUMENTS)
    assert schedules.pause(kubeflow, NAME) == 1
    (old,) = server.recurring_runs
    assert server.recurring_runs[old]["status"] == "DISABLED"
    assert schedules.schedule(kubeflow, package, DAILY, ARGUMENTS).done == "resumed"
    assert {name: one["status"] for name, one in server.recurring_runs.items()} == {old: "ENABLED"}


INTERRUPTIONS = [
    Fault(method, path, status, after=after)
    for (method, path), status, after in itertools.product(
        [("POST", "/recurringruns$"), ("DELETE", "/recurringruns/")], [0, 500], [False, True]
    )
]


@pytest.mark.parametrize("fault", INTERRUPTIONS)
@pytest.mark.parametrize("seconds", [0, 1])
def test_interruptions_leave_one_and_are_repaired(server, kubeflow, package, fault, seconds):
    """Wherever a change is cut off there is a recurring run; the next call leaves exactly one."""
    server.seconds_between = seconds
    schedules.schedule(kubeflow, package, DAILY, ARGUMENTS)
    server.faults = [fault]
    with pytest.raises(KubeflowError):
        schedules.schedule(kubeflow, package, "0 0 4 * * *", ARGUMENTS)
    assert 1 <= len(server.recurring_runs) <= 2
    schedules.schedule(kubeflow, package, "0 0 4 * * *", ARGUMENTS)
    assert only(server.recurring_runs)["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert schedules.schedule(kubeflow, package, "0 0 4 * * *", ARGUMENTS).done == "unchanged"


def test_one_that_is_gone_already_is_no_error(server, kubeflow, package):
    """Another one may delete it at the same time."""
    schedules.schedule(kubeflow, package, DAILY, ARGUMENTS)
    server.faults = [Fault("DELETE", "/recurringruns/", 404, after=True)]
    assert schedules.schedule(kubeflow, package, "0 0 4 * * *", ARGUMENTS).done == "replaced"
    assert len(server.recurring_runs) == 1


def test_pause_resume_and_delete(server, kubeflow, package):
    """All of a name, and no others; deleting twice is no error."""
    schedules.schedule(kubeflow, package, DAILY, ARGUMENTS, pipeline_name="a")
    other = {**only(server.recurring_runs), "recurring_run_id": "1", "display_name": "A"}
    server.recurring_runs["1"] = other
    assert schedules.pause(kubeflow, "a") == 1
    assert [one.enabled for one in schedules.find(kubeflow, "a")] == [False]
    assert [one.enabled for one in schedules.find(kubeflow, "A")] == [True]
    assert schedules.resume(kubeflow, "a") == 1
    assert [one.enabled for one in schedules.find(kubeflow, "a")] == [True]
    assert (schedules.delete(kubeflow, "a"), schedules.delete(kubeflow, "a")) == (1, 0)
    assert (schedules.pause(kubeflow, "a"), schedules.resume(kubeflow, "a")) == (0, 0)
    assert only(server.recurring_runs)["display_name"] == "A"


def test_describe_names_settings_and_the_last_run(server, kubeflow, package):
    """When, of what, with what, and how the last run ended."""
    schedules.schedule(kubeflow, package, DAILY, ARGUMENTS)
    (one,) = schedules.find(kubeflow, NAME)
    shown = dict(schedules.describe(kubeflow, one))
    assert (shown["state"], shown["when"]) == ("on", DAILY)
    assert (shown["parameters"], shown["last run"]) == ("source=s3://b/clips", "none yet")
    for state in ("FAILED", "SUCCEEDED"):
        run_id = kubeflow.submit(package, ARGUMENTS).run_id
        server.runs[run_id] |= {"recurring_run_id": one.recurring_run_id, "state": state}
    kubeflow.submit(package, ARGUMENTS)
    last = dict(schedules.describe(kubeflow, one))["last run"]
    assert last.startswith("succeeded, 20")
    assert last.endswith(f"/#/runs/details/{run_id}")
