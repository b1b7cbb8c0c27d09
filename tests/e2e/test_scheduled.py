"""Runs as cron or systemd starts them: again and again, at once, killed, on a library that moves.

The fixtures are one history, each run after the one before.
"""

import contextlib
import json
import shlex
import shutil
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import sample_library
from components import published
from tests.e2e.runs import (
    CLASSES,
    CLIPS_PER_GROUP,
    TINY,
    Run,
    finish,
    kill_in,
    run_locally,
    start_locally,
)

#: On a library that is free to grow.
SCHEDULED = (
    *TINY, "--classes", "all", "--clips-per-class", "60,20,20",
    "--max-class-drift", "1", "--max-recall-drop", "1",
)  # fmt: skip
BEFORE_TRAINING = {
    "Champion",
    "ClipExampleGen",
    "CuratedSchema",
    "StatisticsGen",
    "DriftValidator",
    "ExampleValidator",
    "Transform",
}
BEFORE_PUBLISHING = BEFORE_TRAINING | {"Trainer", "Evaluator", "RetrievalEvaluator"}


def add_clips(clips: Path, classes, clips_per_group):
    """Makes clips, and puts them into a folder."""
    path = sample_library.make_library(
        clips.parent / "more.zip",
        classes=classes,
        clips_per_group=clips_per_group,
        num_frames=(18, 26),
    )
    with zipfile.ZipFile(path) as more:
        more.extractall(clips)


def on_finish(told: Path):
    return "--on-finish", f"cp /dev/stdin '{told}'"


def vectors(run: Run):
    """The published vectors, by clip."""
    table = pq.read_table(run.live / "embeddings.parquet").to_pydict()
    return dict(zip(table["clip_id"], table["embedding"], strict=True))


def check_sound(output_dir: Path):
    """Metadata database and published version are whole."""
    database = sqlite3.connect(output_dir / "metadata.sqlite")
    with contextlib.closing(database):
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    with published.open_published(output_dir / "published") as live:
        live.verify()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """The folder of clips."""
    folder = tmp_path_factory.mktemp("scheduled") / "clips"
    add_clips(folder, CLASSES, CLIPS_PER_GROUP)
    return folder


@pytest.fixture(scope="module")
def schedule(clips, tmp_path_factory):
    """What each run is started with: its output folder, and options."""
    arguments = "--source", clips, *SCHEDULED, "--warm-start"
    return tmp_path_factory.mktemp("output with spaces"), *arguments


@pytest.fixture(scope="module")
def first(schedule, tmp_path_factory):
    """Two runs that were started at once, on an empty folder; and what each has told."""
    told = tmp_path_factory.mktemp("told")
    started = [start_locally(*schedule, *on_finish(told / str(number))) for number in range(2)]
    runs = [finish(schedule[0], process) for process in started]
    return [(run, json.loads((told / str(n)).read_text())) for n, run in enumerate(runs)]


@pytest.fixture(scope="module")
def second(first, schedule, tmp_path_factory):
    """A run without new clips, and what it has told."""
    told = tmp_path_factory.mktemp("told") / "second"
    return run_locally(*schedule, *on_finish(told)), json.loads(told.read_text())


@pytest.fixture(scope="module")
def third(second, clips, schedule):
    """After 20 new clips, 8 of them of a new class: two runs that are killed, one that is not."""
    add_clips(clips, ("Fall",), {1: 2, 8: 2, 9: 2, 10: 1, 25: 1})
    add_clips(clips, CLASSES, {11: 2, 12: 2})
    killed = [kill_in(stage, *schedule) for stage in ("Trainer", "BulkInferrer")]
    return [*killed, run_locally(*schedule)]


@pytest.fixture(scope="module")
def fourth(third, clips, schedule, tmp_path_factory):
    """After a copy that went wrong, and what it has told."""
    told = tmp_path_factory.mktemp("told") / "fourth"
    for path in sorted(clips.rglob("*_c02.avi")):
        path.write_bytes(b"\0" * 5000)
    run = run_locally(*schedule, *on_finish(told))
    return run, json.loads(told.read_text())


def test_of_two_runs_at_once_one_does_the_work(first):
    """The other exits with 4, and says who is at work; nothing is broken."""
    (done, told), (busy, told_by_busy) = sorted(first, key=lambda ended: ended[0].code)
    assert (done.code, busy.code) == (0, 4), done.stderr + busy.stderr
    assert busy.stdout == "" and busy.stderr.count("\n") == 1
    assert "another run (pid " in busy.stderr and str(done.output_dir) in busy.stderr
    assert (told["outcome"], told["exit_code"], told["version"]) == ("published", 0, 1)
    assert told["metrics"]["recall"].keys() == {"1", "5", "10", "20", "50"}
    assert Path(told["log"]).is_file() and told["seconds"] > 0
    assert (told_by_busy["outcome"], told_by_busy["exit_code"]) == ("busy", 4)
    assert told_by_busy["version"] is None
    assert done.manifest["version"] == 1 and len(vectors(done)) == 30
    (asking,) = (line for line in done.stdout.splitlines() if line.startswith("ask it"))
    assert str(done.output_dir / "published") in shlex.split(asking)
    check_sound(done.output_dir)


