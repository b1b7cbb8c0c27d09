"""Publishing: whole or not at all, whenever the writer is killed."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pyarrow.parquet as pq
import pytest

from components import published
from components.pusher import publish
from tests.published_library import make_inputs

ROOT = Path(__file__).resolve().parents[2]

PUBLISH_FOREVER = """
import sys
from pathlib import Path
from components.pusher import publish
from tests.published_library import make_inputs
inputs = make_inputs(Path(sys.argv[2]), seed=1)
print("ready", flush=True)
while True:
    publish.publish(sys.argv[1], **inputs)
"""

# Forks a writer for each line it reads: the number of the step at which that writer kills itself.
# The steps are Python's audit events, one before each call that changes files or syncs them.
PUBLISH_AND_DIE = """
import json, os, signal, sys
import pyarrow.dataset  # slow: once, before the forks
from components.pusher import publish
inputs = json.loads(sys.argv[2])
inputs["facts"] = publish.Facts(*inputs["facts"])

def changes_files(event, arguments):
    if event == "open":
        of_descriptor = arguments[1] is None  # os.open, as before fsync
        return of_descriptor or arguments[2] & (os.O_WRONLY | os.O_RDWR)
    return event in ("os.mkdir", "os.chmod", "os.rename", "os.remove", "os.rmdir")

def die_at(step):
    steps = iter(range(1, step + 1))
    def hook(event, arguments):
        if changes_files(event, arguments) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for line in sys.stdin:
    child = os.fork()
    if not child:
        die_at(int(line))
        publish.publish(sys.argv[1], **inputs)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextlib.contextmanager
def running(script, *arguments):
    """A Python process that is killed in the end."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_layout_and_manifest(tmp_path):
    """The version holds what the contract says, and the manifest names every file as it is."""
    inputs = make_inputs(tmp_path / "in")
    assert publish.publish(str(tmp_path / "out"), **inputs) == 1
    version = tmp_path / "out" / "1"
    assert (tmp_path / "out" / "CURRENT").read_text() == "1\n"
    names = {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()}
    manifest = json.loads((version / "manifest.json").read_text())
    assert names == {*manifest["files"], "manifest.json"}
    assert {"model/saved_model.pb", "embeddings.parquet", "clips.parquet"} <= names
    for name, facts in manifest["files"].items():
        content = (version / name).read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert manifest["version"] == 1 and manifest["parent"] is None
    assert manifest["model_id"] == "model0" and manifest["run_fingerprint"] == "run0"
    embedded = pq.read_table(version / "embeddings.parquet")["clip_id"].to_pylist()
    assert embedded == sorted(embedded) and len(embedded) == 12
    assert not list((tmp_path / "out").glob(".staging-*"))


def test_statistics_are_published_as_they_are(tmp_path):
    """Statistics are a file of the version, named in the manifest; without them there is none."""
    inputs = make_inputs(tmp_path / "in")
    out = str(tmp_path / "out")
    publish.publish(out, **inputs, statistics=b"\x0a\x02 statistics")
    publish.publish(out, **inputs)
    with_them, without = (published.open_published(out, version) for version in (1, 2))
    assert (with_them.path / "statistics.pb").read_bytes() == b"\x0a\x02 statistics"
    assert "statistics.pb" in with_them.manifest.files
    assert not (without.path / "statistics.pb").exists()
    assert "statistics.pb" not in without.manifest.files
    with_them.verify()
    without.verify()
    (with_them.path / "statistics.pb").write_bytes(b"\x0a\x02 statistics of others")
    with pytest.raises(published.PublishedError, match=r"statistics.pb: expected"):
        with_them.verify()


def test_versions_rise_and_stay(tmp_path):
    """A second version is live, knows its parent, and leaves the first untouched."""
    out = str(tmp_path / "out")
    publish.publish(out, **make_inputs(tmp_path / "a", seed=1))
    before = (tmp_path / "out" / "1" / "manifest.json").read_bytes()
    assert publish.publish(out, **make_inputs(tmp_path / "b", seed=2)) == 2
    assert published.list_versions(out) == [1, 2]
    live = published.open_published(out)
    assert (live.version, live.manifest.parent, live.manifest.model_id) == (2, 1, "model2")
    assert (tmp_path / "out" / "1" / "manifest.json").read_bytes() == before
    for version in (1, 2):
        published.open_published(out, version).verify()


def test_tables_that_disagree_are_not_published(tmp_path):
    """Neighbors of other clips than the embeddings' are refused, and nothing appears."""
    inputs = make_inputs(tmp_path / "a", count=12)
    other = make_inputs(tmp_path / "b", count=14)
    with pytest.raises(publish.PublishError, match=r"2 differ, v_\w+ among them"):
        publish.publish(
            str(tmp_path / "out"), **inputs | {"neighbors_path": other["neighbors_path"]}
        )
    assert published.current_version(tmp_path / "out") is None
    assert published.list_versions(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"facts": "other"}, "model_id: expected other in embeddings and neighbors; got 'model0'"),
        ({"embeddings_dir": "empty"}, "embeddings_dir: expected Parquet shards; none in"),
        ({"clips_path": "twice"}, "clips: expected each clip once; got v_Fall_g01_c01 again"),
    ],
)
def test_parts_that_do_not_belong_together_are_not_published(change, message, tmp_path):
    """Another model's embeddings, no embeddings, and a clip twice are refused."""
    inputs = make_inputs(tmp_path / "in")
    (tmp_path / "empty").mkdir()
    clips = pq.read_table(inputs["clips_path"])
    pq.write_table(clips.take([0, *range(clips.num_rows)]), tmp_path / "twice")
    others = {name: str(tmp_path / value) for name, value in change.items()}
    if "facts" in change:
        others["facts"] = inputs["facts"]._replace(model_id=change["facts"])
    with pytest.raises(publish.PublishError, match=message):
        publish.publish(str(tmp_path / "out"), **inputs | others)
    assert published.list_versions(tmp_path / "out") == []


