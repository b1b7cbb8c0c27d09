"""Splits: groups stay together, UCF101's official groups, upper bounds, and errors."""

import hashlib
import itertools
from collections import Counter

import pytest

from components.clip_example_gen import splits
from components.clip_example_gen.listing import ClipRef

# Clips of groups 1 to 25: 10 in g01-07, 30 in g08-20, 10 in g21-25.
SAMPLE_SIZES = [2, 2, 2, 1, 1, 1, 1] + [2] * 9 + [3] * 4 + [2] * 5


def _ref(class_name: str, clip_id: str, group: str) -> ClipRef:
    return ClipRef(clip_id, class_name, group, f"{class_name}/{clip_id}.avi", 1, 1)


def _assign(refs, **changes) -> dict[str, tuple[ClipRef, ...]]:
    settings = {
        "split": "ucf101-1",
        "fractions": (0.6, 0.2, 0.2),
        "clips_per_class": (30, 10, 10),
        "seed": 0,
    }
    return splits.assign_splits(refs, **settings | changes)


def _library(num_classes: int = 3, sizes=SAMPLE_SIZES) -> tuple[ClipRef, ...]:
    return tuple(
        _ref(f"Class{c}", f"v_Class{c}_g{g:02d}_c{i:02d}", f"Class{c}_g{g:02d}")
        for c in range(num_classes)
        for g, size in enumerate(sizes, start=1)
        for i in range(1, size + 1)
    )


def _group_numbers(refs) -> set[int]:
    return {int(ref.group.rpartition("_g")[2]) for ref in refs}


def _places(assigned) -> dict[str, str]:
    return {ref.group: name for name, clips in assigned.items() for ref in clips}


def test_sample_library_fills_its_splits_exactly():
    """50 clips a class in the sample library's groups give 30, 10 and 10."""
    assert sum(SAMPLE_SIZES) == 50
    assigned = _assign(_library(), split="ucf101-1", clips_per_class=(30, 10, 10), seed=0)
    for name, expected in {"train": 30, "eval": 10, "test": 10}.items():
        assert Counter(ref.class_name for ref in assigned[name]) == dict.fromkeys(
            ["Class0", "Class1", "Class2"], expected
        )
    assert _group_numbers(assigned["test"]) == set(range(1, 8))
    assert _group_numbers(assigned["train"]) == set(range(8, 21))
    assert _group_numbers(assigned["eval"]) == set(range(21, 26))


@pytest.mark.parametrize(
    ("split", "tested", "evaluated"),
    [
        ("ucf101-1", range(1, 8), range(21, 26)),
        ("ucf101-2", range(8, 15), range(21, 26)),
        ("ucf101-3", range(15, 22), [14, 22, 23, 24, 25]),
    ],
)
def test_official_groups(split, tested, evaluated):
    """UCF101's splits test their own groups; the last of the others are eval."""
    assigned = _assign(_library(1), split=split, clips_per_class=(900, 300, 300), seed=0)
    assert _group_numbers(assigned["test"]) == set(tested)
    assert _group_numbers(assigned["eval"]) == set(evaluated)
    assert _group_numbers(assigned["train"]) == set(range(1, 26)) - set(tested) - set(evaluated)
    assert sum(map(len, assigned.values())) == 50


@pytest.mark.parametrize(
    ("split", "clips_per_class", "seed"),
    [*itertools.product(splits.SPLIT_METHODS, [(30, 10, 10), (3, 1, 2), (90, 20, 60)], [0, 1, 7])],
)
def test_no_group_in_two_splits(split, clips_per_class, seed):
    """Whatever the arguments: whole groups, no clip twice, bounds kept, order by id."""
    assigned = _assign(_library(5), split=split, clips_per_class=clips_per_class, seed=seed)
    groups = [{ref.group for ref in clips} for clips in assigned.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))
    ids = [ref.clip_id for clips in assigned.values() for ref in clips]
    assert len(ids) == len(set(ids))
    for (name, clips), limit in zip(assigned.items(), clips_per_class, strict=True):
        assert max(Counter(ref.class_name for ref in clips).values()) <= limit, name
        assert [ref.clip_id for ref in clips] == sorted(ref.clip_id for ref in clips)


