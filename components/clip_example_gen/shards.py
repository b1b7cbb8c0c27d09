"""Shards: which clips go into which file, and making one such file."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from components import features
from components.clip_example_gen import clips, examples, previews
from components.clip_example_gen.archive import MemberError
from components.clip_example_gen.fetching import Fetcher
from components.clip_example_gen.listing import ClipRef, Reject
from components.clip_example_gen.sampling import Sampling
from components.clip_example_gen.store import ClipStore, StoredClip, part_name
from components.clip_example_gen.tables import write_table


class Shard(NamedTuple):
    """A TFRecord file to be made.

    Attributes:
      split: its split.
      path: where it goes.
      previews_path: where the table of its clips' previews goes.
      refs: its clips, sorted by clip_id.
      missing: those of them that the store lacks.
      parts: the store's parts that hold the others.
    """

    split: str
    path: str
    previews_path: str
    refs: tuple[ClipRef, ...]
    missing: tuple[ClipRef, ...]
    parts: tuple[str, ...]


class ClipRow(NamedTuple):
    """One clip of the Examples."""

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


class PreviewRow(NamedTuple):
    """A clip to look at."""

    clip_id: str
    preview: bytes


class ShardResult(NamedTuple):
    """What became of a shard's clips.

    Attributes:
      rows: the clips.
      looks: their perceptual hashes.
      rejects: the clips that are left out.
      counts: fetched, reused, fetched_bytes (of the files), wire_bytes (received for them),
        retries, decoded_frames.
    """

    rows: tuple[ClipRow, ...]
    looks: tuple[bytes, ...]
    rejects: tuple[Reject, ...]
    counts: dict[str, int]


def plan_shards(
    assigned: Mapping[str, Sequence[ClipRef]],
    *,
    root: str,
    clips_per_shard: int,
    stored: Mapping[str, str],
) -> list[Shard]:
    """Divides every split into shards of at most `clips_per_shard` clips.

    Clips are placed by a hash of their ids, and a shard that would hold too many is halved
    (extendible hashing: Fagin et al., ACM TODS 4(3), 1979). So every shard has clips of every
    class, and a clip that comes or goes touches one shard, or the two halves of one.

    Args:
      assigned: clips by split.
      root: of the Examples.
      clips_per_shard: at least 1.
      stored: by the key of a clip, the part of the store that holds it.
    """
    shards = []
    for split, refs in assigned.items():
        placed = sorted((hashlib.sha256(ref.clip_id.encode()).digest(), ref) for ref in refs)
        groups = list(_halve(placed, clips_per_shard, bit=0))
        for index, group in enumerate(groups):
            number = f"{index:05d}-of-{len(groups):05d}"
            path = f"{root}/Split-{split}/data_tfrecord-{number}"
            previews_path = f"{root}/{features.PREVIEWS_DIR}/{split}-{number}.parquet"
            missing = tuple(ref for ref in group if ref.key() not in stored)
            parts = {stored[ref.key()] for ref in group if ref.key() in stored}
            shards.append(Shard(split, path, previews_path, group, missing, tuple(sorted(parts))))
    return shards


def make_shard(
    shard: Shard,
    fetcher: Fetcher,
    store: ClipStore,
    sampling: Sampling,
    *,
    source: str,
    temp_dir: str,
    on_clip: Callable[[], None],
) -> ShardResult:
    """Writes the shard's files; what the store lacks is fetched, decoded and stored before.

    Args:
      shard: what to make.
      fetcher: of the source of its clips.
      store: where decoded clips are kept.
      sampling: which frames to take.
      source: as it was given, for the rows.
      temp_dir: a folder on the file system of `shard.path` for what is not yet complete.
      on_clip: called after every clip, rejected or not.

    Raises:
      SourceError: the source does not answer.
    """
    rejects: list[Reject] = []
    counts = Counter(reused=len(shard.refs) - len(shard.missing))
    stored = _stored(shard, fetcher, store, sampling, rejects, counts, on_clip)
    refs = {ref.clip_id: ref for ref in shard.refs}
    rows: list[ClipRow] = []
    looks: list[bytes] = []
    strips: list[PreviewRow] = []

    def serialized() -> Iterator[bytes]:
        for clip in stored:
            ref = refs[clip.clip_id]
            if clip.reason:
                rejects.append(Reject(ref.clip_id, ref.member, "decode", clip.reason))
            else:
                rows.append(_row(ref, shard.split, source, clip))
                looks.append(clip.look)
                strips.append(PreviewRow(clip.clip_id, clip.preview))
                yield clip.example

    examples.write_shard(shard.path, temp_dir, serialized())
    write_table(shard.previews_path, PreviewRow, strips)
    for _ in range(counts["reused"]):
        on_clip()
    return ShardResult(tuple(rows), tuple(looks), tuple(rejects), dict(counts))


def _stored(
    shard: Shard,
    fetcher: Fetcher,
    store: ClipStore,
    sampling: Sampling,
    rejects: list[Reject],
    counts: Counter[str],
    on_clip: Callable[[], None],
) -> Iterator[StoredClip]:
    """Yields the shard's clips by clip_id; they are one part of the store when all are yielded."""
    if not shard.missing and shard.parts == (part_name(ref.key() for ref in shard.refs),):
        return store.read(shard.parts[0])
    made = _decode_missing(shard.missing, fetcher, sampling, rejects, counts, on_clip)
    wanted = {ref.key() for ref in shard.refs}.difference(ref.key() for ref in shard.missing)
    taken = (_take(store.read(name), wanted) for name in shard.parts)
    return store.write(heapq.merge(*taken, made, key=lambda clip: clip.clip_id))


