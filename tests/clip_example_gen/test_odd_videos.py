"""Videos as they come: turned, odd in size or time, strangely named, hostile."""

import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from components.clip_example_gen import clips
from components.clip_example_gen.clips import ClipError, decode

SAMPLING = {"num_frames": 4, "frame_step": 2, "image_size": 32}


def _write(path: Path, frames: np.ndarray, fourcc: str) -> bytes:
    """Writes uint8 [T, H, W, 3] RGB; returns the file's bytes."""
    size = frames.shape[2], frames.shape[1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 25.0, size)
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path.read_bytes()


def _ramp(count: int = 12, height: int = 48, width: int = 64) -> np.ndarray:
    """Returns frames that are dark on the left, bright on the right, and brighter every time."""
    ramp = np.linspace(0, 150, width)[np.newaxis, :, np.newaxis]
    steps = np.arange(count)[:, np.newaxis, np.newaxis, np.newaxis] * 8
    return np.broadcast_to(ramp + steps, (count, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["avi", "mp4"])
def test_very_short_clips(tmp_path, count, kind):
    """One to four frames give what there is, each frame at least once, none black."""
    path = tmp_path / f"clip.{kind}"
    _write(path, _ramp(count) + np.uint8(40), {"avi": "XVID", "mp4": "mp4v"}[kind])
    clip = decode(path, **SAMPLING)
    assert clip.num_frames == count
    levels = clip.frames.mean(axis=(1, 2, 3))
    assert len({round(level / 4) for level in levels}) == count
    assert levels.min() > 40


@pytest.mark.parametrize("size", [(16, 32), (18, 30), (62, 34), (200, 16)])
def test_odd_sizes(tmp_path, size):
    """Any size becomes a square of the middle."""
    width, height = size
    path = tmp_path / "clip.avi"
    _write(path, _ramp(6, height, width), "MJPG")
    clip = decode(path, **SAMPLING)
    assert (clip.width, clip.height) == size
    assert clip.frames.shape == (4, 32, 32, 3)


@pytest.mark.parametrize(
    ("degrees", "matrix", "edge"),
    [
        (0, (1, 0, 0, 1), (slice(None), 0)),
        (90, (0, 1, -1, 0), (0, slice(None))),
        (180, (-1, 0, 0, -1), (slice(None), -1)),
        (270, (0, -1, 1, 0), (-1, slice(None))),
    ],
)
def test_frames_are_turned_upright(tmp_path, degrees, matrix, edge):
    """A phone held upright says so in the track's header: the dark edge is where it belongs."""
    path = tmp_path / "clip.mp4"
    data = bytearray(_write(path, _ramp(), "mp4v"))
    a, b, c, d = (value << 16 for value in matrix)
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    start = data.index(b"tkhd") + 44  # ISO/IEC 14496-12, 8.3.2: the matrix of a version 0 header
    assert data[start : start + 36] == struct.pack(
        ">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30
    )
    data[start : start + 36] = turned
    path.write_bytes(data)
    clip = decode(path, **SAMPLING)
    assert (clip.width, clip.height) == ((48, 64) if degrees in (90, 270) else (64, 48))
    frame = clip.frames[0].mean(axis=-1)
    assert frame[edge].mean() < frame.mean() - 40


def test_varying_frame_rate_is_sampled_by_frames(tmp_path):
    """However long each frame is shown, it counts once: the same frames as at a fixed rate."""
    path = tmp_path / "clip.mp4"
    data = _write(path, _ramp(12), "mp4v")
    fixed = decode(path, **SAMPLING)
    start = data.index(b"stts") - 4
    size, _, entries, count, delta = struct.unpack_from(">I4s4xIII", data, start)
    assert (size, entries, count) == (24, 1, 12)
    table = struct.pack(">I4sIIIIII", 32, b"stts", 0, 2, 6, delta // 2, 6, delta + delta // 2)
    patched = bytearray(data[:start] + table + data[start + 24 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):  # what holds the larger table
        place = patched.index(box) - 4
        patched[place : place + 4] = struct.pack(
            ">I", struct.unpack_from(">I", patched, place)[0] + 8
        )
    path.write_bytes(patched)
    varying = decode(path, **SAMPLING)
    np.testing.assert_array_equal(varying.frames, fixed.frames)
    assert varying.num_frames == 12
    assert varying.duration_sec == pytest.approx(fixed.duration_sec)


@pytest.mark.parametrize("stated", [0, 1, 11, 13, 500, 2**31 - 1, 2**32 - 1])
def test_stated_frame_count_is_not_trusted(tmp_path, stated):
    """Whatever AVI's headers state, the frames that decode decide."""
    path = tmp_path / "clip.avi"
    data = bytearray(_write(path, _ramp(12), "XVID"))
    honest = decode(path, **SAMPLING)
    main, stream = data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32
    for place in (main, stream):
        assert struct.unpack_from("<I", data, place) == (12,)
        struct.pack_into("<I", data, place, stated)
    path.write_bytes(data)
    clip = decode(path, **SAMPLING)
    assert clip.num_frames == 12
    np.testing.assert_array_equal(clip.frames, honest.frames)


@pytest.mark.parametrize(
    "name",
    ["it's “Größe” №1.avi", "100%d %s.avi", "a:b.avi", "-i.avi", "ж\t字.avi", "x#y?.avi"],
)
def test_names_mean_nothing(tmp_path, monkeypatch, name):
    """A name that FFmpeg or a shell could read otherwise is only a name, relative or not."""
    _write(tmp_path / "plain.avi", _ramp(), "XVID")
    (tmp_path / "plain.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (name, tmp_path / name):
        assert decode(path, **SAMPLING).num_frames == 12


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns={}\r\nm=video 9 RTP/AVP 96\r\n",
        '<?xml version="1.0"?><MPD><BaseURL>{}</BaseURL></MPD>',
    ],
)
def test_playlists_are_no_clips(tmp_path, text, mark):
    """A file that names other files is refused: it could name any file, or any address."""
    secret = tmp_path / "secret.avi"
    _write(secret, _ramp(), "XVID")
    path = tmp_path / "clip.avi"
    path.write_text(mark + text.format(secret), newline="")
    with pytest.raises(ClipError, match="expected AVI, MOV"):
        decode(path, **SAMPLING)


def test_giant_frames_are_refused(tmp_path):
    """A picture that claims to be beyond 8K is not believed, nor tried."""
    path = tmp_path / "clip.avi"
    data = _write(path, _ramp(12, 48, 64), "MJPG")
    honest = struct.pack(">HH", 48, 64)  # ITU-T T.81, B.2.2: height and width behind SOF0
    claimed = re.sub(b"(\xff\xc0..\x08)" + honest, rb"\1" + struct.pack(">HH", 9000, 9000), data)
    assert claimed != data
    path.write_bytes(claimed)
    with pytest.raises(ClipError, match=r"at most 33554432 pixels|no frame decodes"):
        decode(path, **SAMPLING)


def test_large_frames_are_refused(tmp_path, monkeypatch):
    """Frames beyond the bound are told with their size."""
    path = tmp_path / "clip.avi"
    _write(path, _ramp(12, 48, 64), "XVID")
    monkeypatch.setattr(clips, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(ClipError, match="at most 3071 pixels, got 64 x 48"):
        decode(path, **SAMPLING)


def test_endless_clips_are_refused(tmp_path, monkeypatch):
    """A clip of more frames than any clip has is not decoded to its end."""
    path = tmp_path / "clip.avi"
    _write(path, _ramp(12), "XVID")
    monkeypatch.setattr(clips, "MAX_FRAMES", 11)
    with pytest.raises(ClipError, match="at most 11 frames"):
        decode(path, **SAMPLING)
