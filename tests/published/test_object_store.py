"""Publishing to a bucket, on a real S3 server: whole or not at all, whoever else is at it."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from components import published
from components.published import object_store
from tests.published_library import make_inputs, publish_next
from tests.s3_server import BUCKET

ROOT = Path(__file__).resolve().parents[2]

# Forks a writer for each line it reads, and says its process id, then its exit code.
WRITERS = """
import json, os, sys
import boto3, pyarrow.dataset  # slow: once, before the forks
from components.pusher import publish
from tests.published_library import publish_next
parts, facts = json.loads(sys.argv[2])
parts = publish.Parts(*parts[:-1], parts[-1].encode())
for line in sys.stdin:
    child = os.fork()
    if not child:
        sys.stdin.readline()
        publish_next(sys.argv[1], parts, publish.Facts(*facts))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_answers_are_those_of_a_folder(url, tmp_path):
    """The same parts, published to a bucket and to a folder, have the same files and answers."""
    inputs = make_inputs(tmp_path / "in")
    for place in (url, tmp_path / "out"):
        assert published.current_version(place) is None
        assert published.list_versions(place) == []
        assert publish_next(place, **inputs) == 1
        assert publish_next(place, **inputs) == 2
    in_bucket, in_folder = (published.open_published(place) for place in (url, tmp_path / "out"))
    in_bucket.verify()
    assert in_bucket.location == f"{url}/2"
    assert in_bucket.manifest.files == in_folder.manifest.files
    assert in_bucket.manifest.parent == 1
    for clip_id in in_folder.clip_ids():
        assert in_bucket.recommend(clip_id) == in_folder.recommend(clip_id)
    vector = np.arange(8.0)
    assert in_bucket.nearest(vector, 3) == in_folder.nearest(vector, 3)
    with in_bucket.local("model") as model, in_folder.local("model") as expected:
        found = {p.relative_to(model): p.read_bytes() for p in model.rglob("*") if p.is_file()}
        assert found == {
            p.relative_to(expected): p.read_bytes() for p in expected.rglob("*") if p.is_file()
        }
    assert not model.exists()
    assert published.rollback(url) == published.current_version(url) == 1
    assert publish_next(url, **inputs) == 3


@pytest.mark.parametrize("after", [False, True])
def test_writer_killed_at_any_write_leaves_whole_versions(server, url, after, no_grace, tmp_path):
    """Killed before its first write, or after it, and so on until one comes through.

    Each leaves the version before or its own live, and every version whole; the next clears up.
    """
    inputs = make_inputs(tmp_path / "in")
    before = publish_next(url, **inputs)
    told = json.dumps(
        [(*inputs["parts"][:-1], inputs["parts"].statistics.decode()), inputs["facts"]]
    )
    seen_live = set()
    with _running(WRITERS, url, told) as writers:
        for step in range(1, 1000):
            exit_code = _write_and_die(server, writers, step, after)
            live = published.current_version(url)
            seen_live.add(live - before)
            for version in published.list_versions(url):
                published.open_published(url, version).verify()
            if exit_code == 0:
                break
            assert exit_code == -signal.SIGKILL
            before = publish_next(url, keep_versions=1, **inputs)
            live, *others = reversed(published.list_versions(url))
            assert live == before and len(others) <= 2  # the one before, and one more
            assert published.open_store(url)._numbers() == [*reversed(others), live]
    assert exit_code == 0 and step > 10
    assert seen_live == {0, 1}


def _write_and_die(server, writers, step, after):
    """Lets one writer come as far as its write number `step`; returns its exit code."""
    print(file=writers.stdin, flush=True)
    child = int(writers.stdout.readline())
    server.writes = 0

    def kill(count):
        if count == step:
            os.kill(child, signal.SIGKILL)
            while Path(f"/proc/{child}/exe").exists():  # gone before it is answered
                time.sleep(0.001)
            if not after:
                raise ConnectionAbortedError("the writer is dead")

    setattr(server, "after_write" if after else "before_write", kill)
    print(file=writers.stdin, flush=True)
    exit_code = int(writers.stdout.readline())
    server.before_write = server.after_write = lambda count: None
    return exit_code


