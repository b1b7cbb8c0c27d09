"""Which clips go into train, eval and test. No group, the video of its clips, is in two splits."""

import difflib
import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

from components import features
from components.clip_example_gen.listing import ClipRef

#: UCF101's three official splits, as the numbers of the groups that they test.
UCF101_TEST_GROUPS = {
    "ucf101-1": range(1, 8),
    "ucf101-2": range(8, 15),
    "ucf101-3": range(15, 22),
}
GROUP_HASH = "group-hash"
SPLIT_METHODS = (*UCF101_TEST_GROUPS, GROUP_HASH)
#: In place of a number or of names.
ALL_CLASSES = "all"

#: So many classes are named in an error.
_MAX_NAMED = 20

_ClipsByGroup = Mapping[str, Sequence[ClipRef]]


def select_classes(refs: Sequence[ClipRef], classes: int | Sequence[str]) -> tuple[ClipRef, ...]:
    """Returns the clips of `classes`: so many, the first by name, or these by name, or ALL_CLASSES.

    Raises:
      ValueError: there are fewer classes, or none of that name, or a clip has no class.
    """
    _check_labeled(refs)
    available = sorted({ref.class_name for ref in refs})
    if classes == ALL_CLASSES:
        return tuple(refs)
    if isinstance(classes, int):
        if not 1 <= classes <= len(available):
            named = ", ".join(available[:_MAX_NAMED]) + ", ..." * (len(available) > _MAX_NAMED)
            raise ValueError(
                f"classes: expected 1 to {len(available)}, got {classes}; the source has {named}"
            )
        chosen = set(available[:classes])
    else:
        chosen = set(classes)
        if not chosen:
            raise ValueError("classes: expected at least one name, got none")
        if unknown := sorted(chosen.difference(available)):
            raise ValueError(_unknown_classes_message(unknown, available))
    return tuple(ref for ref in refs if ref.class_name in chosen)


def assign_splits(
    refs: Sequence[ClipRef],
    *,
    split: str,
    fractions: Sequence[float],
    clips_per_class: Sequence[int],
    seed: int,
) -> dict[str, tuple[ClipRef, ...]]:
    """Returns the clips of train, eval and test, each sorted by `clip_id`.

    `ucf101-N` tests the groups of UCF101's official split N. The last of the other groups, by
    number and in the proportion of `clips_per_class` (rounded up), are eval and the rest train.
    `group-hash` places each group once, for all classes that have clips of it, by a hash of
    `seed` and its name: it stays where it is when others come and go. One rule comes before: a
    class of which no group would be in train moves its first group, by hash, there. Such a group
    returns to its place when the class gets one that trains.

    Args:
      refs: labeled clips, each once.
      split: one of SPLIT_METHODS.
      fractions: shares of the groups for train, eval and test under `group-hash`, above 0; they
        need not sum to 1.
      clips_per_class: the most clips of a class in train, eval and test, at least 1 each; which
        are left out depends on `seed`.
      seed: any integer.

    Raises:
      ValueError: an argument is out of its range, a clip has no class or no UCF101 group, or a
        split would be empty.
    """
    _check_labeled(refs)
    _check_arguments(split, fractions, clips_per_class)
    by_class = _clips_by_class_and_group(refs)
    if split == GROUP_HASH:
        split_of = _hash_splits(by_class, fractions, seed)
    else:
        split_of = _ucf101_splits(by_class, UCF101_TEST_GROUPS[split], clips_per_class)
    assigned: dict[str, list[ClipRef]] = {name: [] for name in features.SPLITS}
    for groups in by_class:
        for name, limit in zip(features.SPLITS, clips_per_class, strict=True):
            clips = [ref for group in groups if split_of[group] == name for ref in groups[group]]
            clips.sort(key=lambda ref: _hash(seed, ref.clip_id))
            assigned[name] += clips[:limit]
    result = {
        name: tuple(sorted(clips, key=lambda ref: ref.clip_id)) for name, clips in assigned.items()
    }
    _check_filled(result, split)
    check_groups(result)
    return result


def check_groups(assigned: Mapping[str, Sequence[ClipRef]]) -> None:
    """Raises ValueError where the clips of one group are in two splits."""
    placed = sorted({(ref.group, name) for name, clips in assigned.items() for ref in clips})
    for group, places in groupby(placed, key=lambda place: place[0]):
        names = [name for _, name in places]
        if len(names) > 1:
            raise ValueError(f"split: expected group {group!r} in one split, got it in {names}")


