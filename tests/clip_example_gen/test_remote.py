"""A zip behind a real server on loopback: ranges, connections, and the directory."""

import io
import os
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.clip_example_gen.archive import (
    Archive,
    SourceError,
    open_archive,
)
from tests.faults import Fault, Faults
from tests.range_server import RangeServer
from tests.zip_library import SMALL, random_members, take, take_all, zip_bytes

pytestmark = pytest.mark.usefixtures("temporary_folder")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_little_more_than_the_members_crosses_the_wire(server, compression):
    """All that is sent is at most 2 % more than the members in the zip and its directory."""
    members = random_members(40, 300_000)
    data = server.files["clips.zip"] = zip_bytes(members, compression)
    with zipfile.ZipFile(io.BytesIO(data)) as reference:
        directory = len(data) - reference.start_dir
    with open_archive(server.url("clips.zip")) as archive:
        chosen = archive.entries()[::2]
        fetched = [archive.fetch(entry) for entry in chosen]
    assert {e.member: take(f) for e, f in zip(chosen, fetched, strict=True)} == {
        entry.member: members[entry.member] for entry in chosen
    }
    server.settle()
    needed = sum(entry.compressed_size for entry in chosen) + directory
    assert needed < server.bytes_sent <= 1.02 * needed
    # What each says it received is what was sent besides the directory.
    listing = sum(1 << 16 for r in server.requests if r.range.startswith("bytes=-"))
    assert sum(f.wire_bytes for f in fetched) == server.bytes_sent - listing
    assert all(request.range and request.method == "GET" for request in server.requests)


def test_connections_are_used_again(server, url):
    """Every thread keeps its one connection, and closing the archive ends them all."""
    barrier = threading.Barrier(3)

    def fetch_often(archive: Archive) -> None:
        barrier.wait()
        for _ in range(8):
            assert take_all(archive) == SMALL

    with open_archive(url) as archive, ThreadPoolExecutor(3) as pool:
        list(pool.map(fetch_often, [archive] * 3))
    assert len([r for r in server.requests if r.status == 206]) >= 3 * 8 * 2
    assert server.connections == 1 + 3


def test_members_are_fetched_side_by_side(server):
    """As many requests are under way at once as there are threads."""
    server.files["clips.zip"] = zip_bytes(random_members(12, 1000))
    with open_archive(server.url("clips.zip")) as archive, ThreadPoolExecutor(6) as pool:
        server.settle()
        server.latency_sec = 0.1
        server.max_in_flight = 0
        for fetched in pool.map(archive.fetch, archive.entries()):
            fetched.discard()
    assert server.max_in_flight == 6


@pytest.mark.parametrize("status", [400, 405, 416, 501])
def test_no_suffix_ranges(server, url, status):
    """A server that refuses "the last N bytes", and HEAD as well, is asked for exact ranges."""
    server.suffix_ranges = server.head = False
    server.no_suffix_status = status
    with open_archive(url) as archive:
        assert take_all(archive) == SMALL
    refused = [r for r in server.requests if r.range and r.range.startswith("bytes=-")]
    assert [r.status for r in refused] == [status]


def test_directory_with_wrong_bytes(server):
    """Wrong bytes in the directory, which no checksum guards, are noticed and read again."""
    data = server.files["clips.zip"] = zip_bytes({f"a/{i:03d}.avi": b"x" for i in range(300)})
    assert len(data) < 1 << 16  # one request reads it all
    with zipfile.ZipFile(io.BytesIO(data)) as reference:
        expected = [(info.filename, info.CRC) for info in reference.infolist()]
    for seed in range(6):
        server.faults = Faults(0.4, seed=seed, kinds=(Fault.WRONG_BYTES,))
        with open_archive(server.url("clips.zip")) as archive:
            assert [(entry.member, entry.crc32) for entry in archive.entries()] == expected
    assert any(request.fault for request in server.requests)


class _OneWrongByte(Faults):
    """The first reading of the directory has one wrong bit, `seed` bytes after its start."""

    def choose(self, request: str, times: int) -> Fault | None:
        return Fault.WRONG_BYTES if times == 1 and "bytes=-" in request else None

    def damage(self, body: bytes, request: str, times: int) -> bytes:
        place = body.index(b"PK\x01\x02") + self.seed
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


@pytest.mark.parametrize("place", [8, 10, 16, 20, 24, 42, 46])
def test_directory_with_one_wrong_byte(server, url, place):
    """One bit of flags, method, checksum, sizes, place or name is enough to be noticed."""
    server.faults = _OneWrongByte(1.0, seed=place)
    with open_archive(url) as archive:
        assert take_all(archive) == SMALL
    assert [request.fault for request in server.requests].count(Fault.WRONG_BYTES) == 1


def test_pages_and_dead_servers(server):
    """A page that is no zip, an empty file and a dead server each give one clear line."""
    server.files["page.zip"] = b"<html>" * 500
    server.files["empty.zip"] = b""
    with RangeServer({}) as stopped:
        dead = stopped.url("clips.zip")
    cases = {
        server.url("page.zip"): "not a zip file",
        server.url("empty.zip"): "as a zip",
        dead: "refused",
        "http://[::1": "not a valid host|Failed to parse",
        "https://" + server.url("page.zip").removeprefix("http://"): "(?i)ssl",
    }
    for address, message in cases.items():
        with pytest.raises(SourceError, match=message) as caught:
            open_archive(address, timeout_sec=0.5)
        assert address in str(caught.value)
        assert "\n" not in str(caught.value)


def test_memory_is_flat(server):
    """A member of many megabytes passes through in pieces."""
    size = 60_000_000
    server.files["clips.zip"] = zip_bytes({"a/large.avi": b"\0" * size}, zipfile.ZIP_STORED)
    with open_archive(server.url("clips.zip")) as archive:
        (entry,) = archive.entries()
        tracemalloc.start()
        try:
            fetched = archive.fetch(entry)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert os.path.getsize(fetched.path) == size
    fetched.discard()
    assert peak < 12_000_000  # the server's pieces included