@contextlib.contextmanager
def _running(script, *arguments):
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_of_two_writers_one_wins(url, tmp_path):
    """Four at once, held against the same version: one is published, the others say so."""
    publish_next(url, **make_inputs(tmp_path / "first"))
    inputs = [make_inputs(tmp_path / str(seed), seed=seed) for seed in range(1, 5)]
    outcomes = []

    def write(each):
        try:
            outcomes.append(publish_next(url, live_version=1, **each))
        except published.ConflictError as error:
            outcomes.append(str(error))

    writers = [threading.Thread(target=write, args=(each,)) for each in inputs]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (won,) = [outcome for outcome in outcomes if isinstance(outcome, int)]
    for message in outcomes:
        assert message == won or f"got version {won}: another run has published" in message
    assert len(outcomes) == 4
    assert published.current_version(url) == won
    published.open_published(url).verify()


def test_numbers_that_were_claimed_are_not_used_again(url, tmp_path):
    """A writer that is still at it, or was killed a moment ago, keeps its number."""
    inputs = make_inputs(tmp_path / "in")
    store = published.open_store(url)
    assert store.reserve() == 1
    assert publish_next(url, **inputs) == 2
    assert published.list_versions(url) == [2]
    assert store._numbers() == [1, 2]  # may be a writer that is alive


def test_old_versions_stay_for_an_hour(url, monkeypatch, tmp_path):
    """A version goes only when it has not been live for long, so that its readers are done."""
    inputs = make_inputs(tmp_path / "in")
    for _ in range(4):
        publish_next(url, keep_versions=1, **inputs)
    assert published.list_versions(url) == [1, 2, 3, 4]
    published.rollback(url, 1)
    monkeypatch.setattr(object_store, "_GRACE", datetime.timedelta(seconds=-1))
    assert publish_next(url, keep_versions=1, **inputs) == 5
    assert published.list_versions(url) == [1, 4, 5]


def test_a_reader_beside_a_writer_sees_whole_versions(url, tmp_path):
    """While a writer publishes, every answer is of one version, and versions only rise."""
    inputs = [make_inputs(tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    expected = {}
    for each in inputs:
        number = publish_next(url, **each)
        live = published.open_published(url)
        expected[live.manifest.model_id] = {c: live.recommend(c) for c in live.clip_ids()}
    seen = []
    done = threading.Event()

    def read():
        while not done.is_set():
            live = published.open_published(url)
            answers = {c: live.recommend(c) for c in ("v_Rise_g02_c01", "v_Fall_g01_c01")}
            seen.append((live.version, live.manifest.model_id, answers))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(6):
        number = publish_next(url, **inputs[turn % 2])
    done.set()
    reader.join()
    versions = [version for version, *_ in seen]
    assert versions == sorted(versions) and len(set(versions)) > 1 and versions[-1] <= number
    for _, model_id, answers in seen:
        for clip_id, found in answers.items():
            assert found == expected[model_id][clip_id]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("http://host/folder", "push_dir: expected a folder, s3:// or gs://; got http://host"),
        (f"s3://{BUCKET}/none", f"expected published versions; none in s3://{BUCKET}/none"),
    ],
)
def test_places_where_nothing_is_published(server, place, message):
    """Another kind of URL, and an empty prefix, are told."""
    with pytest.raises(published.PublishedError, match=message):
        published.open_published(place)


def test_a_bucket_that_does_not_exist(server, tmp_path):
    """Writing to it says what is wrong."""
    with pytest.raises(published.PublishedError, match=r"s3://missing/x.*NoSuchBucket"):
        publish_next("s3://missing/x", **make_inputs(tmp_path / "in"))


def test_without_credentials(monkeypatch, tmp_path):
    """Where boto3 finds none, the message says so."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(published.PublishedError, match=r"cannot open s3://x/y: .*credentials"):
        published.open_published("s3://x/y")


def test_a_damaged_object_is_told(url, server, tmp_path):
    """A file that is not what its hash says is named by its URL."""
    import obstore

    publish_next(url, **make_inputs(tmp_path / "in"))
    store = published.open_store(url)
    obstore.put(store._objects, "1/model/saved_model.pb", b"other")
    with pytest.raises(published.PublishedError, match=rf"{url}/1/model/saved_model.pb: expected"):
        published.open_published(url).verify()
    with pytest.raises(published.PublishedError, match="there is no version 7 in"):
        published.open_published(url, 7)
