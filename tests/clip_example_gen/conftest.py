"""Videos, zips and a server that are made on the spot."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.range_server import RangeServer
from tests.zip_library import SMALL, zip_bytes

REAL_CLIPS = Path(__file__).resolve().parents[3] / "shared" / "real-clips"


@pytest.fixture(scope="session")
def make_video() -> Callable[..., bytes]:
    """Writes an AVI in which no two frames are alike, and returns its bytes."""

    def make(
        path: Path, *, num_frames: int = 12, width: int = 48, height: int = 32, seed: int = 0
    ) -> bytes:
        path.parent.mkdir(parents=True, exist_ok=True)
        fourcc = cv2.VideoWriter_fourcc(*"XVID")
        writer = cv2.VideoWriter(str(path), fourcc, 25.0, (width, height))
        assert writer.isOpened()
        look = np.random.default_rng(seed).integers(60, 200, size=(4, 4, 3), dtype=np.uint8)
        ground = cv2.resize(look, (width, height))
        for index in range(num_frames):
            frame = np.roll(ground, 2 * index, axis=1)
            frame[: height // 2, : width // 3] = (7 * index + 3 * seed) % 256
            writer.write(frame)
        writer.release()
        return path.read_bytes()

    return make


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Writes a zip of the given members, and returns its path."""

    def make(members: dict[str, bytes]) -> Path:
        path = tmp_path / "clips.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path

    return make


@pytest.fixture
def server() -> Iterator[RangeServer]:
    """Serves no files until a test adds some."""
    with RangeServer({}) as running:
        yield running


@pytest.fixture
def url(server) -> str:
    """The address of a small zip."""
    server.files["clips.zip"] = zip_bytes(SMALL)
    return server.url("clips.zip")


@pytest.fixture
def temporary_folder(tmp_path, monkeypatch) -> Path:
    """Temporary files go here, so that a test sees what is left of them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """The folder of real clips; the test is skipped where there is none."""
    if not REAL_CLIPS.is_dir():
        pytest.skip(f"no real clips at {REAL_CLIPS}")
    return REAL_CLIPS
