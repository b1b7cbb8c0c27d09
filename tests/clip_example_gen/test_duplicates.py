"""Clips that are alike: exact duplicates against names, near ones against brute force."""

import itertools

import numpy as np
import pytest

from components.clip_example_gen import duplicates
from components.clip_example_gen.archive import MemberError, open_archive
from components.clip_example_gen.duplicates import Duplicate
from components.clip_example_gen.listing import ClipRef, list_clips


def _ref(clip_id: str, size: int, crc32: int | None, class_name: str = "cats") -> ClipRef:
    return ClipRef(clip_id, class_name, clip_id, f"{clip_id}.avi", size, crc32)


def _never(ref: ClipRef) -> int:
    raise AssertionError(f"the checksum of {ref.clip_id} is not needed")


def _left_out(clip_id: str, other: str) -> Duplicate:
    return Duplicate(clip_id, other, "exact", "", "", 0)


def test_same_size_and_checksum_are_one():
    """Only clips equal in both are one; the first by id is kept, whatever the order."""
    refs = [_ref("d", 5, 1), _ref("b", 5, 1), _ref("a", 5, 2), _ref("c", 6, 1), _ref("e", 5, 1)]
    for order in itertools.permutations(refs):
        kept, left_out = duplicates.exact(order, _never)
        assert [ref.clip_id for ref in kept] == ["a", "b", "c"]
        assert left_out == (_left_out("d", "b"), _left_out("e", "b"))


def test_a_clip_with_a_class_is_kept_first():
    """Of clips with and without a class the one that can be trained on stays."""
    refs = [_ref("a", 5, 1, ""), _ref("b", 5, 1), _ref("c", 5, 1, "")]
    kept, left_out = duplicates.exact(refs, _never)
    assert [ref.clip_id for ref in kept] == ["b"]
    assert left_out == (_left_out("a", "b"), _left_out("c", "b"))


def test_checksums_are_asked_for_equal_sizes_only():
    """A file is read only if another one has its size and its checksum is not known."""
    checksums = {"a": 1, "b": 1, "c": 2}
    refs = [_ref(name, 5, None) for name in checksums]
    refs += [_ref("alone", 7, None), _ref("known", 5, 2), _ref("one", 8, 3), _ref("two", 8, 3)]
    asked = []

    def crc32_of(ref: ClipRef) -> int:
        asked.append(ref.clip_id)
        return checksums[ref.clip_id]

    kept, left_out = duplicates.exact(refs, crc32_of)
    assert sorted(asked) == ["a", "b", "c"]
    assert [ref.clip_id for ref in kept] == ["a", "alone", "c", "one"]
    assert left_out == (_left_out("b", "a"), _left_out("known", "c"), _left_out("two", "one"))


def test_empty_files_are_no_duplicates():
    """Clips of no bytes are all kept, for decoding to reject each."""
    refs = [_ref("a", 0, 0), _ref("b", 0, None)]
    assert duplicates.exact(refs, _never) == (tuple(refs), ())
    assert duplicates.exact([], _never) == ((), ())


def test_files_that_cannot_be_read_are_kept(tmp_path):
    """In a real folder equal files are found; one that is gone by then stops nothing."""
    (tmp_path / "cats").mkdir()
    content = {
        "one": b"same bytes",
        "two": b"same bytes",
        "six": b"other byte",
        "gone": b"gone" * 2,
    }
    for name, data in {**content, "left": b"left" * 2}.items():
        (tmp_path / "cats" / f"{name}.avi").write_bytes(data)
    with open_archive(str(tmp_path)) as archive:
        refs = list_clips(archive.source, archive.entries()).refs
        (tmp_path / "cats" / "gone.avi").unlink()
        with pytest.raises(MemberError):
            archive.crc32(next(ref.entry for ref in refs if ref.clip_id == "cats/gone"))
        kept, left_out = duplicates.exact(refs, lambda ref: archive.crc32(ref.entry))
    assert [ref.clip_id for ref in kept] == ["cats/gone", "cats/left", "cats/one", "cats/six"]
    assert left_out == (_left_out("cats/two", "cats/one"),)


def _looks(rng: np.random.Generator, count: int, distinct: int) -> np.ndarray:
    """Returns uint8 [count, 24]: some looks, most of them with up to 30 bits changed."""
    bits = rng.integers(0, 2, (distinct, 192), np.uint8)[rng.integers(0, distinct, count)]
    for row in bits:
        row[rng.choice(192, rng.integers(0, 31), replace=False)] ^= 1
    return np.packbits(bits, axis=1)