def test_without_new_clips_nothing_is_done(second):
    """The second run says so, and runs no stage of the pipeline."""
    run, told = second
    assert run.code == 0
    assert "already up to date" in run.stdout
    assert run.states.keys() == {"Source"}
    assert run.manifest["version"] == 1
    assert (told["outcome"], told["exit_code"], told["version"]) == ("up to date", 0, None)
    assert "nothing changed since" in told["message"]


def test_new_clips_and_a_new_class_are_published(third):
    """The third run begins with the champion's weights, and publishes all clips."""
    _, trained, run = third
    assert run.code == 0, run.stdout + run.stderr
    assert (run.manifest["version"], run.manifest["parent"]) == (2, 1)
    note = "began with the weights of version 1, with a new head for other classes"
    assert note in trained.stdout
    clips = pq.read_table(run.live / "clips.parquet").to_pydict()
    assert len(clips["clip_id"]) == 50
    assert set(clips["class_name"]) == {*CLASSES, "Fall"}


def test_finished_stages_are_not_repeated(third):
    """A run that was killed in a stage goes on there; what was finished comes from the cache."""
    in_training, in_publishing, run = third
    assert (in_training.code, in_publishing.code) == (-9, -9)
    assert in_training.states.keys() == BEFORE_TRAINING | {"Source", "TFX"}
    assert {in_publishing.states[stage] for stage in BEFORE_TRAINING} == {"cached"}
    assert in_publishing.states["Trainer"] == "done"
    assert {run.states[stage] for stage in BEFORE_PUBLISHING} == {"cached"}
    assert (run.states["BulkInferrer"], run.states["Pusher"]) == ("done", "done")
    check_sound(run.output_dir)


def test_broken_clips_leave_the_live_version_alone(fourth):
    """The fourth run fails, says why, and the third run's version stays live."""
    run, told = fourth
    assert run.code == 1, run.stdout
    assert "ClipExampleGen failed" in run.stderr and "cannot be used" in run.stderr
    assert run.manifest["version"] == 2
    assert (told["outcome"], told["exit_code"], told["version"]) == ("failed", 1, None)
    assert told["message"] in run.stderr
    check_sound(run.output_dir)


def test_a_refresh_follows_the_library_without_training(first_run, library, tmp_path):
    """New clips come, gone clips leave; model and known vectors stay as they are, bit by bit."""
    for name in ("published", "clip_store"):
        shutil.copytree(first_run.output_dir / name, tmp_path / name)
    moved = dict(CLIPS_PER_GROUP) | {11: 1, 12: 1}
    del moved[10]
    larger = sample_library.make_library(
        tmp_path / "moved.zip", classes=CLASSES, clips_per_group=moved, num_frames=(18, 26)
    )
    refresh = ("--source", larger, *SCHEDULED, "--refresh", "--exact-limit", "10")
    run = run_locally(tmp_path, *refresh, "--epochs", "7")
    assert run.code == 0, run.stdout + run.stderr
    assert not {"Transform", "Trainer", "Evaluator"} & run.states.keys()
    assert "24 vectors of the published version are those of this model" in run.stdout
    assert "the index finds 1.0000 of the true neighbors" in run.stdout
    tables = run.artifact("BulkInferrer", "neighbors")
    assert [path.name for path in tables.iterdir()] == ["neighbors-00000-of-00001.parquet"]
    manifest, before = run.manifest, first_run.manifest
    assert (manifest["version"], manifest["parent"]) == (2, 1)
    assert manifest["model_id"] == before["model_id"]
    assert manifest["config"]["epochs"] == 2  # as the model was trained, not as the refresh says
    assert manifest["metrics"]["accuracy"] == before["metrics"]["accuracy"]
    assert manifest["metrics"]["accuracy_version"] == 1
    known, found = vectors(first_run), vectors(run)
    gone = {clip_id for clip_id in known if "_g10_" in clip_id}
    assert len(found) == 30 and len(gone) == 6
    assert found.keys() & known.keys() == known.keys() - gone
    for clip_id in known.keys() - gone:
        np.testing.assert_array_equal(found[clip_id], known[clip_id])
    neighbors = pq.read_table(run.live / "neighbors.parquet").to_pydict()
    assert not gone & {*neighbors["query_id"], *neighbors["neighbor_id"]}
    again = run_locally(tmp_path, *refresh)
    assert again.code == 0 and "already up to date" in again.stdout
