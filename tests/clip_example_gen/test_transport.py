"""Retries and time-outs, against a real server on loopback that fails in every way."""

import random
import socket
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from components.clip_example_gen.archive import (
    Entry,
    MemberError,
    SourceError,
    open_archive,
)
from tests.faults import Fault, Faults
from tests.zip_library import SMALL, random_members, take, zip_bytes

pytestmark = pytest.mark.usefixtures("temporary_folder")


def test_a_fifth_of_all_requests_fails(server, temporary_folder):
    """Through resets, errors, stalls, broken and wrong bodies all arrive, byte for byte, once."""
    members = random_members(60, 20_000)
    server.files["clips.zip"] = zip_bytes(members, zipfile.ZIP_STORED)
    server.faults = Faults(0.2, seed=7)
    got: list[tuple[str, bytes]] = []
    with open_archive(server.url("clips.zip"), timeout_sec=4) as archive:

        def fetch(entry: Entry) -> int:
            fetched = archive.fetch(entry)
            got.append((entry.member, take(fetched)))
            return fetched.retries

        with ThreadPoolExecutor(8) as pool:
            retries = list(pool.map(fetch, archive.entries()))
    assert sorted(got) == sorted(members.items())
    kinds = {request.fault for request in server.requests}
    assert kinds == {None, *Fault}
    faulty = [r for r in server.requests if r.fault and not r.range.startswith("bytes=-")]
    # Every fault but one costs a retry: other bytes may hit what the member does not depend on.
    assert 0 < sum(retries) <= len(faulty)
    assert list(temporary_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Fault.RESET, "reset"),
        (Fault.ERROR, "the server answered 500"),
        (Fault.UNAVAILABLE, "the server answered 503"),
        (Fault.TOO_MANY, "the server answered 429"),
        (Fault.STALL, "timed out"),
        (Fault.TRUNCATION, "[Ii]ncomplete|timed out"),  # the last attempt may meet the deadline
    ],
)
def test_all_requests_fail(server, url, temporary_folder, kind, message):
    """A server that only fails is given up in time, with what it did, how long and how often."""
    with open_archive(url, timeout_sec=1.2) as archive:
        (entry, _) = archive.entries()
        server.faults = Faults(1.0, kinds=(kind,))
        started = time.monotonic()
        with pytest.raises(SourceError, match=rf"a/one\.avi' in .*{message}") as caught:
            archive.fetch(entry)
        assert time.monotonic() - started < 5
        with pytest.raises(SourceError, match=message) as listing:
            open_archive(url, timeout_sec=1.2)
    for error in (caught, listing):
        assert url in str(error.value)
        assert "\n" not in str(error.value)
        assert "attempts in" in str(error.value)
    assert list(temporary_folder.iterdir()) == []


def test_nobody_answers():
    """A port where no server is: what was tried, in words that mean something."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/clips.zip"
        with pytest.raises(SourceError, match="Connection refused") as error:
            open_archive(url, timeout_sec=0.5)
    assert "object at" not in str(error.value)


def test_wrong_bytes_always(server, url, temporary_folder):
    """A file that is wrong five times is given up; the server is not."""
    with open_archive(url) as archive:
        one, two = archive.entries()
        server.requests.clear()
        data = bytearray(server.files["clips.zip"])
        data[1000] ^= 1
        server.files["clips.zip"] = bytes(data)
        with pytest.raises(MemberError, match=r"a/one\.avi' in .*CRC"):
            archive.fetch(one)
        assert len(server.requests) == 5
        assert take(archive.fetch(two)) == SMALL["a/two.avi"]
    assert list(temporary_folder.iterdir()) == []


def test_mixed_faults_always(server, url):
    """Where every request fails, each time in another way, the run is told in time."""
    server.faults = Faults(1.0, kinds=tuple(set(Fault) - {Fault.WRONG_BYTES}), seed=1)
    started = time.monotonic()
    with pytest.raises(SourceError, match="attempts in"):
        open_archive(url, timeout_sec=1.5)
    assert time.monotonic() - started < 7.5


@pytest.mark.parametrize("during", ["listing", "fetching"])
def test_body_that_trickles(server, during):
    """A body that comes so slowly that no read times out is cut off at the deadline."""
    server.files["clips.zip"] = zip_bytes({"a/clip.avi": random.Random(1).randbytes(200_000)})
    url = server.url("clips.zip")
    started = time.monotonic()
    if during == "listing":
        server.drip_sec = 0.1
        with pytest.raises(SourceError, match="too slowly"):
            open_archive(url, timeout_sec=1)
    else:
        with open_archive(url, timeout_sec=1) as archive:
            server.drip_sec = 0.1
            with pytest.raises(SourceError, match=r"a/clip\.avi' in .* too slowly"):
                archive.fetch(*archive.entries())
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after(server, url, form):
    """The next attempt waits as long as the server asks, in either form of the header."""
    with open_archive(url) as archive:
        entry = archive.entries()[0]
        asked = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
        server.faults = Faults(1.0, kinds=(Fault.TOO_MANY,), retry_after=asked)
        threading.Timer(0.3, lambda: setattr(server, "faults", None)).start()
        started = time.monotonic()
        fetched = archive.fetch(entry)
        assert time.monotonic() - started > 0.9
        assert fetched.retries == 1
        assert take(fetched) == SMALL["a/one.avi"]


def test_retry_after_beyond_the_deadline(server, url):
    """Who is to wait longer than there is time does not wait at all."""
    with open_archive(url, timeout_sec=5) as archive:
        server.requests.clear()
        server.faults = Faults(1.0, kinds=(Fault.UNAVAILABLE,), retry_after="3600")
        with pytest.raises(SourceError, match="answered 503"):
            archive.fetch(archive.entries()[0])
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusals_are_final(server, url, status):
    """What another try cannot change is told at once."""
    with open_archive(url) as archive:
        server.requests.clear()
        server.refusal = status
        with pytest.raises(SourceError, match=rf"a/one\.avi' in .*the server answered {status}"):
            archive.fetch(archive.entries()[0])
        assert len(server.requests) == 1
    with pytest.raises(SourceError, match=f"the server answered {status}"):
        open_archive(url)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 522])
def test_unavailable_at_first(server, url, status):
    """Answers that may pass are tried again, when listing and when fetching."""
    server.unavailable_status = status
    server.unavailable = 2
    with open_archive(url) as archive:
        server.unavailable = 2
        fetched = archive.fetch(archive.entries()[0])
    assert fetched.retries == 2
    assert take(fetched) == SMALL["a/one.avi"]
    assert [request.status for request in server.requests].count(status) == 4


def test_broken_bodies_count_as_received(server, url):
    """Bytes of attempts that failed are counted, too."""
    with open_archive(url) as archive:
        entry = archive.entries()[0]
        server.settle()
        server.bytes_sent = 0
        server.truncated = 1
        fetched = archive.fetch(entry)
    server.settle()
    assert fetched.retries == 1
    assert fetched.wire_bytes == server.bytes_sent > 1.4 * entry.compressed_size
    fetched.discard()
