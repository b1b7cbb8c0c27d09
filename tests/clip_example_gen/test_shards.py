"""Shards: which clips go where, and one shard made for real."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from components import features
from components.clip_example_gen import clips, listing, shards
from components.clip_example_gen.archive import Archive, open_archive
from components.clip_example_gen.fetching import Fetcher
from components.clip_example_gen.listing import ClipRef
from components.clip_example_gen.sampling import Sampling
from components.clip_example_gen.store import ClipStore

SAMPLING = Sampling(num_frames=3, frame_step=2, image_size=16, num_windows=2)


def _refs(count: int) -> tuple[ClipRef, ...]:
    return tuple(
        ClipRef(f"c{i:03d}", f"class{i % 3}", f"c{i:03d}", f"class/c{i:03d}.avi", 1, 1)
        for i in range(count)
    )


def _plan(refs, **changes) -> list[shards.Shard]:
    settings = {"root": "gs://out", "clips_per_shard": 32, "stored": {}}
    return shards.plan_shards({"train": refs}, **settings | changes)


def _make(shard: shards.Shard, source: str, folder: Path) -> tuple[shards.ShardResult, int]:
    """Makes one shard; returns what came of it and how many clips were reported."""
    done: list[int] = []
    with open_archive(source) as archive:
        fetcher = Fetcher(archive, workers=3)
        result = shards.make_shard(
            shard,
            fetcher,
            ClipStore(str(folder / "store")),
            SAMPLING,
            source=source,
            temp_dir=str(folder / "temporary"),
            on_clip=lambda: done.append(1),
        )
        fetcher.close()
    return result, len(done)


def _listed(archive: Archive) -> tuple[ClipRef, ...]:
    return listing.list_clips(archive.source, archive.entries()).refs


def _records(path: str) -> Iterator[dict[str, list[bytes]]]:
    for record in tf.data.TFRecordDataset(path):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        yield {name: list(feature[name].bytes_list.value) for name in feature}


@pytest.mark.parametrize("count", [1, 32, 33, 64, 500])
def test_plan_covers_every_clip_once(count):
    """Shards are bounded, sorted, and hold each clip once; without a store all are missing."""
    refs = _refs(count)
    planned = _plan(refs)
    assert max(len(shard.refs) for shard in planned) <= 32
    assert len(planned) <= 1 + 2 * count / 16
    assert sorted(ref for shard in planned for ref in shard.refs) == list(refs)
    for index, shard in enumerate(planned):
        name = f"data_tfrecord-{index:05d}-of-{len(planned):05d}"
        assert shard.path == f"gs://out/Split-train/{name}"
        assert list(shard.refs) == sorted(shard.refs)
        assert shard.missing == shard.refs
        assert shard.parts == ()


def test_plan_does_not_depend_on_order_and_mixes_classes():
    """The same clips in another order are the same shards, each with every class."""
    planned = _plan(_refs(200))
    assert _plan(_refs(200)[::-1]) == planned
    assert all(len({ref.class_name for ref in shard.refs}) == 3 for shard in planned)


def test_plan_takes_what_is_stored():
    """Clips that the store has are not missing, and their parts are named."""
    refs = _refs(20)
    stored = {ref.key(): f"part{index % 2}" for index, ref in enumerate(refs[:15])}
    (shard,) = _plan(refs, stored=stored)
    assert shard.missing == refs[15:]
    assert shard.parts == ("part0", "part1")


def test_shard_of_good_and_bad_clips(tmp_path, make_video):
    """Good clips are Examples, bad ones are rejects with their stage and reason."""
    library = tmp_path / "library"
    data = {
        name: make_video(library / "a" / f"{name}.avi", num_frames=9, seed=seed)
        for seed, name in enumerate(["zero", "one", "two"])
    }
    (library / "a" / "empty.avi").write_bytes(b"")
    (library / "a" / "noise.avi").write_bytes(b"noise" * 100)
    (library / "a" / "gone.avi").write_bytes(data["one"])
    (library / "b").mkdir()
    with open_archive(str(library)) as archive:
        refs = _listed(archive)
    (library / "a" / "gone.avi").unlink()
    (shard,) = _plan(refs, root=str(tmp_path / "out"))
    result, reported = _make(shard, str(library), tmp_path)
    assert reported == 6
    assert [row.clip_id for row in result.rows] == ["a/one", "a/two", "a/zero"]
    for row in result.rows:
        expected = data[row.clip_id[2:]]
        assert (row.size, row.crc32) == (len(expected), zlib.crc32(expected))
        assert (row.num_frames, row.fps, row.duration_sec) == (9, 25.0, 9 / 25)
        assert (row.member, row.source) == (f"{row.clip_id}.avi", str(library))
    assert [(r.clip_id, r.stage) for r in result.rejects] == [
        ("a/gone", "fetch"),
        ("a/empty", "decode"),
        ("a/noise", "decode"),
    ]
    assert "empty file" in result.rejects[1].reason
    assert len(result.looks) == 3
    assert result.counts["fetched"] == 5
    assert result.counts["reused"] == 0
    assert result.counts["decoded_frames"] == 27
    assert result.counts["fetched_bytes"] == sum(map(len, data.values())) + 500

    for record, row in zip(_records(shard.path), result.rows, strict=True):
        assert record[features.CLIP_ID] == [row.clip_id.encode()]
        path = library / row.member
        clip = clips.decode(str(path), **SAMPLING._asdict())
        assert record[features.FRAMES] == [clips.encode_jpeg(frame) for frame in clip.frames]


def test_second_time_only_what_failed_is_fetched(tmp_path, make_video):
    """A shard made again takes its clips from the store, decoding's rejects too, not fetching's."""
    library = tmp_path / "library"
    for seed in range(6):
        make_video(library / f"{'ab'[seed % 2]}" / f"{seed}.avi", seed=seed)
    (library / "a" / "0.avi").write_bytes(b"")
    with open_archive(str(library)) as archive:
        refs = _listed(archive)
    hidden = library / "b" / "1.hidden"
    (library / "b" / "1.avi").rename(hidden)
    (shard,) = _plan(refs, root=str(tmp_path / "out"))
    first, _ = _make(shard, str(library), tmp_path)
    assert {(r.clip_id, r.stage) for r in first.rejects} == {("a/0", "decode"), ("b/1", "fetch")}

    hidden.rename(library / "b" / "1.avi")
    stored = ClipStore(str(tmp_path / "store")).index()
    (again,) = _plan(refs, root=str(tmp_path / "out"), stored=stored)
    assert [ref.clip_id for ref in again.missing] == ["b/1"]
    second, reported = _make(again, str(library), tmp_path)
    assert reported == 6
    assert second.counts["reused"] == 5 and second.counts["fetched"] == 1
    assert [r.clip_id for r in second.rejects] == ["a/0"]
    found = [record[features.CLIP_ID][0].decode() for record in _records(again.path)]
    assert found == ["a/2", "a/4", "b/1", "b/3", "b/5"]


def test_shard_over_http(server, make_zip, make_video, tmp_path):
    """A shard of a remote zip holds the same bytes as one of the local zip."""
    names = ["a/0.avi", "b/1.avi", "a/2.avi", "b/3.avi"]
    path = make_zip({name: make_video(tmp_path / name, seed=int(name[2])) for name in names})
    server.files["clips.zip"] = path.read_bytes()
    written = []
    for name, source in (("local", str(path)), ("remote", server.url("clips.zip"))):
        with open_archive(source) as archive:
            (shard,) = _plan(_listed(archive), root=str(tmp_path / name / "out"))
        result, _ = _make(shard, source, tmp_path / name)
        assert (result.counts["wire_bytes"] > 0) == (name == "remote")
        written.append(Path(shard.path).read_bytes())
    assert written[0] == written[1]
