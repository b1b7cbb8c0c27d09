"""Shards: which clips go into which file, and making one such file."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from components.clip_example_gen import clips, examples
from components.clip_example_gen.archive import ClipRef, Source, SourceError


class Shard(NamedTuple):
    """A TFRecord file to be made.

    Attributes:
      split: its split.
      path: where it goes.
      refs: its clips.
    """

    split: str
    path: str
    refs: tuple[ClipRef, ...]


class Sampling(NamedTuple):
    """How frames are taken from a clip: the arguments of `clips.decode`."""

    num_frames: int
    frame_step: int
    image_size: int


class ClipRow(NamedTuple):
    """One clip of the Examples; the columns of clips.parquet."""

    clip_id: str
    class_name: str
    group: str
    split: str
    source: str
    member: str
    size: int
    crc32: int
    num_frames: int
    fps: float
    duration_sec: float


class Reject(NamedTuple):
    """A clip that is left out, the stage that failed (fetch or decode) and why."""

    clip_id: str
    member: str
    stage: str
    reason: str


class ShardResult(NamedTuple):
    """What became of a shard's clips."""

    rows: tuple[ClipRow, ...]
    rejects: tuple[Reject, ...]
    fetched_bytes: int
    decoded_frames: int


def plan_shards(
    assigned: Mapping[str, Sequence[ClipRef]], *, root: str, clips_per_shard: int
) -> list[Shard]:
    """Divides every split into shards of nearly one size, at most `clips_per_shard` clips.

    Clips are dealt out in turn, so that clips sorted by name put every class into every shard.
    """
    shards = []
    for split, refs in assigned.items():
        count = -(-len(refs) // clips_per_shard)
        for index in range(count):
            path = f"{root}/Split-{split}/data_tfrecord-{index:05d}-of-{count:05d}"
            shards.append(Shard(split, path, tuple(refs[index::count])))
    return shards


def make_shard(
    shard: Shard,
    source: Source,
    sampling: Sampling,
    *,
    temp_dir: str,
    on_clip: Callable[[], None],
) -> ShardResult:
    """Fetches and decodes the shard's clips and writes its file, in the order of its clips.

    Args:
      shard: what to make.
      source: the open source of its clips.
      sampling: which frames to take.
      temp_dir: a folder on the file system of `shard.path` for what is not yet complete.
      on_clip: called after every clip, rejected or not.
    """
    rows: list[ClipRow] = []
    rejects: list[Reject] = []
    fetched_bytes = decoded_frames = 0

    def serialized() -> Iterator[bytes]:
        nonlocal fetched_bytes, decoded_frames
        for ref in shard.refs:
            stage = "fetch"
            try:
                data = source.read(ref)
                fetched_bytes += len(data)
                stage = "decode"
                clip = clips.decode(data, **sampling._asdict())
            except (SourceError, clips.ClipError) as error:
                rejects.append(Reject(ref.clip_id, ref.member, stage, str(error)))
            else:
                decoded_frames += clip.num_frames
                rows.append(_row(ref, shard.split, clip, zlib.crc32(data)))
                yield _serialize(ref, clip)
            on_clip()

    examples.write_shard(shard.path, temp_dir, serialized())
    return ShardResult(tuple(rows), tuple(rejects), fetched_bytes, decoded_frames)


def _serialize(ref: ClipRef, clip: clips.Clip) -> bytes:
    return examples.to_example(
        clip_id=ref.clip_id, group=ref.group, class_name=ref.class_name, **clip._asdict()
    )


def _row(ref: ClipRef, split: str, clip: clips.Clip, crc32: int) -> ClipRow:
    return ClipRow(
        clip_id=ref.clip_id,
        class_name=ref.class_name,
        group=ref.group,
        split=split,
        source=ref.source,
        member=ref.member,
        size=ref.size,
        crc32=crc32,
        num_frames=clip.num_frames,
        fps=clip.fps,
        duration_sec=clip.duration_sec,
    )
