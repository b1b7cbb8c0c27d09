"""Sources: naming of clips, the three kinds, and what can go wrong with each."""

import os
import zipfile
import zlib
from pathlib import Path

import pytest

from components.clip_example_gen.archive import SourceError, fingerprint, open_source
from tests.range_server import RangeServer

MEMBERS = {
    "UCF-101/Archery/v_Archery_g09_c03.avi": b"archery" * 9000,
    "UCF-101/Archery/v_Archery_g02_c01.avi": b"other archery" * 5000,
    "UCF-101/Diving/v_Diving_g01_c01.avi": os.urandom(70_000),
}


def _write(folder: Path, members: dict[str, bytes]) -> str:
    for name, data in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(folder)


def _names(source: str) -> list[tuple[str, str, str]]:
    with open_source(source) as opened:
        return [(ref.clip_id, ref.class_name, ref.group) for ref in opened.clips()]


@pytest.fixture(params=["folder", "zip", "http"])
def source(request, tmp_path, make_zip, server) -> str:
    """One library as each kind of source."""
    if request.param == "folder":
        return _write(tmp_path / "library", MEMBERS)
    path = make_zip(MEMBERS)
    if request.param == "zip":
        return str(path)
    server.files["clips.zip"] = path.read_bytes()
    return server.url("clips.zip")


def test_lists_and_reads_alike_from_every_kind(source):
    """The same clips, names and bytes come from a folder, a zip and a server."""
    with open_source(source) as opened:
        refs = opened.clips()
        read = {ref.member.rpartition("/")[2]: opened.read(ref) for ref in refs}
    assert [ref.clip_id for ref in refs] == sorted(Path(name).stem for name in MEMBERS)
    assert read == {Path(name).name: data for name, data in MEMBERS.items()}
    for ref in refs:
        data = read[f"{ref.clip_id}.avi"]
        assert ref.size == len(data)
        assert ref.source == source
        assert ref.crc32 in (None, zlib.crc32(data))
        assert (ref.crc32 is None) == (ref.modified_ns is not None)


def test_nested_and_flat_layouts_name_clips_alike(make_zip):
    """UCF101's two layouts give the same ids, classes and groups."""
    expected = [
        ("v_Archery_g02_c01", "Archery", "Archery_g02"),
        ("v_Archery_g09_c03", "Archery", "Archery_g09"),
        ("v_Diving_g01_c01", "Diving", "Diving_g01"),
    ]
    assert _names(str(make_zip(MEMBERS))) == expected
    flat = {f"UCF101/{Path(name).name}": data for name, data in MEMBERS.items()}
    assert _names(str(make_zip(flat))) == expected


def test_two_spellings_are_one_class(make_zip):
    """The folder HandstandPushups and the file name HandStandPushups are one class."""
    path = make_zip(
        {
            "UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi": b"a",
            "UCF101/v_HandstandPushups_g02_c01.avi": b"b",
        }
    )
    assert {name[1:] for name in _names(str(path))} == {
        ("HandstandPushups", "HandstandPushups_g01"),
        ("HandstandPushups", "HandstandPushups_g02"),
    }


def test_other_videos_take_folder_and_stem(tmp_path):
    """Any video is known by its folder and stem; stems that collide get the class before them."""
    members = dict.fromkeys(
        ["cats/one.mp4", "cats/two.MOV", "dogs/one.webm", "dogs/three.mkv", "top.avi"], b"x"
    )
    assert _names(_write(tmp_path / "pets", members)) == [
        ("cats_one", "cats", "cats_one"),
        ("dogs_one", "dogs", "dogs_one"),
        ("three", "dogs", "three"),
        ("top", "pets", "top"),
        ("two", "cats", "two"),
    ]


def test_passes_over_what_is_no_clip(make_zip):
    """Other files, hidden files and names that leave the archive are not listed."""
    path = make_zip(
        {
            "a/clip.avi": b"1",
            "a/notes.txt": b"2",
            "a/._hidden.avi": b"3",
            "__MACOSX/a/shadow.avi": b"4",
            "../outside.avi": b"5",
            "a/../../outside2.avi": b"6",
            "/absolute.avi": b"7",
            "C:/drive.avi": b"8",
            "..\\windows.avi": b"9",
            "avi": b"10",
        }
    )
    assert [name[0] for name in _names(str(path))] == ["clip"]