def test_numbers_are_not_used_again(tmp_path):
    """Where the live version was deleted, the next one has a number of its own."""
    inputs = make_inputs(tmp_path / "in")
    out = tmp_path / "out"
    for _ in range(2):
        publish.publish(str(out), **inputs)
    shutil.rmtree(out / "2")
    assert publish.publish(str(out), **inputs) == 3
    assert published.open_published(out).manifest.parent == 2


def test_writer_killed_at_any_step_leaves_whole_versions(tmp_path):
    """A writer is killed at its first step, one at its second, and so on until one comes through.

    Each leaves every version whole, and the version before or its own live; the next writer
    clears up.
    """
    out = tmp_path / "out"
    inputs = make_inputs(tmp_path / "in")
    before = publish.publish(str(out), **inputs)
    killed_before_switch = killed_after_switch = False
    with running(PUBLISH_AND_DIE, out, json.dumps(inputs)) as writers:
        for step in range(1, 1000):
            print(step, file=writers.stdin, flush=True)
            exit_code = int(writers.stdout.readline())
            versions = published.list_versions(out)
            for version in range(before + 1, versions[-1] + 1):
                published.open_published(out, version).verify()
            live = published.open_published(out).version
            assert live in (before, before + 1) and live <= versions[-1]
            assert {name for name in os.listdir(out) if name.isdigit()} == set(map(str, versions))
            if exit_code == 0:
                break
            assert exit_code == -signal.SIGKILL
            killed_before_switch |= live == before < versions[-1]
            killed_after_switch |= live > before
            before = publish.publish(str(out), **inputs)
            names = {path.name for path in out.iterdir()} - set(map(str, range(1, before + 1)))
            assert names == {"CURRENT", ".lock"}
    assert exit_code == 0 and live == before + 1
    assert killed_before_switch and killed_after_switch


@pytest.mark.parametrize("num_versions", [2, 5])
def test_reader_beside_a_writer_sees_whole_versions(num_versions, tmp_path):
    """While a writer publishes and is killed, the live version is whole and only rises."""
    out = tmp_path / "out"
    publish.publish(str(out), **make_inputs(tmp_path / "first"))
    seen = 1
    with running(PUBLISH_FOREVER, out, tmp_path / "more") as writer:
        assert writer.stdout.readline() == "ready\n"
        while seen < num_versions:
            assert writer.poll() is None
            live = published.open_published(out)
            live.verify()
            assert live.version >= seen
            seen = live.version
    published.open_published(out).verify()
    newest = publish.publish(str(out), **make_inputs(tmp_path / "last", seed=9))
    assert published.open_published(out).version == newest > seen


def test_two_writers_take_turns(tmp_path):
    """Two at once publish two versions, both whole."""
    out = tmp_path / "out"
    inputs = [make_inputs(tmp_path / str(seed), seed=seed) for seed in range(4)]
    versions = []
    writers = [
        threading.Thread(
            target=lambda each: versions.append(publish.publish(str(out), **each)), args=(each,)
        )
        for each in inputs
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(versions) == published.list_versions(out) == [1, 2, 3, 4]
    for version in versions:
        published.open_published(out, version).verify()


def test_writer_that_does_not_get_its_turn_says_so(tmp_path, monkeypatch):
    """A lock that is held too long ends in an error that names the folder."""
    monkeypatch.setattr(publish, "_LOCK_TIMEOUT", 0.1)
    inputs = make_inputs(tmp_path / "in")
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(publish.PublishError, match="another run is publishing in"),
    ):
        publish.publish(str(tmp_path), **inputs)
