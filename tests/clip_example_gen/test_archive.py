"""Sources on this machine, what every kind of source has in common, and what goes wrong."""

import os
import random
import zipfile
import zlib
from pathlib import Path

import pytest

from components.clip_example_gen.archive import (
    MemberError,
    SourceError,
    open_archive,
)
from tests.zip_library import zip_bytes

pytestmark = pytest.mark.usefixtures("temporary_folder")

MEMBERS = {
    "UCF-101/Archery/v_Archery_g09_c03.avi": b"archery" * 9000,
    "UCF-101/Archery/v_Archery_g02_c01.avi": random.Random(1).randbytes(300_000),
    'UCF-101/Diving/it\'s "100%" ünïcode 滑水.avi': random.Random(2).randbytes(70_000),
    "UCF-101/Diving/nothing.avi": b"",
    "readme.txt": b"no clip",
}


def _write(folder: Path, members: dict[str, bytes]) -> str:
    for name, data in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(folder)


def _zip(
    path: Path,
    members: dict[str, bytes],
    compression: int = zipfile.ZIP_DEFLATED,
) -> str:
    """Writes a zip in which the folder is an entry, too."""
    path.write_bytes(zip_bytes({"UCF-101/": b"", **members}, compression))
    return str(path)


@pytest.fixture(params=["folder", "stored", "deflated", "http"])
def source(request, tmp_path, server) -> str:
    """One library as each kind of source."""
    if request.param == "folder":
        return _write(tmp_path / "library", MEMBERS)
    compression = zipfile.ZIP_STORED if request.param == "stored" else zipfile.ZIP_DEFLATED
    path = _zip(tmp_path / "clips.zip", MEMBERS, compression)
    if request.param != "http":
        return path
    server.files["clips.zip"] = Path(path).read_bytes()
    return server.url("clips.zip")


def test_every_kind_lists_and_fetches_alike(source, temporary_folder):
    """The same names, sizes, checksums and bytes come from a folder, a zip and a server."""
    with open_archive(source) as archive:
        assert archive.source == source
        entries = archive.entries()
        assert sorted(entry.member for entry in entries) == sorted(MEMBERS)
        for entry in entries:
            data = MEMBERS[entry.member]
            fetched = archive.fetch(entry)
            assert Path(fetched.path).read_bytes() == data
            fetched.discard()
            assert os.path.exists(fetched.path) is not fetched.temporary
            assert fetched.crc32 == zlib.crc32(data) == archive.crc32(entry)
            assert fetched.retries == 0
            assert entry.size == len(data)
            assert entry.crc32 in (None, zlib.crc32(data))
            assert (entry.crc32 is None) == (entry.modified_ns is not None)
            assert (entry.compressed_size is None) == (entry.crc32 is None)
            if source.startswith("http"):
                assert fetched.wire_bytes > entry.compressed_size
            else:
                assert fetched.wire_bytes == 0
    assert list(temporary_folder.iterdir()) == []


def test_folder_lends_its_own_files(tmp_path, monkeypatch):
    """A folder's file is used where it is: its path is absolute, and nobody removes it."""
    _write(tmp_path / "library", {"a/clip.avi": b"bytes"})
    monkeypatch.chdir(tmp_path)
    with open_archive("library") as archive:
        (entry,) = archive.entries()
        fetched = archive.fetch(entry)
    assert fetched.path == str(tmp_path / "library/a/clip.avi")
    assert entry.modified_ns == os.stat(fetched.path).st_mtime_ns
    fetched.discard()
    assert Path(fetched.path).read_bytes() == b"bytes"


def test_folder_lists_regular_files_only(tmp_path):
    """Links to files count; dangling links, pipes and empty folders do not."""
    folder = tmp_path / "library"
    _write(folder, {"a/clip.avi": b"bytes"})
    (folder / "empty").mkdir()
    (folder / "linked.avi").symlink_to(folder / "a/clip.avi")
    (folder / "dangling.avi").symlink_to(folder / "nowhere.avi")
    os.mkfifo(folder / "pipe.avi")
    with open_archive(str(folder)) as archive:
        assert sorted(e.member for e in archive.entries()) == ["a/clip.avi", "linked.avi"]


def test_changed_or_gone_since_listing(tmp_path):
    """A file that is not what was listed, or is gone, is refused in one line that names it."""
    folder = Path(_write(tmp_path / "library", {"a/clip.avi": b"long"}))
    with open_archive(str(folder)) as archive:
        (entry,) = archive.entries()
        (folder / "a/clip.avi").write_bytes(b"longer")
        with pytest.raises(MemberError, match=r"a/clip\.avi': expected 4 bytes, got 6"):
            archive.fetch(entry)
        (folder / "a/clip.avi").unlink()
        with pytest.raises(MemberError, match=r"a/clip\.avi': No such file"):
            archive.fetch(entry)
    with open_archive(_zip(tmp_path / "clips.zip", {"b/clip.avi": b"x"})) as archive:
        with pytest.raises(MemberError, match=r"a/clip\.avi' in .*: no longer there"):
            archive.fetch(entry)
        (listed,) = archive.entries()
        with pytest.raises(MemberError, match=r"b/clip\.avi' in .*: no longer there as it was"):
            archive.fetch(listed._replace(crc32=listed.crc32 ^ 1))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.zip", None, "found nothing at"),
        ("text.zip", b"no zip at all", "not a zip file"),
        ("empty.zip", b"", "not a zip file"),
    ],
)
def test_source_that_cannot_be_read(tmp_path, name, content, message):
    """A missing or unreadable source is named in one line that says why."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        open_archive(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_that_cannot_be_read(tmp_path):
    """A folder that vanishes before it is listed is an error, and no empty library."""
    folder = Path(_write(tmp_path / "library", {"clip.avi": b"x"}))
    with open_archive(str(folder)) as archive:
        (folder / "clip.avi").unlink()
        folder.rmdir()
        with pytest.raises(SourceError, match=r"library.*No such file"):
            archive.entries()
