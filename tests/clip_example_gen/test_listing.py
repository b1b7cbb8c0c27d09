"""From files to clips: names, and files that cannot be clips."""

import pytest

from components.clip_example_gen import listing
from components.clip_example_gen.archive import Entry, SourceError


def _entry(member: str, size: int = 10, crc32: int | None = 1, packed: int = 10) -> Entry:
    return Entry(member, size, crc32, None, packed)


def _list(*members: str) -> listing.Listing:
    return listing.list_clips("library", map(_entry, members))


def _names(*members: str) -> list[tuple[str, str, str]]:
    listed = _list(*members)
    assert not listed.rejects
    return [(ref.clip_id, ref.class_name, ref.group) for ref in listed.refs]


def test_nested_and_flat_layouts_name_clips_alike():
    """UCF101's two layouts give the same ids, classes and groups."""
    names = ["v_Archery_g09_c03.avi", "v_Archery_g02_c01.avi", "v_Diving_g01_c01.avi"]
    expected = [
        ("v_Archery_g02_c01", "Archery", "Archery_g02"),
        ("v_Archery_g09_c03", "Archery", "Archery_g09"),
        ("v_Diving_g01_c01", "Diving", "Diving_g01"),
    ]
    assert _names(*(f"UCF-101/{name.split('_')[1]}/{name}" for name in names)) == expected
    assert _names(*(f"UCF101/{name}" for name in names)) == expected
    assert _names(*names) == expected


def test_two_spellings_are_one_class():
    """The folder HandstandPushups and the file name HandStandPushups are one class."""
    names = _names(
        "UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi",
        "UCF101/v_HandstandPushups_g02_c01.avi",
    )
    assert [name[1:] for name in names] == [
        ("HandstandPushups", "HandstandPushups_g01"),
        ("HandstandPushups", "HandstandPushups_g02"),
    ]


def test_other_videos_take_folder_and_name():
    """Class is the folder, id the path, group the name; at the top there is no class."""
    names = _names(
        "cats/one.mp4", "cats/two.MOV", "dogs/one.webm", "pets/dogs/a.b.mkv", "it's “é”.avi"
    )
    assert names == [
        ("cats/one", "cats", "one"),
        ("cats/two", "cats", "two"),
        ("dogs/one", "dogs", "one"),
        ("it's “é”", "", "it's “é”"),
        ("pets/dogs/a.b", "dogs", "a.b"),
    ]


def test_folder_around_everything_is_no_class():
    """What lies directly in the folder that holds all clips is unlabeled."""
    assert [name[:2] for name in _names("lib/x.mp4", "lib/cats/1.mp4", "lib/dogs/1.mp4")] == [
        ("lib/cats/1", "cats"),
        ("lib/dogs/1", "dogs"),
        ("lib/x", ""),
    ]


def test_passes_over_what_is_no_clip():
    """Other files and hidden files are not listed at all."""
    names = _names(
        "a/clip.avi", "a/notes.txt", "a/._h.avi", "__MACOSX/a/s.avi", ".git/x.avi", "avi"
    )
    assert [name[0] for name in names] == ["a/clip"]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../outside.avi", "leads out"),
        ("a/../../outside.avi", "leads out"),
        ("/absolute.avi", "leads out"),
        ("C:/drive.avi", "leads out"),
        ("a\\windows.avi", "backslash"),
        ("a/\x1b[31mred.avi", "control character"),
        ("a/line\nbreak.avi", "control character"),
        ("a/latin\udce9.avi", "no UTF-8"),
    ],
)
def test_names_that_cannot_be_used_are_rejects(member, reason):
    """A name that would do harm is a reject, shown so that it does none; the others go on."""
    listed = _list("a/good.avi", member)
    assert [ref.clip_id for ref in listed.refs] == ["a/good"]
    (reject,) = listed.rejects
    assert reject.stage == "list"
    assert reason in reject.reason
    assert reject.member.isprintable()
    assert reject.member.isascii()


def test_bombs_and_giants_are_rejects():
    """What unpacks to far more than video does, or is larger than any clip, is not fetched."""
    entries = [
        _entry("a/ok.avi", size=100 << 20, packed=1 << 20),
        _entry("a/small.avi", size=10 << 20, packed=100),
        _entry("a/bomb.avi", size=1 << 30, packed=1 << 20),
        _entry("a/giant.avi", size=listing.MAX_CLIP_BYTES + 1, packed=listing.MAX_CLIP_BYTES),
        Entry("a/folder.avi", 5, None, 17, None),
    ]
    listed = listing.list_clips("library", entries)
    assert [ref.clip_id for ref in listed.refs] == ["a/folder", "a/ok", "a/small"]
    reasons = {reject.member: reject.reason for reject in listed.rejects}
    assert set(reasons) == {"a/bomb.avi", "a/giant.avi"}
    assert "packed into 1048576" in reasons["a/bomb.avi"]


def test_one_name_or_one_id_twice():
    """Of one name in a zip the last counts; of one id the first by name; both say so."""
    entries = [_entry("a/x.avi", crc32=1), _entry("a/x.avi", crc32=2), _entry("a/x.mp4")]
    listed = listing.list_clips("library", entries)
    assert [(ref.member, ref.crc32) for ref in listed.refs] == [("a/x.avi", 2)]
    assert [(reject.member, reject.reason) for reject in listed.rejects] == [
        ("a/x.avi", "the source has this name again; the last one is taken"),
        ("a/x.mp4", "a/x.avi has the same id, a/x"),
    ]


def test_no_clips_says_what_was_expected():
    """A source without clips is told what there should be, and why what there is does not do."""
    with pytest.raises(SourceError, match=r"no clips in 'library'; expected <class>/<name>"):
        _list("notes.txt")
    with pytest.raises(SourceError, match=r"\.\./x\.avi: its name leads out"):
        _list("../x.avi")


def test_fingerprint_sees_every_change():
    """The fingerprint knows ids, classes, groups, sizes, checksums and times, and no order."""
    entries = [_entry("cats/1.avi"), _entry("dogs/1.avi"), _entry("2.avi")]
    refs = listing.list_clips("one", entries).refs
    same = listing.list_clips("two", reversed(entries)).refs
    assert listing.fingerprint(refs) == listing.fingerprint(same)
    changes = [
        refs[:2],
        [refs[0]._replace(size=11), *refs[1:]],
        [refs[0]._replace(crc32=2), *refs[1:]],
        [refs[0]._replace(class_name="lions"), *refs[1:]],
        [refs[0]._replace(group="other"), *refs[1:]],
        [refs[0]._replace(crc32=None, modified_ns=1), *refs[1:]],
        [refs[0]._replace(crc32=None, modified_ns=2), *refs[1:]],
    ]
    found = [listing.fingerprint(changed) for changed in changes]
    assert len({*found, listing.fingerprint(refs)}) == 1 + len(changes)
