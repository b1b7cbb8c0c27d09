"""Publishing: whole or not at all, whenever the writer is killed."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pyarrow.parquet as pq
import pytest
from published_library import make_inputs

from components import published
from components.pusher import publish

TESTS = Path(__file__).resolve().parent.parent

PUBLISH_FOREVER = """
import sys
from published_library import make_inputs
from components.pusher import publish
from pathlib import Path
inputs = make_inputs(Path(sys.argv[2]), seed=int(sys.argv[3]))
print("ready", flush=True)
while True:
    publish.publish(sys.argv[1], **inputs)
"""


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


@pytest.mark.parametrize("moment", range(6))
def test_killed_writer_leaves_whole_versions(moment, tmp_path):
    """A writer killed at any moment leaves a whole live version; the next one clears up."""
    out = tmp_path / "out"
    publish.publish(str(out), **make_inputs(tmp_path / "first"))
    environment = os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    arguments = [str(out), str(tmp_path / "more"), "1"]
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISH_FOREVER, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout.readline() == b"ready\n"
        end = time.monotonic() + 0.15 + 0.037 * moment
        while time.monotonic() < end:
            published.open_published(out).verify()
        writer.send_signal(signal.SIGKILL)
    for version in published.list_versions(out):
        published.open_published(out, version).verify()
    published.open_published(out).verify()
    newest = publish.publish(str(out), **make_inputs(tmp_path / "last", seed=9))
    assert published.open_published(out).version == newest
    assert not list(out.glob(".staging-*"))


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
