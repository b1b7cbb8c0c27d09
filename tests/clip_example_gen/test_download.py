"""Zips from servers without ranges: downloaded once, whole, and read from the disk."""

import logging
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.clip_example_gen.archive import SourceError, open_archive
from components.progress import Progress
from tests.faults import Fault, Faults
from tests.zip_library import SMALL, take, take_all, zip_bytes

pytestmark = pytest.mark.usefixtures("temporary_folder")


class _Bars(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Progress] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.progress)


def test_no_ranges(server, tmp_path, temporary_folder):
    """A server without ranges sends the zip once, with progress; then it is read from the disk."""
    members = {"a/one.avi": random.Random(1).randbytes(3 << 20), **SMALL}
    data = server.files["clips.zip"] = zip_bytes(members)
    server.ranges = False
    server.headers = {"ETag": '"1"'}
    downloads = tmp_path / "downloads"
    bars = _Bars()
    logger = logging.getLogger("clip_recommender.progress")
    level = logger.level
    logger.addHandler(bars)
    logger.setLevel(logging.INFO)
    try:
        with open_archive(server.url("clips.zip"), download_dir=str(downloads)) as archive:
            count = len(server.requests)
            fetched = [archive.fetch(entry) for entry in archive.entries()]
    finally:
        logger.removeHandler(bars)
        logger.setLevel(level)
    assert len(server.requests) == count
    assert {Path(f.path).parent for f in fetched} == {temporary_folder}
    assert {f.wire_bytes for f in fetched} == {0}
    assert sorted(map(take, fetched)) == sorted(members.values())
    (path,) = downloads.glob("*.zip")
    assert path.read_bytes() == data
    assert {bar.task for bar in bars.seen} == {"downloaded MB"}
    assert [bar.done for bar in bars.seen] == sorted(bar.done for bar in bars.seen)
    assert bars.seen[-1].done == bars.seen[-1].total == len(data) >> 20


@pytest.mark.parametrize("known_by", ["ETag", "Last-Modified", None])
def test_no_ranges_unchanged(server, url, tmp_path, known_by):
    """An unchanged zip is downloaded once; a changed one takes the place of the old one."""
    server.ranges = False
    downloads = str(tmp_path / "downloads")

    def take() -> dict[str, bytes]:
        with open_archive(url, download_dir=downloads) as archive:
            return take_all(archive)

    server.headers = {known_by: "first"} if known_by else {}
    assert take() == SMALL
    (path,) = Path(downloads).glob("*.zip")
    before = path.stat()
    assert take() == SMALL
    assert path.stat() == before
    changed = {name: data + b"!" for name, data in SMALL.items()}
    server.files["clips.zip"] = zip_bytes(changed)
    server.headers = {known_by: "second"} if known_by else {}
    assert take() == changed
    assert len(list(Path(downloads).glob("*.zip"))) == 1


def test_no_ranges_and_faults(server, url, tmp_path):
    """A download that breaks off starts again; one that always does leaves nothing behind."""
    server.ranges = False
    downloads = tmp_path / "downloads"
    server.faults = Faults(0.4, seed=3, kinds=(Fault.TRUNCATION, Fault.ERROR, Fault.RESET))
    for _ in range(3):
        with open_archive(url, timeout_sec=10, download_dir=str(downloads)) as archive:
            assert take_all(archive) == SMALL
        for path in downloads.glob("*.zip"):
            path.unlink()
    assert any(r.fault for r in server.requests)
    with open_archive(url, timeout_sec=10, download_dir=str(downloads)):
        pass
    server.headers = {"ETag": "new"}
    # The answer to the range is whole; what fails is the download.
    server.faults = _DownloadsFail(1.0, kinds=(Fault.TRUNCATION,))
    with pytest.raises(SourceError, match=r"cannot download .*[Ii]ncomplete.*5 attempts"):
        open_archive(url, timeout_sec=4, download_dir=str(downloads))
    assert [path for path in downloads.iterdir() if path.suffix != ".lock"] == []


class _DownloadsFail(Faults):
    def choose(self, request: str, times: int) -> Fault | None:
        return super().choose(request, times) if request.endswith("None") else None


def test_no_ranges_and_no_room(server, url, tmp_path):
    """A folder that cannot be written to is named."""
    server.ranges = False
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match=r"cannot download .*file/downloads") as caught:
        open_archive(url, download_dir=str(tmp_path / "file/downloads"))
    assert "\n" not in str(caught.value)


def test_no_ranges_for_many_at_once(server, url, tmp_path):
    """Several that open the same zip at once download it once."""
    server.ranges = False
    server.headers = {"ETag": '"1"'}
    downloads = str(tmp_path / "downloads")

    def take(_: int) -> dict[str, bytes]:
        with open_archive(url, download_dir=downloads) as archive:
            return take_all(archive)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(take, range(4))) == [SMALL] * 4
    assert len(list(Path(downloads).glob("*.zip"))) == 1