def test_two_clips_of_one_id(make_zip):
    """Two files that would get one id are both named."""
    path = make_zip({"a/x.avi": b"1", "a/x.mp4": b"2"})
    with open_source(str(path)) as opened, pytest.raises(SourceError, match=r"a/x\.avi and a/x\.m"):
        opened.clips()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.zip", None, "found nothing at"),
        ("text.zip", b"no zip at all", "not a zip file"),
        ("empty.zip", b"", "as a zip"),
    ],
)
def test_source_that_cannot_be_read(tmp_path, name, content, message):
    """A missing or unreadable source is named in one line that says what was expected."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        open_source(str(path))
    text = str(caught.value)
    assert message in text
    assert str(path) in text
    assert "expected an http(s) URL of a zip, a zip file or a folder" in text
    assert "\n" not in text


def test_source_without_clips(tmp_path):
    """A folder without videos says what it was looking for."""
    with (
        open_source(_write(tmp_path / "docs", {"a/readme.txt": b"x"})) as opened,
        pytest.raises(SourceError, match=r"no clips in .*expected <class>/<name> with .*\.avi"),
    ):
        opened.clips()


def test_damaged_member(make_zip):
    """A flipped byte in a zip fails that clip, names it, and leaves the others readable."""
    path = make_zip(MEMBERS)
    data = bytearray(path.read_bytes())
    data[data.index(b"archery") + 1000] ^= 1
    path.write_bytes(data)
    with open_source(str(path)) as opened:
        damaged, first, second = sorted(opened.clips(), key=lambda r: "g09" not in r.clip_id)
        with pytest.raises(SourceError, match=r"v_Archery_g09_c03\.avi in .*CRC"):
            opened.read(damaged)
        assert opened.read(first) == MEMBERS["UCF-101/Archery/v_Archery_g02_c01.avi"]
        assert opened.read(second) == MEMBERS["UCF-101/Diving/v_Diving_g01_c01.avi"]


def test_clip_changed_since_listing(tmp_path, make_zip):
    """A clip that is not what was listed is refused: by size in a folder, by CRC32 in a zip."""
    folder = tmp_path / "library"
    with open_source(_write(folder, {"a/clip.avi": b"long"})) as opened:
        (ref,) = opened.clips()
        (folder / "a/clip.avi").write_bytes(b"longer")
        with pytest.raises(SourceError, match="expected 4 bytes, got 6"):
            opened.read(ref)
        (folder / "a/clip.avi").unlink()
        with pytest.raises(SourceError, match=r"a/clip\.avi.*No such file"):
            opened.read(ref)
    with open_source(str(make_zip({"a/clip.avi": b"before"}))) as opened:
        (ref,) = opened.clips()
    with (
        open_source(str(make_zip({"a/clip.avi": b"after!"}))) as opened,
        pytest.raises(SourceError, match="expected CRC32"),
    ):
        opened.read(ref)
    with (
        open_source(str(make_zip({"b/clip.avi": b"after!"}))) as opened,
        pytest.raises(SourceError, match="no longer there"),
    ):
        opened.read(ref)


def test_http_fetches_only_what_is_read(server, make_zip):
    """Listing and reading one clip of a large zip moves little more than that clip."""
    members = {f"a/clip{i}.avi": os.urandom(100_000) for i in range(20)}
    server.files["clips.zip"] = make_zip(members).read_bytes()
    with open_source(server.url("clips.zip")) as opened:
        ref = opened.clips()[7]
        assert opened.read(ref) == members[ref.member]
    assert server.bytes_asked() < 110_000
    assert all(request.range for request in server.requests)


def test_http_without_suffix_ranges(server, make_zip):
    """A server that answers "the last N bytes" with 501 is asked for exact ranges instead."""
    server.files["clips.zip"] = make_zip(MEMBERS).read_bytes()
    server.suffix_ranges = False
    with open_source(server.url("clips.zip")) as opened:
        assert {opened.read(ref) for ref in opened.clips()} == set(MEMBERS.values())
    assert [r.status for r in server.requests if r.range and r.range.startswith("bytes=-")] == [501]
    assert "HEAD" in {request.method for request in server.requests}


def test_http_unavailable_at_first(server, make_zip):
    """Answers of 503 are tried again, when opening and when reading."""
    server.files["clips.zip"] = make_zip(MEMBERS).read_bytes()
    server.unavailable = 1
    with open_source(server.url("clips.zip")) as opened:
        ref = opened.clips()[0]
        server.unavailable = 1
        assert opened.read(ref) == MEMBERS["UCF-101/Archery/v_Archery_g02_c01.avi"]
    assert [request.status for request in server.requests].count(503) == 2


@pytest.mark.parametrize("kept_share", [0.0, 0.5])
def test_http_body_that_breaks_off(server, make_zip, kept_share):
    """A body that breaks off is fetched again; one that always does is an error, and not bytes."""
    server.files["clips.zip"] = make_zip(MEMBERS).read_bytes()
    server.kept_share = kept_share
    with open_source(server.url("clips.zip")) as opened:
        last = opened.clips()[-1]
        server.truncated = 1
        assert opened.read(last) == MEMBERS["UCF-101/Diving/v_Diving_g01_c01.avi"]
        server.truncated = 99
        with pytest.raises(SourceError, match=r"v_Diving_g01_c01\.avi in .*: Connection broken"):
            opened.read(last)
        assert server.truncated == 96
        server.truncated = 0
        assert opened.read(last) == MEMBERS["UCF-101/Diving/v_Diving_g01_c01.avi"]


def test_http_without_ranges(server, make_zip):
    """A server that ignores ranges is refused with advice."""
    server.files["clips.zip"] = make_zip(MEMBERS).read_bytes()
    server.ranges = False
    with pytest.raises(SourceError, match=r"does not serve byte ranges; download the zip"):
        open_source(server.url("clips.zip"))


def test_http_errors(server):
    """A missing file, a page that is no zip and a dead server each give one clear line."""
    server.files["page.zip"] = b"<html>" * 500
    with RangeServer({}) as stopped:
        dead = stopped.url("clips.zip")
    cases = {
        server.url("absent.zip"): "the server answered 404",
        server.url("page.zip"): "not a zip file",
        dead: "refused",
    }
    for address, message in cases.items():
        with pytest.raises(SourceError) as caught:
            open_source(address)
        assert message in str(caught.value)
        assert address in str(caught.value)
        assert "\n" not in str(caught.value)


def test_fingerprint_follows_the_data(tmp_path, make_zip, server):
    """It is the same for the same zip anywhere, and changes with any clip."""

    def of(source: str) -> str:
        with open_source(source) as opened:
            return fingerprint(opened.clips())

    path = make_zip(MEMBERS)
    first = of(str(path))
    server.files["moved.zip"] = path.read_bytes()
    assert of(server.url("moved.zip")) == first
    fewer = dict(list(MEMBERS.items())[1:])
    changed = MEMBERS | {"UCF-101/Diving/v_Diving_g01_c01.avi": os.urandom(70_000)}
    assert len({first, of(str(make_zip(fewer))), of(str(make_zip(changed)))}) == 3

    folder = _write(tmp_path / "library", MEMBERS)
    before = of(folder)
    assert of(folder) == before
    os.utime(tmp_path / "library/UCF-101/Diving/v_Diving_g01_c01.avi", ns=(1, 1))
    assert of(folder) != before


def test_clip_order_is_that_of_ids(make_zip):
    """Clips are sorted by id, however the zip orders its members."""
    path = make_zip(dict(reversed(MEMBERS.items())))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == list(reversed(MEMBERS))
    ids = [name[0] for name in _names(str(path))]
    assert ids == sorted(ids)
