"""Zips: members side by side, and directories and headers that are damaged or lie."""

import bz2
import random
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.clip_example_gen.archive import (
    Entry,
    MemberError,
    SourceError,
    open_archive,
)
from tests.zip_library import take, zip_bytes

pytestmark = pytest.mark.usefixtures("temporary_folder")

MEMBERS = {
    "Archery/v_Archery_g09_c03.avi": b"archery" * 9000,
    "Archery/v_Archery_g02_c01.avi": random.Random(1).randbytes(300_000),
    "readme.txt": b"no clip",
}


def _zip(
    path: Path,
    members: dict[str, bytes],
    compression: int = zipfile.ZIP_DEFLATED,
) -> str:
    """Writes a zip in which the folder is an entry, too."""
    path.write_bytes(zip_bytes({"UCF-101/": b"", **members}, compression))
    return str(path)


def test_threads_share_one_zip(tmp_path):
    """Many threads read one open zip side by side, and get what zipfile's own reading gets."""
    rng = random.Random(3)
    members = {f"a/{i}.avi": rng.randbytes(rng.randrange(1, 200_000)) for i in range(80)}
    path = _zip(tmp_path / "clips.zip", members)
    with zipfile.ZipFile(path) as reference:
        expected = {name: reference.read(name) for name in members}
    barrier = threading.Barrier(8)

    def fetch(entries: list[Entry]) -> dict[str, bytes]:
        barrier.wait()
        return {entry.member: take(archive.fetch(entry)) for entry in entries}

    with open_archive(path) as archive, ThreadPoolExecutor(8) as pool:
        entries = archive.entries()
        parts = list(pool.map(fetch, [entries[i::8] for i in range(8)]))
    assert {name: data for part in parts for name, data in part.items()} == expected


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_zip(tmp_path, share):
    """A zip whose end is missing has no directory, and is refused."""
    path = Path(_zip(tmp_path / "clips.zip", MEMBERS))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(SourceError, match="as a zip"):
        open_archive(str(path))


def test_damaged_member(tmp_path, temporary_folder):
    """Flipped bytes fail one member, which is named; the others are read, and no file is left."""
    path = Path(_zip(tmp_path / "clips.zip", MEMBERS, zipfile.ZIP_STORED))
    data = bytearray(path.read_bytes())
    data[data.index(b"archery") + 1000] ^= 1
    path.write_bytes(data)
    with open_archive(str(path)) as archive:
        for entry in archive.entries():
            if entry.member.endswith("g09_c03.avi"):
                with pytest.raises(MemberError, match=r"v_Archery_g09_c03\.avi' in .*CRC"):
                    archive.fetch(entry)
            else:
                assert take(archive.fetch(entry)) == MEMBERS[entry.member]
    assert list(temporary_folder.iterdir()) == []


def _patch(path: Path, where: str, offset: int, value: bytes) -> None:
    """Overwrites a field of the one member's header ("local") or directory entry ("central")."""
    data = bytearray(path.read_bytes())
    start = data.index({"local": b"PK\x03\x04", "central": b"PK\x01\x02"}[where]) + offset
    data[start : start + len(value)] = value
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("where", "offset", "value"),
    [
        ("central", 24, (10).to_bytes(4, "little")),  # size
        ("central", 24, (10**9).to_bytes(4, "little")),
        ("central", 20, (10).to_bytes(4, "little")),  # compressed size
        ("central", 16, b"\0\0\0\0"),  # CRC32
        ("central", 42, (5).to_bytes(4, "little")),  # where the member starts
        ("central", 42, (10**8).to_bytes(4, "little")),
        ("local", 26, (60_000).to_bytes(2, "little")),  # length of the name
        ("local", 28, (60_000).to_bytes(2, "little")),  # length of the extra field
        ("local", 30, b"b/other.avi"),  # name
        ("local", 0, b"PK\7\7"),
        ("central", 10, (99).to_bytes(2, "little")),  # method
        ("central", 8, (1).to_bytes(2, "little")),  # flags: encrypted
    ],
)
def test_lying_headers(tmp_path, temporary_folder, where, offset, value):
    """A member whose headers lie is refused in one line, and leaves no file."""
    path = tmp_path / "clips.zip"
    path.write_bytes(zip_bytes({"a/clip1.avi": b"clip" * 50_000}))
    _patch(path, where, offset, value)
    _check_refused(str(path), temporary_folder)


