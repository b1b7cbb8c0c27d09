"""Runs that are killed and go on, and libraries that change between runs."""

import io
import random
import re
import time
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.clip_example_gen import shards
from components.clip_example_gen.store import ClipStore
from tests.faults import Faults
from tests.ingestion import files, ingest, start

EVERYTHING = {"clips_per_class": (99, 33, 99)}


@pytest.fixture(scope="module")
def members(tmp_path_factory, make_video) -> dict[str, bytes]:
    """Two classes of 40 clips in 20 groups."""
    folder = tmp_path_factory.mktemp("clips")
    found = {}
    for seed in range(80):
        name, group, clip = ("Rise", "Fall")[seed % 2], seed // 4 + 1, seed // 2 % 2 + 1
        member = f"UCF-101/{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"
        found[member] = make_video(folder / f"{seed}.avi", seed=seed)
    return found


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2012, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def _fetched(server, name: str) -> list[str]:
    """Returns the clips whose bytes were asked for, in the order of the requests."""
    with zipfile.ZipFile(io.BytesIO(server.files[name])) as archive:
        members = {info.header_offset: Path(info.filename).stem for info in archive.infolist()}
    asked = (re.fullmatch(r"bytes=(\d+)-\d+", request.range or "") for request in server.requests)
    starts = (int(span[1]) for span in asked if span)
    return [members[start] for start in starts if start in members]


def _stored(store: Path) -> set[str]:
    """Returns the clips in the finished parts of the store."""
    return {
        clip.clip_id
        for recipe in store.glob("*")
        for part in recipe.glob("*.parquet")
        for clip in ClipStore(str(recipe)).read(part.stem)
    }


def test_killed_at_any_moment(server, members, tmp_path):
    """Runs killed at random moments end as one undisturbed, and fetch no finished part again."""
    server.files["clips.zip"] = _zip(members)
    server.latency_sec = 0.05
    source = server.url("clips.zip")
    for name in ("first", "whole"):  # the first one waits for the libraries to load
        started = time.monotonic()
        undisturbed = start(tmp_path / name / "out", source, **EVERYTHING)
        undisturbed.join()
        seconds = time.monotonic() - started
        assert undisturbed.exitcode == 0
    expected = files(tmp_path / "whole" / "out")
    assert sum(name.startswith("Split-") for name in expected) >= 4
    moments = random.Random(0)
    finished_before_the_kill = []
    for trial in range(10):
        folder = tmp_path / str(trial)
        killed = start(folder / "killed", source, **EVERYTHING)
        killed.join(moments.uniform(0.1, 1) * seconds)
        killed.kill()
        killed.join()
        finished = _stored(folder / "store")
        time.sleep(4 * server.latency_sec)  # what was under way is answered, and noted
        server.requests.clear()
        resumed = start(folder / "out", source, **EVERYTHING)
        resumed.join()
        assert resumed.exitcode == 0
        assert files(folder / "out") == expected
        assert sorted(_fetched(server, "clips.zip")) == sorted(
            {Path(member).stem for member in members} - finished
        )
        finished_before_the_kill.append(len(finished))
    # The moments were such that the test says something.
    assert any(0 < count < len(members) for count in finished_before_the_kill)


def test_failing_network_changes_nothing(server, members, tmp_path):
    """With a fifth of all requests failing the run is as without, and takes each clip once."""
    server.files["clips.zip"] = _zip(members)
    source = server.url("clips.zip")
    ingest(tmp_path / "calm" / "out", source, **EVERYTHING)
    server.requests.clear()
    server.faults = Faults(0.2, seed=3)
    ingest(tmp_path / "storm" / "out", source, **EVERYTHING, fetch_timeout=8.0)
    assert files(tmp_path / "storm" / "out") == files(tmp_path / "calm" / "out")
    failed = sum(request.fault is not None for request in server.requests)
    assert failed > 10
    asked = _fetched(server, "clips.zip")
    assert len(asked) - failed <= len(members) <= len(asked)


