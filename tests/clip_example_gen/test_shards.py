"""Shards: which clips go where, and one shard made for real."""

import zlib

import pytest
import tensorflow as tf

from components import features
from components.clip_example_gen import clips, shards
from components.clip_example_gen.archive import ClipRef, open_source

SAMPLING = shards.Sampling(num_frames=3, frame_step=2, image_size=16)


def _refs(count: int) -> tuple[ClipRef, ...]:
    return tuple(
        ClipRef(f"c{i:03d}", "class", f"c{i:03d}", "library", f"class/c{i:03d}.avi", 1, 1)
        for i in range(count)
    )


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1]), (32, [32]), (33, [17, 16]), (64, [32] * 2)]
)
def test_plan_covers_every_clip_once(count, expected):
    """Shards are bounded, of nearly one size, sorted, and hold each clip once."""
    refs = _refs(count)
    planned = shards.plan_shards({"train": refs}, root="gs://out", clips_per_shard=32)
    assert [len(shard.refs) for shard in planned] == expected
    planned_ids = sorted(ref.clip_id for shard in planned for ref in shard.refs)
    assert planned_ids == [ref.clip_id for ref in refs]
    for index, shard in enumerate(planned):
        name = f"data_tfrecord-{index:05d}-of-{len(expected):05d}"
        assert shard.path == f"gs://out/Split-train/{name}"
        assert shard.split == "train"
        assert list(shard.refs) == sorted(shard.refs, key=lambda ref: ref.clip_id)


def test_make_shard(tmp_path, make_video):
    """Good clips are written in order with their rows; bad ones are rejected with the reason."""
    library = tmp_path / "library"
    data = {
        name: make_video(library / "a" / f"{name}.avi", num_frames=9, seed=seed)
        for seed, name in enumerate(["one", "two", "zero"])
    }
    (library / "a" / "empty.avi").write_bytes(b"")
    (library / "a" / "gone.avi").write_bytes(b"soon gone")
    (library / "a" / "noise.mp4").write_bytes(b"no video" * 100)
    done = []
    with open_source(str(library)) as source:
        shard = shards.Shard("eval", str(tmp_path / "out" / "shard"), source.clips())
        (library / "a" / "gone.avi").unlink()
        result = shards.make_shard(
            shard, source, SAMPLING, temp_dir=str(tmp_path / "t"), on_clip=lambda: done.append(1)
        )
    assert len(done) == 6
    assert [row.clip_id for row in result.rows] == ["one", "two", "zero"]
    for row in result.rows:
        expected = data[row.clip_id]
        assert (row.size, row.crc32) == (len(expected), zlib.crc32(expected))
        assert (row.class_name, row.group, row.split) == ("a", row.clip_id, "eval")
        assert (row.num_frames, row.fps, row.duration_sec) == (9, 25.0, 9 / 25)
        assert row.member == f"a/{row.clip_id}.avi"
    assert [(r.clip_id, r.stage) for r in result.rejects] == [
        ("empty", "decode"),
        ("gone", "fetch"),
        ("noise", "decode"),
    ]
    assert "empty file" in result.rejects[0].reason
    assert result.decoded_frames == 27
    assert result.fetched_bytes == sum(map(len, data.values())) + 800

    records = [r.numpy() for r in tf.data.TFRecordDataset(shard.path)]
    for record, row in zip(records, result.rows, strict=True):
        feature = tf.train.Example.FromString(record).features.feature
        assert feature[features.CLIP_ID].bytes_list.value == [row.clip_id.encode()]
        clip = clips.decode(data[row.clip_id], **SAMPLING._asdict())
        assert list(feature[features.FRAMES].bytes_list.value) == [
            clips.encode_jpeg(frame) for frame in clip.frames
        ]


def test_shard_over_http(server, make_zip, make_video, tmp_path):
    """A shard of a remote zip holds the same bytes as one of the local zip."""
    path = make_zip({f"a/{i}.avi": make_video(tmp_path / f"{i}.avi", seed=i) for i in range(3)})
    server.files["clips.zip"] = path.read_bytes()
    written = []
    for name in (str(path), server.url("clips.zip")):
        with open_source(name) as source:
            shard = shards.Shard("train", str(tmp_path / "out" / "shard"), source.clips())
            shards.make_shard(
                shard, source, SAMPLING, temp_dir=str(tmp_path / "t"), on_clip=lambda: None
            )
        written.append((tmp_path / "out" / "shard").read_bytes())
    assert written[0] == written[1]
