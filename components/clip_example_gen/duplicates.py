"""Clips that are alike: the same bytes, or the same look in two splits."""

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from components.clip_example_gen.archive import MemberError
from components.clip_example_gen.listing import ClipRef

#: Hashes of one clip, in other sizes, qualities and formats, differ in no more bits of 192.
MAX_DISTANCE = 20
#: Bytes of `clips.perceptual_hash`.
HASH_BYTES = 24
#: FAISS compares codes of 32 bytes some three times as fast as those of 24.
_CODE_BYTES = 32
#: So many codes are compared with so many at once: at worst all pairs, a million, come back.
_BLOCK = 1024
#: No clip is near enough.
_NONE = np.iinfo(np.int64).max


class Duplicate(NamedTuple):
    """A clip that is like another one.

    Attributes:
      clip_id: of the clip.
      other_clip_id: of the one that it is like.
      kind: "exact", the same bytes: `clip_id` is left out; or "near", the same look in another
        split: both are kept.
      split, other_split: of the two; "" where the kind is exact.
      distance: bits of the perceptual hash that differ, 0 to 192.
    """

    clip_id: str
    other_clip_id: str
    kind: str
    split: str
    other_split: str
    distance: int


def exact(
    refs: Sequence[ClipRef], crc32_of: Callable[[ClipRef], int]
) -> tuple[tuple[ClipRef, ...], tuple[Duplicate, ...]]:
    """Keeps one clip of those that have the same size and CRC32.

    That is one with a class before one without, then the first by `clip_id`. Empty files are
    no duplicates of one another.

    Args:
      refs: clips.
      crc32_of: asked only for clips that share their size and bring no CRC32. Where it raises
        MemberError the clip is kept: fetching it tells what is wrong.

    Returns:
      The clips that are kept and those that are not, both sorted by `clip_id`.
    """
    by_size: dict[int, list[ClipRef]] = defaultdict(list)
    for ref in refs:
        by_size[ref.size].append(ref)
    kept: list[ClipRef] = []
    left_out: list[Duplicate] = []
    for size, group in by_size.items():
        if len(group) == 1 or not size:
            kept += group
            continue
        first: dict[int, ClipRef] = {}
        for ref in sorted(group, key=lambda ref: (not ref.class_name, ref.clip_id)):
            crc32 = _crc32(ref, crc32_of)
            original = ref if crc32 is None else first.setdefault(crc32, ref)
            if original is ref:
                kept.append(ref)
            else:
                left_out.append(Duplicate(ref.clip_id, original.clip_id, "exact", "", "", 0))
    return tuple(sorted(kept, key=lambda ref: ref.clip_id)), tuple(sorted(left_out))


def _crc32(ref: ClipRef, crc32_of: Callable[[ClipRef], int]) -> int | None:
    if ref.crc32 is not None:
        return ref.crc32
    try:
        return crc32_of(ref)
    except MemberError:
        return None