@pytest.mark.parametrize(
    ("where", "offset", "value"),
    [
        ("central", 42, (10**8).to_bytes(4, "little")),  # beyond the end of the file
        ("central", 10, (99).to_bytes(2, "little")),  # method
    ],
)
def test_lying_headers_over_http(tmp_path, temporary_folder, server, where, offset, value):
    """Behind a server such a member is refused, too, and does not fail the source."""
    path = tmp_path / "clips.zip"
    path.write_bytes(zip_bytes({"a/clip1.avi": b"clip" * 50_000}))
    _patch(path, where, offset, value)
    server.files["clips.zip"] = path.read_bytes()
    _check_refused(server.url("clips.zip"), temporary_folder)


def _check_refused(source: str, temporary_folder: Path) -> None:
    with open_archive(source) as archive:
        (entry,) = archive.entries()
        with pytest.raises(MemberError) as caught:
            archive.fetch(entry)
    assert "a/clip1.avi" in str(caught.value)
    assert source in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(temporary_folder.iterdir()) == []


def test_size_is_a_bound(tmp_path, temporary_folder):
    """Of a member that unpacks to more than is listed, no more than that is ever written."""
    path = Path(tmp_path / "clips.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.avi", b"\0" * 50_000_000)
    _patch(path, "central", 24, (1000).to_bytes(4, "little"))
    with open_archive(str(path)) as archive:
        (entry,) = archive.entries()
        assert entry.size == 1000
        with pytest.raises(MemberError, match=r"bomb\.avi"):
            archive.fetch(entry)
    assert list(temporary_folder.iterdir()) == []


def test_unsafe_names(tmp_path, temporary_folder):
    """Names that lead out are listed as they are; fetching them writes nowhere but here."""
    names = ["../outside.avi", "a/../../outside2.avi", "/absolute.avi", "C:/drive.avi"]
    path = _zip(tmp_path / "clips.zip", {name: name.encode() for name in names})
    before = sorted(tmp_path.rglob("*"))
    with open_archive(path) as archive:
        entries = archive.entries()
        assert sorted(entry.member for entry in entries) == sorted(names)
        for entry in entries:
            fetched = archive.fetch(entry)
            assert Path(fetched.path).parent == temporary_folder
            assert take(fetched) == entry.member.encode()
    assert sorted(tmp_path.rglob("*")) == before


def test_duplicate_names(tmp_path):
    """A name that is there twice is listed twice, and each entry gives its own bytes."""
    path = tmp_path / "clips.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a/clip.avi", b"first")
        archive.writestr("a/clip.avi", b"second")
    with open_archive(str(path)) as archive:
        entries = archive.entries()
        assert [entry.member for entry in entries] == ["a/clip.avi"] * 2
        assert [take(archive.fetch(entry)) for entry in entries] == [b"first", b"second"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_without_a_bound(tmp_path, method):
    """What zipfile would unpack in one go, whatever memory that takes, is refused."""
    path = _zip(tmp_path / "clips.zip", {"bomb.avi": b"\0" * 1_000_000}, method)
    with open_archive(path) as archive:
        (entry,) = archive.entries()
        with pytest.raises(MemberError, match=rf"expected no compression or .* method {method}"):
            archive.fetch(entry)


def test_compressed_size_of_the_directory_is_no_bound(tmp_path, server):
    """A compressed size that is far too large asks for no byte beyond the members."""
    path = Path(_zip(tmp_path / "clips.zip", {"a/clip.avi": b"clip" * 50_000}))
    start = path.read_bytes().rindex(b"PK\x01\x02")
    data = bytearray(path.read_bytes())
    data[start + 20 : start + 24] = (10**9).to_bytes(4, "little")
    server.files["clips.zip"] = bytes(data)
    with open_archive(server.url("clips.zip")) as archive:
        (entry,) = archive.entries()
        assert take(archive.fetch(entry)) == b"clip" * 50_000
    assert server.bytes_asked() < start


def test_reads_what_other_programs_write(tmp_path):
    """A data descriptor, a comment, bytes before the zip and gaps between members do no harm."""
    plain = tmp_path / "plain.zip"
    with plain.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"a comment"
        archive.writestr("a.avi", b"one", zipfile.ZIP_STORED)
        with archive.open("b.avi", "w", force_zip64=True) as member:
            member.write(bz2.compress(b"two"))
    path = tmp_path / "clips.zip"
    path.write_bytes(b"#!/bin/sh\n" * 100 + plain.read_bytes())
    with open_archive(str(path)) as archive:
        found = {entry.member: take(archive.fetch(entry)) for entry in archive.entries()}
    assert found == {"a.avi": b"one", "b.avi": bz2.compress(b"two")}
