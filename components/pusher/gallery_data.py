"""What the gallery's page knows of clips, as small as it can be: columns and indices."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

#: Of a coordinate on the map: no screen shows more.
_MAP_STEPS = 65_535
#: Of a score.
_SCORE_STEPS = 10_000
#: A strip in base64 costs its quotes and a comma, too; a chunk its tags.
_BYTES_PER_STRIP, _BYTES_PER_CHUNK = 3, 80


class Clips(NamedTuple):
    """The library, in the order of the page.

    Attributes:
      ids: [n], unique.
      classes: [n], names; empty where a clip has none.
      groups: [n], the videos that clips were cut from.
      splits: [n].
      durations: [n], seconds; 0 where it is not known.
    """

    ids: Sequence[str]
    classes: Sequence[str]
    groups: Sequence[str]
    splits: Sequence[str]
    durations: Sequence[float]


class Neighbors(NamedTuple):
    """The neighbor table, row by row.

    Attributes:
      queries: [r], clip ids.
      ranks: [r], from 1.
      neighbors: [r], clip ids.
      scores: [r], cosines.
    """

    queries: Sequence[str]
    ranks: Sequence[int]
    neighbors: Sequence[str]
    scores: Sequence[float]


def library(clips: Clips, positions: np.ndarray) -> dict[str, Any]:
    """Returns the clips as columns; classes, groups and splits as indices into their names.

    Args:
      clips: of the library.
      positions: float [n, 2]; both axes keep their proportion.

    Raises:
      ValueError: no clips, lengths that differ, ids that come twice, or values not finite.
    """
    n = len(clips.ids)
    if not n or len(set(clips.ids)) != n:
        raise ValueError(f"clips.ids: expected unique ids; got {len(set(clips.ids))} in {n}")
    for name, column in clips._asdict().items():
        if len(column) != n:
            raise ValueError(f"clips.{name}: expected {n}; got {len(column)}")
    if positions.shape != (n, 2) or not np.isfinite(positions).all():
        raise ValueError(f"positions: expected finite ({n}, 2); got {positions.shape}")
    durations = np.asarray(clips.durations, np.float64)
    if not np.isfinite(durations).all():
        raise ValueError("clips.durations: expected finite seconds; got others")
    low = positions.min(axis=0)
    extent = max(float(np.ptp(positions, axis=0).max()), 1e-9)
    steps = np.rint((positions.astype(np.float64) - low) / extent * _MAP_STEPS).astype(int)
    found: dict[str, Any] = {
        "ids": list(clips.ids),
        "durations": [round(float(value), 2) for value in durations],
        "x": steps[:, 0].tolist(),
        "y": steps[:, 1].tolist(),
        "map_steps": _MAP_STEPS,
    }
    for name in ("classes", "groups", "splits"):
        column = getattr(clips, name)
        # Splits keep their order, which means something; names are looked up.
        names = list(dict.fromkeys(column)) if name == "splits" else sorted(set(column))
        index = {value: i for i, value in enumerate(names)}
        found[name] = {"names": names, "of_clip": [index[value] for value in column]}
    return found


def neighbor_table(clips: Clips, neighbors: Neighbors) -> dict[str, Any]:
    """Returns each clip's neighbors as indices and scores, [n][<= k], best first.

    Raises:
      ValueError: columns of other lengths, clips that are not of the library, or ranks of a clip
        that are not 1, 2, ...
    """
    rows = len(neighbors.queries)
    for name, column in neighbors._asdict().items():
        if len(column) != rows:
            raise ValueError(f"neighbors.{name}: expected {rows}; got {len(column)}")
    index = {clip_id: i for i, clip_id in enumerate(clips.ids)}
    for name in ("queries", "neighbors"):
        if strangers := sorted(set(getattr(neighbors, name)) - index.keys()):
            raise ValueError(f"neighbors.{name}: expected clips; got {strangers[0]!r}")
    found: list[list[int]] = [[] for _ in clips.ids]
    scores: list[list[int]] = [[] for _ in clips.ids]
    for row in sorted(range(rows), key=lambda row: neighbors.ranks[row]):
        query = index[neighbors.queries[row]]
        found[query].append(index[neighbors.neighbors[row]])
        scores[query].append(round(float(neighbors.scores[row]) * _SCORE_STEPS))
        if neighbors.ranks[row] != len(found[query]):
            raise ValueError(
                f"neighbors.ranks: expected {len(found[query])} of "
                f"{neighbors.queries[row]!r}; got {neighbors.ranks[row]}"
            )
    return {"neighbors": found, "scores": scores, "score_steps": _SCORE_STEPS}


def choose_previews(
    clips: Clips, previews: Mapping[str, bytes], room: int, clips_per_chunk: int
) -> dict[str, bytes]:
    """Returns the previews that fit: a clip of each class in turn, so that every class has some.

    Args:
      clips: of the library.
      previews: by clip id; those of other clips are passed over.
      room: bytes in the page.
      clips_per_chunk: of those that are written together.

    Raises:
      ValueError: a preview is no lossy WebP.
    """
    turns: dict[str, int] = {}
    order = []
    for clip_id, class_name in zip(clips.ids, clips.classes, strict=True):
        if clip_id in previews:
            turns[class_name] = turns.get(class_name, -1) + 1
            order.append((turns[class_name], clip_id))
    room -= -(-len(clips.ids) // clips_per_chunk) * _BYTES_PER_CHUNK
    room -= len(clips.ids) * _BYTES_PER_STRIP
    kept = {}
    for _, clip_id in sorted(order):
        strip = previews[clip_id]
        if strip[:4] != b"RIFF" or strip[8:16] != b"WEBPVP8 ":
            found = f"{clip_id!r} begins with {strip[:16]!r}"
            raise ValueError(f"previews: expected lossy WebP; {found}")
        room -= -(-len(strip) // 3) * 4
        if room < 0:
            break
        kept[clip_id] = strip
    return kept