def _halve(
    placed: Sequence[tuple[bytes, ClipRef]], limit: int, bit: int
) -> Iterator[tuple[ClipRef, ...]]:
    """Yields groups of at most `limit` clips, each sorted by clip_id, by the bits of the hashes."""
    if len(placed) > limit:
        ones = [item for item in placed if item[0][bit // 8] >> (7 - bit % 8) & 1]
        zeros = placed[: len(placed) - len(ones)]  # sorted by hash: the zeros come first
        yield from _halve(zeros, limit, bit + 1)
        yield from _halve(ones, limit, bit + 1)
    elif placed:
        yield tuple(sorted(ref for _, ref in placed))


def _take(stored: Iterator[StoredClip], wanted: set[str]) -> Iterator[StoredClip]:
    """Yields the clips that are wanted and takes them off `wanted`: parts may overlap."""
    for clip in stored:
        if clip.key in wanted:
            wanted.remove(clip.key)
            yield clip


def _decode_missing(
    refs: Sequence[ClipRef],
    fetcher: Fetcher,
    sampling: Sampling,
    rejects: list[Reject],
    counts: Counter[str],
    on_clip: Callable[[], None],
) -> Iterator[StoredClip]:
    """Yields the clips; adds those that cannot be fetched to `rejects`, and what was done."""
    for ref, fetched in fetcher.fetch(refs):
        if isinstance(fetched, MemberError):
            rejects.append(Reject(ref.clip_id, ref.member, "fetch", str(fetched)))
        else:
            try:
                stored = _decode(ref, fetched.path, fetched.crc32, sampling)
            finally:
                fetched.discard()
            counts.update(
                fetched=1,
                fetched_bytes=ref.size,
                wire_bytes=fetched.wire_bytes,
                retries=fetched.retries,
                decoded_frames=stored.num_frames,
            )
            yield stored
        on_clip()


def _decode(ref: ClipRef, path: str, crc32: int, sampling: Sampling) -> StoredClip:
    try:
        clip = clips.decode(path, **sampling._asdict())
    except clips.ClipError as error:
        return StoredClip(ref.key(), ref.clip_id, crc32, 0, 0.0, 0.0, b"", b"", str(error), b"")
    # The middle window: one after another, windows go back in time.
    start = (sampling.num_windows - 1) // 2 * sampling.num_frames
    return StoredClip(
        key=ref.key(),
        clip_id=ref.clip_id,
        crc32=crc32,
        num_frames=clip.num_frames,
        fps=clip.fps,
        duration_sec=clip.duration_sec,
        look=clips.perceptual_hash(clip.frames),
        preview=previews.strip(clip.frames[start : start + sampling.num_frames]),
        reason="",
        example=examples.to_example(
            clip_id=ref.clip_id, group=ref.group, class_name=ref.class_name, **clip._asdict()
        ),
    )


def _row(ref: ClipRef, split: str, source: str, stored: StoredClip) -> ClipRow:
    return ClipRow(
        clip_id=ref.clip_id,
        class_name=ref.class_name,
        group=ref.group,
        split=split,
        source=source,
        member=ref.member,
        size=ref.size,
        crc32=stored.crc32,
        num_frames=stored.num_frames,
        fps=stored.fps,
        duration_sec=stored.duration_sec,
    )