def test_network_that_is_gone_ends_the_run_and_the_next_one_goes_on(server, members, tmp_path):
    """A server that fails for good is told within the time given; what was fetched is kept."""
    server.files["clips.zip"] = _zip(members)
    source = server.url("clips.zip")
    ingest(tmp_path / "some", source, clips_per_class=(3, 2, 2))
    kept = _stored(tmp_path / "store")
    server.faults = Faults(1.0, seed=0)
    with pytest.raises(ValueError, match="source: "):
        ingest(tmp_path / "none", source, **EVERYTHING, fetch_timeout=2.0)
    server.faults = None
    server.requests.clear()
    ingest(tmp_path / "all", source, **EVERYTHING)
    assert sorted(_fetched(server, "clips.zip")) == sorted(
        {Path(member).stem for member in members} - kept
    )


def test_growing_and_shrinking_library(server, members, tmp_path):
    """Of a library that changed only new clips are fetched; what is gone is gone everywhere."""
    names = list(members)
    server.files["clips.zip"] = _zip({name: members[name] for name in names[:-2]})
    source = server.url("clips.zip")
    ingest(tmp_path / "first", source, **EVERYTHING)
    assert sorted(_fetched(server, "clips.zip")) == sorted(Path(name).stem for name in names[:-2])

    server.requests.clear()
    server.files["clips.zip"] = _zip({name: members[name] for name in names[1:]})
    ingest(tmp_path / "second", source, **EVERYTHING)
    assert sorted(_fetched(server, "clips.zip")) == sorted(Path(name).stem for name in names[-2:])
    table = pq.read_table(tmp_path / "second" / "clips.parquet")
    assert set(table["clip_id"].to_pylist()) == {Path(name).stem for name in names[1:]}
    gone = Path(names[0]).stem
    assert gone not in _stored(tmp_path / "store")
    for name, data in files(tmp_path / "second").items():
        assert gone.encode() not in data, name

    # The same as if the library had been so from the start.
    ingest(tmp_path / "fresh" / "out", source, **EVERYTHING)
    assert files(tmp_path / "fresh" / "out") == files(tmp_path / "second")


def test_nothing_is_fetched_where_nothing_changed(server, members, tmp_path):
    """A second run reads the directory of the zip alone, also for other splits of the clips."""
    server.files["clips.zip"] = _zip(members)
    source = server.url("clips.zip")
    ingest(tmp_path / "one", source, **EVERYTHING)
    server.requests.clear()
    ingest(tmp_path / "two", source, **EVERYTHING)
    ingest(tmp_path / "three", source, split="group-hash", **EVERYTHING)
    assert _fetched(server, "clips.zip") == []
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_other_sampling_starts_afresh(server, members, tmp_path):
    """Clips that are to be sampled otherwise are fetched and decoded again, all of them."""
    server.files["clips.zip"] = _zip(members)
    source = server.url("clips.zip")
    ingest(tmp_path / "one", source, **EVERYTHING)
    server.requests.clear()
    ingest(tmp_path / "two", source, **EVERYTHING, num_frames=3)
    assert len(_fetched(server, "clips.zip")) == len(members)


def test_fewer_classes_do_not_forget_the_others(server, members, tmp_path):
    """Clips that a run does not take, and that the source still has, stay in the store."""
    server.files["clips.zip"] = _zip(members)
    source = server.url("clips.zip")
    ingest(tmp_path / "one", source, **EVERYTHING)
    ingest(tmp_path / "two", source, clips_per_class=(3, 2, 2))
    assert _stored(tmp_path / "store") == {Path(member).stem for member in members}


def test_growth_touches_few_shards(make_video):
    """Placing by hash leaves most shards as they were when one clip in a hundred is new."""
    refs = [
        shards.ClipRef(f"c{i:05d}", "class", f"c{i}", f"class/c{i:05d}.avi", 1, 1)
        for i in range(2020)
    ]
    before, after = (
        {
            shard.refs
            for shard in shards.plan_shards(
                {"train": refs[:count]}, root="out", clips_per_shard=32, stored={}
            )
        }
        for count in (2000, 2020)
    )
    assert max(len(shard) for shard in after) <= 32
    assert len(before & after) >= len(before) - 20
