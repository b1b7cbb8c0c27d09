"""Sources on a filesystem of Beam's: one of the test's own, which keeps its files in a folder."""

import io
import os
import random
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from components.clip_example_gen.archive import (
    MemberError,
    SourceError,
    open_archive,
)
from tests.zip_library import take, take_all, zip_bytes

pytestmark = pytest.mark.usefixtures("temporary_folder")

MEMBERS = {
    "Archery/v_Archery_g09_c03.avi": b"archery" * 9000,
    "Archery/it's [100]% ünïcode 滑水.avi": random.Random(2).randbytes(70_000),
    "Diving/nothing.avi": b"",
    "readme.txt": b"no clip",
}


class ShelfFileSystem(LocalFileSystem):
    """shelf://clips/... is the folder `root`/clips/...; reads ahead, as object stores' do."""

    root = ""
    asked: list[int]
    refusal: Exception | None = None

    @classmethod
    def scheme(cls) -> str:
        return "shelf"

    def _local(self, path: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        return os.path.join(self.root, path.removeprefix("shelf://"))

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for found in super()._list(self._local(dir_or_prefix)):
            path = f"shelf://{os.path.relpath(found.path, self.root)}"
            yield FileMetadata(path, found.size_in_bytes, found.last_updated_in_seconds)

    def exists(self, path: str) -> bool:
        return super().exists(self._local(path))

    def open(self, path: str, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self._local(path), self), 16 << 20)


class _Raw(io.FileIO):
    def __init__(self, path: str, shelf: ShelfFileSystem) -> None:
        super().__init__(path)
        self._shelf = shelf

    def readinto(self, buffer: memoryview) -> int:
        if self._shelf.refusal is not None:
            raise self._shelf.refusal
        size = super().readinto(buffer)
        self._shelf.asked.append(size)
        return size

    def read(self, size: int = -1) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])


class CloudError(Exception):
    """An error that only this filesystem knows."""


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch) -> type[ShelfFileSystem]:
    """The filesystem, empty."""
    root = tmp_path / "shelf"
    (root / "clips").mkdir(parents=True)
    monkeypatch.setattr(ShelfFileSystem, "root", str(root))
    monkeypatch.setattr(ShelfFileSystem, "asked", [], raising=False)
    monkeypatch.setattr(ShelfFileSystem, "refusal", None)
    return ShelfFileSystem


@pytest.fixture(params=["zip", "folder"])
def uri(request, shelf) -> str:
    """One library as a zip and as a folder."""
    if request.param == "zip":
        return _zip(shelf, MEMBERS)
    for name, data in MEMBERS.items():
        path = Path(shelf.root, "clips", name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return "shelf://clips"


def _zip(shelf: type[ShelfFileSystem], members: dict[str, bytes]) -> str:
    Path(shelf.root, "clips.zip").write_bytes(zip_bytes(members))
    return "shelf://clips.zip"


def test_lists_and_fetches(uri, shelf, tmp_path):
    """Names, sizes, times, checksums and bytes are those of the files."""
    with open_archive(uri) as archive:
        assert archive.source == uri
        assert take_all(archive) == MEMBERS
        for entry in archive.entries():
            data = MEMBERS[entry.member]
            assert entry.size == len(data)
            assert archive.crc32(entry) == zlib.crc32(data)
            fetched = archive.fetch(entry)
            assert fetched.temporary
            assert fetched.crc32 == zlib.crc32(data)
            fetched.discard()
            if uri.endswith(".zip"):
                assert (entry.crc32, entry.modified_ns) == (zlib.crc32(data), None)
                assert entry.compressed_size < fetched.wire_bytes < entry.compressed_size + 200
            else:
                status = os.stat(Path(shelf.root, "clips", entry.member))
                assert (entry.crc32, entry.compressed_size) == (None, None)
                assert entry.modified_ns == pytest.approx(status.st_mtime_ns, abs=1000)
                assert fetched.wire_bytes == len(data)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_reads_no_further_than_the_member(shelf):
    """Though the filesystem reads megabytes ahead, a member costs hardly more than its size."""
    rng = random.Random(4)
    members = {f"a/{i}.avi": rng.randbytes(100_000) for i in range(20)}
    with open_archive(_zip(shelf, members)) as archive:
        shelf.asked.clear()
        entry = archive.entries()[3]
        fetched = archive.fetch(entry)
    assert take(fetched) == members[entry.member]
    assert entry.compressed_size < sum(shelf.asked) == fetched.wire_bytes
    assert sum(shelf.asked) < entry.compressed_size + 200


def test_threads_share_a_zip(shelf):
    """Many threads read side by side, each through a file of its own."""
    rng = random.Random(3)
    members = {f"a/{i}.avi": rng.randbytes(rng.randrange(1, 50_000)) for i in range(64)}
    barrier = threading.Barrier(8)
    with open_archive(_zip(shelf, members)) as archive, ThreadPoolExecutor(8) as pool:

        def fetch(part: int) -> dict[str, bytes]:
            barrier.wait()
            entries = archive.entries()[part::8]
            return {entry.member: take(archive.fetch(entry)) for entry in entries}

        parts = list(pool.map(fetch, range(8)))
    assert {name: data for part in parts for name, data in part.items()} == members


def test_folder_changed_since_listing(shelf):
    """A file that is gone, or has another size, is refused, and the others are not."""
    for name in ("gone.avi", "changed.avi", "same.avi"):
        Path(shelf.root, "clips", name).write_bytes(b"bytes")
    with open_archive("shelf://clips/") as archive:
        entries = {entry.member: entry for entry in archive.entries()}
        Path(shelf.root, "clips/gone.avi").unlink()
        Path(shelf.root, "clips/changed.avi").write_bytes(b"longer")
        with pytest.raises(MemberError, match=r"shelf://clips/gone\.avi': no longer there"):
            archive.fetch(entries["gone.avi"])
        with pytest.raises(MemberError, match=r"changed\.avi': expected 5 bytes, got 6"):
            archive.fetch(entries["changed.avi"])
        assert take(archive.fetch(entries["same.avi"])) == b"bytes"


@pytest.mark.parametrize(
    "error",
    [
        CloudError("no\npermission"),
        BeamIOError("failed", {"shelf://clips": CloudError("no permission")}),
        OSError("no permission"),
    ],
)
def test_filesystem_that_fails(uri, shelf, error, tmp_path):
    """Whatever a filesystem raises, when listing and when reading, is the source's error."""
    with open_archive(uri) as archive:
        entry = min(archive.entries())
        shelf.refusal = error
        with pytest.raises(SourceError, match=r"100\]% .*no permission") as fetching:
            archive.fetch(entry)
        with pytest.raises(SourceError, match="no permission") as listing:
            open_archive(uri)
    for caught in (fetching, listing):
        assert uri in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("shelf://clips/absent.zip", "No such file"),
        ("shelf://clips/absent", "found nothing"),
        ("shelf://clips/text.zip", "not a zip file"),
        ("nowhere://bucket/clips.zip", "Unable to get filesystem"),
        ("nowhere://bucket/clips", "Unable to get filesystem"),
    ],
)
def test_nothing_there(shelf, address, message):
    """What is missing, is no zip, or has a scheme that Beam does not know is told in one line."""
    Path(shelf.root, "clips/text.zip").write_bytes(b"no zip at all")
    with pytest.raises(SourceError, match=message) as caught:
        open_archive(address)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)
