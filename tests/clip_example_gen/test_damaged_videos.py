"""Videos that are damaged, or made to break the decoder: frames or ClipError, never a crash."""

import os
import re
import struct
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from components.clip_example_gen.clips import ClipError, decode

SMALL = {"num_frames": 4, "frame_step": 2, "image_size": 24}


def _write(path: Path, fourcc: str, *, count: int = 12, width: int = 48, height: int = 32) -> bytes:
    """Writes a drifting texture in any format, and returns the file's bytes."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 25.0, (width, height))
    assert writer.isOpened()
    look = np.random.default_rng(0).integers(60, 200, (4, 4, 3), np.uint8)
    for index in range(count):
        writer.write(np.roll(cv2.resize(look, (width, height)), 2 * index, axis=1))
    writer.release()
    return path.read_bytes()


def _packets(avi: bytes) -> list[bytes]:
    """Returns the video packets of an AVI without sound."""
    packets = []
    place = avi.index(b"movi") + 4
    while avi[place : place + 4] == b"00dc":
        (size,) = struct.unpack_from("<I", avi, place + 4)
        packets.append(avi[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return packets


def _with_packets(avi: bytes, packets: list[bytes]) -> bytes:
    """Returns `avi` with other video packets, and without its index."""
    start = avi.index(b"movi")
    chunks = [struct.pack("<4sI", b"00dc", len(p)) + p + bytes(len(p) % 2) for p in packets]
    body = b"movi" + b"".join(chunks)
    return avi[: start - 4] + struct.pack("<I", len(body)) + body


def _jpeg(width: int, height: int, sampling: int) -> bytes:
    look = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    parameters = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    return cv2.imencode(".jpg", cv2.resize(look, (width, height)), parameters)[1].tobytes()


@pytest.mark.parametrize(
    ("width", "height", "sampling"),
    [
        (640, 480, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
        (640, 480, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        (320, 480, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    ],
)
def test_motion_jpeg_that_changes_its_format(tmp_path, width, height, sampling):
    """Refused, as OpenCV reads beyond such frames; of one format throughout, it decodes."""
    path = tmp_path / "clip.avi"
    avi = _write(path, "MJPG", width=640, height=480)
    first = _jpeg(width, height, sampling)
    other = _jpeg(640, 480, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420)
    path.write_bytes(_with_packets(avi, [first] * 5))
    assert decode(path, **SMALL).num_frames == 5
    path.write_bytes(_with_packets(avi, [first, other, other]))
    with pytest.raises(ClipError, match="Motion JPEG that changes it"):
        decode(path, **SMALL)


def test_size_that_changes_midway(tmp_path):
    """All frames count, and have the first one's size."""
    small = _write(tmp_path / "small.avi", "XVID", count=6, width=64, height=48)
    large = _write(tmp_path / "large.avi", "XVID", count=6, width=160, height=128)
    path = tmp_path / "clip.avi"
    path.write_bytes(_with_packets(small, _packets(small) + _packets(large)))
    clip = decode(path, **SMALL)
    assert (clip.num_frames, clip.width, clip.height) == (12, 64, 48)
    assert clip.frames.shape == (4, 24, 24, 3)


def test_extreme_shape_takes_no_more_memory_than_its_square(tmp_path):
    """A strip of 16 x 8000 is cropped before it is enlarged, here to what would be 4 GB."""
    path = tmp_path / "clip.avi"
    _write(path, "MJPG", count=1, width=8000, height=16)
    clip = decode(path, num_frames=1, frame_step=1, image_size=1600)
    _, strip = cv2.VideoCapture(str(path)).read()
    expected = cv2.resize(strip[:, 3992:4008], (1600, 1600), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(clip.frames[0], expected[..., ::-1])


def test_name_that_is_no_utf8(tmp_path, make_video):
    """Refused with the name: OpenCV would end the process."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/clip\xff.avi")
    make_video(tmp_path / "clip.avi")
    try:
        os.rename(tmp_path / "clip.avi", path)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    with pytest.raises(ClipError, match=r"expected a name in UTF-8, got .*clip\\udcff\.avi"):
        decode(path, **SMALL)


def _mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Returns `data` damaged in one of five ways."""
    changed = np.frombuffer(data, np.uint8).copy()
    where = int(rng.integers(len(changed)))
    kind = rng.integers(5)
    if kind == 0:  # bits of the headers: at the start, or at the end where MP4 has them
        near = rng.integers(0, min(900, len(changed)), 4)
        places = near if rng.integers(2) else len(changed) - 1 - near
        changed[places] ^= np.uint8(1) << rng.integers(0, 8, 4).astype(np.uint8)
    elif kind == 1:  # bits anywhere
        places = rng.integers(0, len(changed), 16)
        changed[places] ^= np.uint8(1) << rng.integers(0, 8, 16).astype(np.uint8)
    elif kind == 2:
        changed = changed[:where]
    elif kind == 3:  # a size or count that lies
        words = [m.end() for m in re.finditer(rb"RIFF|LIST|avih|strh|00dc|idx1|st[a-z]{2}", data)]
        place = words[int(rng.integers(len(words)))] + 4 * int(rng.integers(3))
        lie = rng.choice(np.array([0, 1, 255, 2**16, 2**24, 2**31 - 1, 2**32 - 1], np.uint32))
        changed[place : place + 4] = np.frombuffer(lie.tobytes(), np.uint8)[: len(data) - place]
    else:
        changed[where : where + 512] = 0
    return changed.tobytes()


@pytest.mark.parametrize(
    ("suffix", "fourcc"), [(".avi", "XVID"), (".mp4", "mp4v"), (".avi", "MJPG")]
)
def test_damaged_files_decode_or_are_refused(tmp_path, suffix, fourcc):
    """50 mutations of each kind of file give frames of the right shape, or ClipError."""
    data = _write(tmp_path / f"whole{suffix}", fourcc)
    rng = np.random.default_rng(0)
    outcomes = Counter()
    for index in range(50):
        path = tmp_path / f"{index}{suffix}"
        path.write_bytes(_mutated(data, rng))
        try:
            clip = decode(path, **SMALL)
        except ClipError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
        else:
            assert clip.frames.shape == (4, 24, 24, 3)
            assert clip.frames.dtype == np.uint8
            assert clip.num_frames >= 1
            outcomes["decoded"] += 1
    assert min(outcomes["refused"], outcomes["decoded"]) > 5