def _check_labeled(refs: Sequence[ClipRef]) -> None:
    if unlabeled := [ref.clip_id for ref in refs if not ref.class_name]:
        raise ValueError(
            f"refs: expected clips with a class, got {len(unlabeled)} without one, "
            f"{unlabeled[0]!r} first"
        )


def _check_arguments(
    split: str, fractions: Sequence[float], clips_per_class: Sequence[int]
) -> None:
    if len(clips_per_class) != len(features.SPLITS) or min(clips_per_class) < 1:
        raise ValueError(
            "clips_per_class: expected three numbers of at least 1 (train, eval, test), "
            f"got {tuple(clips_per_class)}"
        )
    if len(fractions) != len(features.SPLITS) or not all(0 < f < math.inf for f in fractions):
        raise ValueError(
            f"fractions: expected three numbers above 0 (train, eval, test), got {tuple(fractions)}"
        )
    if split not in SPLIT_METHODS:
        raise ValueError(f"split: expected one of {', '.join(SPLIT_METHODS)}, got {split!r}")


def _clips_by_class_and_group(refs: Sequence[ClipRef]) -> list[_ClipsByGroup]:
    by_class: dict[str, dict[str, list[ClipRef]]] = defaultdict(lambda: defaultdict(list))
    for ref in refs:
        by_class[ref.class_name][ref.group].append(ref)
    return [by_class[name] for name in sorted(by_class)]


def _ucf101_splits(
    by_class: Sequence[_ClipsByGroup], test_numbers: range, clips_per_class: Sequence[int]
) -> dict[str, str]:
    """Returns the split of every group."""
    train, evaluation, _ = clips_per_class
    split_of = {}
    for groups in by_class:
        number = {group: _ucf101_number(clips[0]) for group, clips in groups.items()}
        split_of.update(dict.fromkeys(groups, "test"))
        training = sorted(
            (group for group in groups if number[group] not in test_numbers),
            key=number.__getitem__,
        )
        num_eval = -(-len(training) * evaluation // (train + evaluation))
        num_eval = min(num_eval, len(training) - 1)  # without training clips nothing is learned
        for index, group in enumerate(training):
            split_of[group] = "train" if index < len(training) - num_eval else "eval"
    return split_of


def _ucf101_number(ref: ClipRef) -> int:
    match = re.fullmatch(rf"{re.escape(ref.class_name)}_g(\d+)", ref.group)
    if not match:
        raise ValueError(
            f"split: the UCF101 splits need names like v_Archery_g09_c03, got {ref.clip_id!r}; "
            f"use {GROUP_HASH} for other clips"
        )
    return int(match[1])


def _hash_splits(
    by_class: Sequence[_ClipsByGroup], fractions: Sequence[float], seed: int
) -> dict[str, str]:
    """Returns the split of every group; classes may share one."""
    train, evaluation, test = fractions
    bounds = train / (train + evaluation + test), (train + evaluation) / (train + evaluation + test)
    split_of = {}
    for group in {group for groups in by_class for group in groups}:
        place = _hash(seed, group) / 2**256
        split_of[group] = "train" if place < bounds[0] else "eval" if place < bounds[1] else "test"
    for groups in by_class:
        if not any(split_of[group] == "train" for group in groups):
            split_of[min(groups, key=lambda group: _hash(seed, group))] = "train"
    return split_of


def _hash(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest(), "big")


def _check_filled(assigned: Mapping[str, Sequence[ClipRef]], split: str) -> None:
    counts = ", ".join(f"{name} {len(clips)}" for name, clips in assigned.items())
    for name, clips in assigned.items():
        if not clips:
            raise ValueError(
                f"split: {split} leaves {name} without a clip ({counts}); use another split, "
                "seed or clips_per_class, or a source with more groups a class"
            )


def _unknown_classes_message(unknown: Sequence[str], available: Sequence[str]) -> str:
    lower = {name.lower(): name for name in available}
    close = {
        lower[match]
        for name in unknown
        for match in difflib.get_close_matches(name.lower(), lower, n=3)
    }
    hint = f"did you mean {', '.join(sorted(close))}?" if close else f"there are {len(available)}"
    return f"classes: the source has no class {', '.join(map(repr, unknown))}; {hint}"