def test_bounds_choose_by_seed():
    """Which clips are left out follows the seed, and not the order of the list."""

    def train(refs, seed: int):
        assigned = _assign(refs, split="ucf101-1", clips_per_class=(5, 2, 2), seed=seed)
        return assigned["train"]

    library = _library()
    assert train(library, 0) == train(library[::-1], 0)
    assert train(library, 0) != train(library, 1)


@pytest.mark.parametrize("fractions", [(0.6, 0.2, 0.2), (8, 1, 1), (0.1, 0.5, 0.4)])
def test_group_hash_follows_the_fractions(fractions):
    """Over many groups the shares of the splits come close to the fractions, in any unit."""
    refs = tuple(_ref(f"c{i % 4}", f"clip{i}", f"clip{i}") for i in range(4000))
    assigned = _assign(
        refs, split="group-hash", fractions=fractions, clips_per_class=(4000, 4000, 4000), seed=3
    )
    shares = [len(clips) / len(refs) for clips in assigned.values()]
    assert shares == pytest.approx([f / sum(fractions) for f in fractions], abs=0.03)


def test_group_hash_trains_every_class():
    """Each class has a training group, however few groups it has."""
    refs = tuple(_ref(f"c{i}", f"clip{i}{j}", f"g{i}{j}") for i in range(60) for j in "abc")
    assigned = _assign(refs, split="group-hash", clips_per_class=(1, 5, 5), seed=0)
    assert len({ref.class_name for ref in assigned["train"]}) == 60
    assert not {ref.group for ref in assigned["train"]} & {ref.group for ref in assigned["test"]}


def test_one_training_group_is_trained_on():
    """A class with one group outside the test groups trains on it; others fill eval."""
    few = tuple(ref for ref in _library(1) if ref.group in ("Class0_g01", "Class0_g09"))
    many = tuple(ref for ref in _library(2) if ref.class_name == "Class1")
    assigned = _assign(few + many, split="ucf101-1", clips_per_class=(30, 10, 10), seed=0)
    assert {r.class_name for r in assigned["train"]} == {"Class0", "Class1"}
    assert {r.class_name for r in assigned["eval"]} == {"Class1"}


def test_ucf101_split_needs_group_numbers():
    """Clips named otherwise get the advice to use group-hash."""
    refs = (_ref("cats", "one", "one"), _ref("cats", "two", "two"))
    with pytest.raises(ValueError, match=r"'one'; use group-hash"):
        _assign(refs, split="ucf101-2", clips_per_class=(3, 1, 1), seed=0)


def test_empty_split_is_an_error():
    """A split without clips is named, with the counts and what to change."""
    refs = tuple(ref for ref in _library() if ref.group.endswith(("g01", "g02")))
    with pytest.raises(ValueError, match=r"ucf101-1 leaves train .*test 12.*use another split"):
        _assign(refs, split="ucf101-1", clips_per_class=(30, 10, 10), seed=0)


def test_group_shared_by_classes_is_placed_once():
    """Files 1.mp4 of two classes are one group: it is in one split for both, forced or not."""
    refs = [_ref(f"c{c}", f"c{c}/{i}", f"{i}") for c in range(6) for i in range(3 * c, 3 * c + 9)]
    for seed in range(30):
        assigned = _assign(refs, split="group-hash", fractions=(1, 9, 9), seed=seed)
        assert {ref.class_name for ref in assigned["train"]} == {f"c{c}" for c in range(6)}
        places = {(ref.group, name) for name, clips in assigned.items() for ref in clips}
        assert len(places) == len({group for group, _ in places})


