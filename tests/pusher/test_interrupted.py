"""Publishing in trouble: writers that are killed, readers beside them, a disk that is full."""

import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components import published
from tests.published_library import make_inputs, publish_next

ROOT = Path(__file__).resolve().parents[2]

# Forks a writer for each line it reads: the seconds after which that writer is killed. It publishes
# one version after another, of two libraries by turns.
PUBLISH_BY_TURNS = """
import json, os, signal, sys, time
import pyarrow.dataset  # slow: once, before the forks
from components.pusher import publish
from tests.published_library import publish_next
libraries = [
    (publish.Parts(*parts[:-1], parts[-1].encode()), publish.Facts(*facts))
    for parts, facts in json.loads(sys.argv[2])
]
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        while True:
            for library in libraries:
                publish_next(sys.argv[1], *library, keep_versions=2)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
"""

# Forks a writer for each line it reads: the number of the step at which that writer kills itself.
# The steps are Python's audit events, one before each call that changes files or syncs them.
PUBLISH_AND_DIE = """
import json, os, signal, sys
import pyarrow.dataset  # slow: once, before the forks
from components.pusher import publish
from tests.published_library import publish_next
parts, facts = json.loads(sys.argv[2])
parts = publish.Parts(*parts[:-1], parts[-1].encode())

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
        publish_next(sys.argv[1], parts, publish.Facts(*facts), keep_versions=3)
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


def test_writer_killed_at_any_step_leaves_whole_versions(tmp_path):
    """A writer is killed at its first step, one at its second, and so on until one comes through.

    Each leaves every version whole, and the version before or its own live; the next writer
    clears up.
    """
    out = tmp_path / "out"
    inputs = make_inputs(tmp_path / "in")
    before = publish_next(out, **inputs)
    killed_before_switch = killed_after_switch = False
    parts, facts = inputs["parts"], inputs["facts"]
    told = json.dumps([(*parts[:-1], parts.statistics.decode()), facts])
    with running(PUBLISH_AND_DIE, out, told) as writers:
        for step in range(1, 1000):
            print(step, file=writers.stdin, flush=True)
            exit_code = int(writers.stdout.readline())
            versions = published.list_versions(out)
            for version in versions:
                with published.open_published(out, version) as each:
                    each.verify()
            live = published.current_version(out)
            assert live in (before, before + 1) and live <= versions[-1]
            assert {name for name in os.listdir(out) if name.isdigit()} == set(map(str, versions))
            if exit_code == 0:
                break
            assert exit_code == -signal.SIGKILL
            killed_before_switch |= live == before < versions[-1]
            killed_after_switch |= live > before
            before = publish_next(out, keep_versions=1, **inputs)
            kept = map(str, range(max(1, before - 2), before + 1))
            assert {path.name for path in out.iterdir()} == {"CURRENT", ".lock", *kept}
    assert exit_code == 0 and live == before + 1
    assert killed_before_switch and killed_after_switch


class Reader(threading.Thread):
    """Asks the live version fifty times a second, until it is stopped.

    Attributes:
      answers: of each asking the version, its model, and what it recommended.
      error: what was raised, if anything.
    """

    def __init__(self, push_dir, clip_id):
        super().__init__()
        self.answers = []
        self.error = None
        self.stopped = threading.Event()
        self._push_dir = push_dir
        self._clip_id = clip_id

    def run(self):
        due = time.monotonic()
        try:
            while not self.stopped.wait(max(0.0, due - time.monotonic())):
                with published.open_published(self._push_dir) as live:
                    model_id, answer = live.manifest.model_id, live.recommend(self._clip_id)
                self.answers.append((live.version, model_id, tuple(answer)))
                due += 1 / 50
        except Exception as error:
            self.error = error


def test_readers_beside_writers_killed_at_random_moments(tmp_path):
    """A reader asks all the time while twenty writers are killed, each at a random moment.

    Every answer is whole and of one library, versions only rise, and the next writer clears up.
    """
    out = tmp_path / "out"
    libraries = [make_inputs(tmp_path / str(seed), seed=seed) for seed in range(2)]
    expected = {}
    for library in libraries:
        version = publish_next(out, **library)
        with published.open_published(out) as live:
            expected[live.manifest.model_id] = tuple(live.recommend("v_Rise_g02_c01"))
    assert len(set(expected.values())) == 2
    told = json.dumps(
        [((*a["parts"][:-1], a["parts"].statistics.decode()), a["facts"]) for a in libraries]
    )
    rng = random.Random(0)
    reader = Reader(out, "v_Rise_g02_c01")
    with running(PUBLISH_BY_TURNS, out, told) as writers:
        assert writers.stdout.readline() == "ready\n"
        reader.start()
        for _ in range(20):
            print(rng.uniform(0.0, 0.3), file=writers.stdin, flush=True)
            assert writers.stdout.readline() == "killed\n"
    reader.stopped.set()
    reader.join()
    assert reader.error is None
    assert all(answer == expected[model] for _, model, answer in reader.answers)
    seen = [number for number, *_ in reader.answers]
    assert seen == sorted(seen) and len(set(seen)) > 5
    libraries.append(libraries[0])
    *olds, older, newest = (publish_next(out, keep_versions=1, **one) for one in libraries)
    assert newest > older > olds[0] > seen[-1] >= version
    kept = map(str, (*olds, older, newest))
    assert {path.name for path in out.iterdir()} == {"CURRENT", ".lock", *kept}
    assert published.rollback(out) == published.current_version(out) == older


@pytest.fixture
def small_disk(tmp_path):
    """A disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_leaves_whole_versions(small_disk, tmp_path):
    """Versions are published until no space is left; then the live one stays, and is whole."""
    inputs = make_inputs(tmp_path / "in")
    (Path(inputs["parts"].model_dir) / "large").write_bytes(b"x" * 150_000)
    out = small_disk / "published"
    assert [publish_next(out, **inputs) for _ in range(2)] == [1, 2]
    for _ in range(2):
        with pytest.raises(OSError) as raised:
            publish_next(out, **inputs)
        assert raised.value.errno == errno.ENOSPC or "No space left" in str(raised.value)
        assert published.current_version(out) == 2
        assert {path.name for path in out.iterdir()} == {"CURRENT", ".lock", "1", "2"}
        for version in (1, 2):
            with published.open_published(out, version) as whole:
                whole.verify()
                assert whole.recommend("v_Rise_g02_c01")
    assert published.open_store(out).remove(1)
    assert publish_next(out, **inputs) == 3