def _brute_force(clip_ids, splits, looks, max_distance) -> list[Duplicate]:
    """Finds the same by the definition: every clip against all of each other split."""
    bits = np.unpackbits(looks, axis=1).astype(int)
    found = set()
    for one, own in enumerate(splits):
        for split in set(splits) - {own}:
            distance, other_id, other = min(
                (int(np.abs(bits[one] - bits[row]).sum()), clip_ids[row], row)
                for row, name in enumerate(splits)
                if name == split
            )
            if distance <= max_distance:
                first, last = sorted([(clip_ids[one], own), (other_id, splits[other])])
                found.add(Duplicate(first[0], last[0], "near", first[1], last[1], distance))
    return sorted(found)


@pytest.mark.parametrize(
    ("count", "distinct", "names", "max_distance"),
    itertools.product(
        [1, 2, 90], [1, 4, 30], ["ab", "train eval test unlabeled".split()], [0, 7, 20, 192]
    ),
)
def test_equals_brute_force(count, distinct, names, max_distance):
    """The same pairs with the same distances as each clip against all, in blocks of any size."""
    rng = np.random.default_rng(count + distinct)
    looks = _looks(rng, count, distinct)
    clip_ids = [f"clip {row}" for row in rng.permutation(count)]  # "clip 10" is before "clip 9"
    splits = [str(name) for name in rng.choice(list(names), count)]
    found = duplicates.near(clip_ids, splits, looks, max_distance)
    assert list(found) == _brute_force(clip_ids, splits, looks, max_distance)


def test_blocks_do_not_change_the_pairs(monkeypatch):
    """Compared a few at a time or all at once, the pairs are the same."""
    rng = np.random.default_rng(0)
    looks = _looks(rng, 200, 10)
    clip_ids, splits = [f"{row:03d}" for row in range(200)], ["train", "test"] * 100
    whole = duplicates.near(clip_ids, splits, looks)
    assert len(whole) > 50
    for block in (37, 99, 100):
        monkeypatch.setattr(duplicates, "_BLOCK", block)
        assert duplicates.near(clip_ids, splits, looks) == whole


def test_the_order_of_the_clips_does_not_matter():
    """The pairs are the same however the clips come, and of plain types."""
    rng = np.random.default_rng(1)
    looks = _looks(rng, 60, 5)
    clip_ids = [f"{row:02d}" for row in range(60)]
    splits = [("train", "eval", "test")[row % 3] for row in range(60)]
    found = duplicates.near(clip_ids, splits, looks)
    assert found
    assert {tuple(map(type, pair)) for pair in found} == {(str, str, str, str, str, int)}
    order = rng.permutation(60)
    again = duplicates.near(
        [clip_ids[row] for row in order], [splits[row] for row in order], looks[order]
    )
    assert again == found


def test_clips_of_one_split_are_not_compared():
    """Mates within a split are no leak; the same look in two splits is."""
    looks = np.zeros((4, 24), np.uint8)
    assert duplicates.near(["a", "b", "c", "d"], ["train"] * 4, looks) == ()
    assert duplicates.near(["b", "a"], ["train", "test"], looks[:2]) == (
        Duplicate("a", "b", "near", "test", "train", 0),
    )
    assert duplicates.near([], [], looks[:0]) == ()


def test_thousands_of_clips_that_look_the_same():
    """The pairs grow as the clips do, not as their square; each names a first of a split."""
    count = 6000
    clip_ids = [f"{row:05d}" for row in range(count)]
    splits = [("train", "eval", "test")[row % 3] for row in range(count)]
    found = duplicates.near(clip_ids, splits, np.full((count, 24), 9, np.uint8))
    assert len(found) == 2 * count - 3  # two a clip; the three firsts are each other's
    assert {pair.clip_id for pair in found} == {"00000", "00001", "00002"}
    assert {pair.distance for pair in found} == {0}


@pytest.mark.parametrize(
    ("looks", "max_distance", "message"),
    [
        (np.zeros((2, 8), np.uint8), 20, r"looks: expected uint8 \[2, 24\], got uint8 \[2, 8\]"),
        (np.zeros((3, 24), np.uint8), 20, r"looks: expected .* got uint8 \[3, 24\]"),
        (np.zeros((2, 24), np.int64), 20, r"looks: expected .* got int64"),
        (np.zeros((2, 24), np.uint8), -1, "max_distance: expected at least 0, got -1"),
    ],
)
def test_arguments_are_checked(looks, max_distance, message):
    """Hashes of another size, number or type are refused, and distances below 0."""
    with pytest.raises(ValueError, match=message):
        duplicates.near(["a", "b"], ["train", "test"], looks, max_distance)
