"""Which clips of a source a run takes, and into which split each goes."""

from collections.abc import Sequence
from typing import NamedTuple

from components import features
from components.clip_example_gen import duplicates, listing, splits
from components.clip_example_gen.archive import Archive


class Selection(NamedTuple):
    """The clips of a run.

    Attributes:
      assigned: clips by split; unlabeled clips, where there are any, are a split of their own.
      rejects: files of the source that cannot be clips.
      duplicates: clips that are left out, as they have the bytes of another one.
      keys: of all clips of the source, taken or not.
      data_version: fingerprint of the clips that are taken.
    """

    assigned: dict[str, tuple[listing.ClipRef, ...]]
    rejects: tuple[listing.Reject, ...]
    duplicates: tuple[duplicates.Duplicate, ...]
    keys: frozenset[str]
    data_version: str


def select(
    archive: Archive,
    *,
    classes: int | Sequence[str],
    split: str,
    split_fractions: Sequence[float],
    clips_per_class: Sequence[int],
    seed: int,
) -> Selection:
    """Lists the source, drops duplicates, chooses classes and clips, and assigns the splits.

    Raises:
      ValueError: the source has no clips, or classes or splits cannot be had of it.
    """
    listed = listing.list_clips(archive.source, archive.entries())
    kept, exact = duplicates.exact(listed.refs, lambda ref: archive.crc32(ref.entry))
    labeled = [ref for ref in kept if ref.class_name]
    unlabeled = tuple(ref for ref in kept if not ref.class_name)
    if not labeled:
        raise ValueError(
            f"source: expected clips in a folder for each class, got {len(unlabeled)} clips "
            f"without one in {archive.source!r}"
        )
    assigned = splits.assign_splits(
        splits.select_classes(labeled, classes),
        split=split,
        fractions=split_fractions,
        clips_per_class=clips_per_class,
        seed=seed,
    )
    if unlabeled:
        assigned[features.UNLABELED] = unlabeled
    taken = (ref for refs in assigned.values() for ref in refs)
    return Selection(
        assigned=assigned,
        rejects=listed.rejects,
        duplicates=exact,
        keys=frozenset(ref.key() for ref in listed.refs),
        data_version=listing.fingerprint(taken),
    )