def test_group_hash_is_sha256():
    """The place of a group is a published hash: another release or machine finds the same."""
    refs = [_ref("c", f"clip{i}", f"clip{i}") for i in range(50)]
    for group, name in _places(_assign(refs, split="group-hash", seed=7)).items():
        place = int(hashlib.sha256(f"7:{group}".encode()).hexdigest()[:13], 16) / 16**13
        assert name == ("train" if place < 0.6 else "eval" if place < 0.8 else "test")


def test_group_hash_keeps_groups_where_they_are():
    """New groups and classes do not move the others between the splits."""
    refs = [_ref(f"c{i % 4}", f"clip{i:04d}", f"clip{i:04d}") for i in range(400)]
    limits = {"split": "group-hash", "clips_per_class": (999, 999, 999)}
    before, after = _assign(refs[:300], **limits), _assign(refs, **limits)
    for name, clips in before.items():
        assert set(clips) <= set(after[name])


def test_group_in_two_splits_stops_the_run():
    """Should a group ever be in two splits, it is named with both."""
    one, other = _ref("a", "x", "shared"), _ref("b", "y", "shared")
    with pytest.raises(ValueError, match=r"group .shared. in one split, got .*eval.*test"):
        splits.check_groups({"train": [_ref("a", "z", "z")], "eval": [one], "test": [other]})


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("clips_per_class", (1, 2)),
        ("clips_per_class", (1, 0, 1)),
        ("split", "random"),
        ("fractions", (1, 1)),
        ("fractions", (1, 0, 1)),
        ("fractions", (1, float("nan"), 1)),
        ("fractions", (float("inf"), 1, 1)),
    ],
)
def test_arguments_are_checked(argument, value):
    """A bad argument is named with what was expected."""
    with pytest.raises(ValueError, match=rf"^{argument}: expected .* got "):
        _assign(_library(), **{argument: value})


@pytest.mark.parametrize("function", [_assign, lambda refs: splits.select_classes(refs, 1)])
def test_unlabeled_clips_are_refused(function):
    """A clip without a class never gets into a training split; it is named."""
    refs = [*_library(), _ref("", "mine/two", "two"), _ref("", "mine/one", "one")]
    with pytest.raises(ValueError, match=r"^refs: expected .* got 2 without one, 'mine/two'"):
        function(refs)


def test_groups_move_to_train_only():
    """Where no group of a class would train, one does so for all its classes; no other moves."""
    refs = [_ref(f"c{c}", f"c{c}/{i}", f"{i}") for c in range(6) for i in range(3 * c, 3 * c + 9)]
    free = [_ref("all", ref.clip_id, ref.group) for ref in refs]  # one class: at most one moves
    forced = 0
    for seed in range(30):
        settings = {"split": "group-hash", "fractions": (1, 9, 9), "seed": seed}
        settings["clips_per_class"] = (99, 99, 99)
        place = _places(_assign(free, **settings))
        for group, name in _places(_assign(refs, **settings)).items():
            assert name in ("train", place[group])
            forced += name != place[group]
    assert forced


def test_select_classes_by_number_and_by_name():
    """A number takes the first by name; names take those classes; "all" takes all."""
    refs = _library(5)[::-1]
    assert {r.class_name for r in splits.select_classes(refs, 2)} == {"Class0", "Class1"}
    assert splits.select_classes(refs, "all") == refs
    chosen = splits.select_classes(refs, ["Class4", "Class2"])
    assert Counter(r.class_name for r in chosen) == {"Class4": 50, "Class2": 50}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (6, r"expected 1 to 5, got 6; the source has Class0, Class1, Class2, Class3, Class4$"),
        (0, "expected 1 to 5"),
        ([], "expected at least one name"),
        (["class33"], "no class 'class33'; did you mean Class"),
        (["Class1", "Zebra"], "no class 'Zebra'; there are 5"),
    ],
)
def test_classes_that_are_not_there(classes, message):
    """Too many classes or unknown names say what there is."""
    with pytest.raises(ValueError, match=f"^classes: .*{message}"):
        splits.select_classes(_library(5), classes)