def near(
    clip_ids: Sequence[str],
    splits: Sequence[str],
    looks: np.ndarray,
    max_distance: int = MAX_DISTANCE,
) -> tuple[Duplicate, ...]:
    """Finds for each clip the one of each other split that looks most like it.

    All clips are compared, n * n / 2 at most; memory is linear in n.

    Args:
      clip_ids: [n], unique.
      splits: [n].
      looks: uint8 [n, 24], as `clips.perceptual_hash` gives them.
      max_distance: bits that may differ, at least 0.

    Returns:
      Pairs, each once and with `clip_id` before `other_clip_id`, of which at least one clip is
      the other's nearest in that split; ties go to the first by `clip_id`. Sorted; at most n
      times the number of the other splits, however many clips look the same.

    Raises:
      ValueError: `looks` has another shape or dtype, or `max_distance` is below 0.
    """
    _check_arguments(clip_ids, looks, max_distance)
    order = sorted(range(len(clip_ids)), key=clip_ids.__getitem__)
    names, place = np.unique([splits[row] for row in order], return_inverse=True)
    # Of clips of one split with one hash the first stands for all: it wins every tie.
    looks_in_splits = np.column_stack([place.astype(np.uint8), looks[order]])
    _, firsts, inverse = np.unique(looks_in_splits, axis=0, return_index=True, return_inverse=True)
    stands_in = firsts[inverse.reshape(-1)]
    codes = np.pad(looks[order], ((0, 0), (0, _CODE_BYTES - HASH_BYTES)))
    pairs = {}
    for one, other in itertools.combinations(range(len(names)), 2):
        in_one, in_other = (firsts[place[firsts] == name] for name in (one, other))
        nearest = _nearest(codes, in_one, in_other, max_distance)[stands_in]
        for row in np.flatnonzero(nearest != _NONE).tolist():
            distance, found = divmod(int(nearest[row]), 1 << 32)
            pairs[min(row, found), max(row, found)] = distance
    return tuple(
        _near_duplicate(clip_ids, splits, order[row], order[other], distance)
        for (row, other), distance in sorted(pairs.items())
    )


def _check_arguments(clip_ids: Sequence[str], looks: np.ndarray, max_distance: int) -> None:
    if looks.shape != (len(clip_ids), HASH_BYTES) or looks.dtype != np.uint8:
        raise ValueError(
            f"looks: expected uint8 {[len(clip_ids), HASH_BYTES]}, "
            f"got {looks.dtype} {list(looks.shape)}"
        )
    if max_distance < 0:
        raise ValueError(f"max_distance: expected at least 0, got {max_distance}")


def _near_duplicate(
    clip_ids: Sequence[str], splits: Sequence[str], one: int, other: int, distance: int
) -> Duplicate:
    return Duplicate(clip_ids[one], clip_ids[other], "near", splits[one], splits[other], distance)


def _nearest(
    codes: np.ndarray, one: np.ndarray, other: np.ndarray, max_distance: int
) -> np.ndarray:
    """Finds the nearest in `other` of each row of `one`, and the reverse.

    Args:
      codes: uint8 [n, _CODE_BYTES].
      one, other: rows of `codes`.
      max_distance: bits that may differ.

    Returns:
      int64 [n]: distance << 32 | row of the nearest, of equals the first; _NONE where all are
      farther or the row is in neither.
    """
    import faiss  # listing clips does without

    nearest = np.full(len(codes), _NONE)
    # Each thread compares on its own. OpenMP's would wait for one another after every block,
    # which is slow where other work keeps the cores busy.
    with ThreadPoolExecutor(
        faiss.omp_get_max_threads(), initializer=faiss.omp_set_num_threads, initargs=(1,)
    ) as pool:
        for gallery in _blocks(other):
            index = faiss.IndexBinaryFlat(8 * _CODE_BYTES)
            index.add(codes[gallery])
            compare = functools.partial(_compare, codes, index, gallery, max_distance)
            queries = _blocks(one)
            for rows, (of_rows, of_gallery) in zip(
                queries, pool.map(compare, queries), strict=True
            ):
                nearest[rows] = np.minimum(nearest[rows], of_rows)
                nearest[gallery] = np.minimum(nearest[gallery], of_gallery)
    return nearest


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _compare(
    codes: np.ndarray, index: Any, gallery: np.ndarray, max_distance: int, queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns, as `_nearest` does, the nearest of `queries` and of `gallery`, which is `index`."""
    limits, distances, places = index.range_search(codes[queries], max_distance + 1)
    asked = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
    distances = distances.astype(np.int64) << 32
    of_queries, of_gallery = np.full(len(queries), _NONE), np.full(len(gallery), _NONE)
    np.minimum.at(of_queries, asked, distances | gallery[places])
    np.minimum.at(of_gallery, places, distances | queries[asked])
    return of_queries, of_gallery
