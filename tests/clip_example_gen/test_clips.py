"""Decoding: sampling against its contract, frames against an independent decode, odd files."""

import itertools
from collections import Counter

import cv2
import numpy as np
import pytest

from components.clip_example_gen.clips import ClipError, decode, encode_jpeg, sample_indices

UCF_CLIPS = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
    "Biking/v_Biking_g05_c02.avi",
    "SoccerJuggling/v_SoccerJuggling_g24_c01.avi",
)


def _all_frames(path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(frame)


def _expected_indices(available: int, num_frames: int, frame_step: int) -> list[int]:
    """Says the contract by search: the widest step that fits, the most central window."""
    if available < num_frames:
        counts = Counter(int(available * i / num_frames) for i in range(num_frames))
        assert max(counts.values()) - min(counts.values()) <= 1
        return sorted(counts.elements())
    step = max(
        s for s in range(1, frame_step + 1) if s == 1 or s * (num_frames - 1) + 1 <= available
    )
    length = step * (num_frames - 1) + 1
    starts = range(available - length + 1)
    start = min(starts, key=lambda s: (abs(s - (available - length - s)), s))
    return list(range(start, start + length, step))


def _expected_square(frame_bgr: np.ndarray, size: int) -> np.ndarray:
    height, width = frame_bgr.shape[:2]
    edge = abs(height - width) // 2
    upright = width < height
    square = frame_bgr[edge : edge + width] if upright else frame_bgr[:, edge : edge + height]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)[..., ::-1]


@pytest.mark.parametrize(
    ("num_frames", "frame_step"), [*itertools.product([1, 2, 3, 10], [1, 4, 15])]
)
def test_sample_indices_keeps_its_contract(num_frames, frame_step):
    """For every length: the widest centered window that fits, or an even repetition."""
    for available in [*range(1, 60), 135, 136, 137, 138, 500]:
        indices = sample_indices(available, num_frames, frame_step)
        assert indices.dtype == np.int64
        assert indices.tolist() == _expected_indices(available, num_frames, frame_step), available


def test_window_moves_from_start_to_end():
    """0 begins at the first frame, 1 ends at the last, and between them it never falls."""
    for available, num_frames, frame_step in [(50, 4, 3), (10, 10, 15), (9, 5, 2)]:
        starts = [
            sample_indices(available, num_frames, frame_step, window)[0]
            for window in np.linspace(0, 1, 21)
        ]
        assert starts[0] == 0
        assert starts == sorted(starts)
        assert sample_indices(available, num_frames, frame_step, 1)[-1] == available - 1
    with pytest.raises(ValueError, match=r"window: expected 0 to 1, got 1\.5"):
        sample_indices(50, 4, 3, 1.5)


def test_short_clips_show_every_frame():
    """4 frames for 10 show each 2 or 3 times, in order."""
    assert sample_indices(4, 10, 15).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("argument", ["num_available", "num_frames", "frame_step"])
def test_sample_indices_checks_arguments(argument):
    """Numbers below 1 are named."""
    arguments = {"num_available": 5, "num_frames": 5, "frame_step": 5, argument: 0}
    with pytest.raises(ValueError, match=f"{argument}: expected at least 1, got 0"):
        sample_indices(**arguments)


@pytest.mark.parametrize(
    ("width", "height", "count", "num_frames", "frame_step", "image_size"),
    [
        (48, 32, 40, 4, 3, 16),
        (32, 48, 40, 5, 15, 32),  # upright; the step shrinks
        (64, 64, 7, 10, 2, 24),  # shorter than num_frames
        (48, 32, 12, 1, 5, 64),  # enlarged
    ],
)
def test_decode_matches_an_independent_decode(
    tmp_path, make_video, width, height, count, num_frames, frame_step, image_size
):
    """Frames equal those of reading everything and indexing."""
    path = tmp_path / "clip.avi"
    make_video(path, num_frames=count, width=width, height=height)
    frames = _all_frames(path)
    assert len(frames) == count
    arguments = {"num_frames": num_frames, "frame_step": frame_step, "image_size": image_size}
    clip = decode(path, **arguments)
    indices = _expected_indices(count, num_frames, frame_step)
    expected = np.stack([_expected_square(frames[i], image_size) for i in indices])
    assert clip.frames.dtype == np.uint8
    assert clip.frames.shape == (num_frames, image_size, image_size, 3)
    np.testing.assert_array_equal(clip.frames, expected)
    assert clip[1:] == (count, width, height, 25.0, count / 25)


@pytest.mark.parametrize("name", UCF_CLIPS)
def test_decodes_real_clips(real_clips, name):
    """Clips of UCF101 decode to the same frames as reading them in full."""
    path = real_clips / "UCF-101" / name
    frames = _all_frames(path)
    clip = decode(path, num_frames=10, frame_step=15, image_size=112)
    assert (clip.num_frames, clip.width, clip.height) == (len(frames), 320, 240)
    indices = _expected_indices(len(frames), 10, 15)
    expected = np.stack([_expected_square(frames[i], 112) for i in indices])
    np.testing.assert_array_equal(clip.frames, expected)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("four_frames_a.mp4", 4),
        ("header_one_frame_too_long.avi", 48),
        ("negative_frame_count.mp4", 101),
    ],
)
def test_frame_count_in_the_file_is_not_trusted(real_clips, name, count):
    """Files that state a wrong count, or few frames, give the frames that decode."""
    path = real_clips / "odd" / name
    frames = _all_frames(path)
    clip = decode(path, num_frames=16, frame_step=5, image_size=64)
    assert clip.num_frames == len(frames) == count
    indices = _expected_indices(count, 16, 5)
    expected = np.stack([_expected_square(frames[i], 64) for i in indices])
    np.testing.assert_array_equal(clip.frames, expected)


def test_truncated_clip_gives_what_is_there(tmp_path, make_video):
    """A file cut short has fewer frames than it states, and no black ones."""
    data = make_video(tmp_path / "clip.avi", num_frames=60)
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: len(data) * 6 // 10])
    frames = _all_frames(cut)
    assert 1 < len(frames) < 60
    clip = decode(cut, num_frames=8, frame_step=15, image_size=32)
    expected = [_expected_square(frames[i], 32) for i in _expected_indices(len(frames), 8, 15)]
    np.testing.assert_array_equal(clip.frames, np.stack(expected))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"RIFF" + bytes(2000), "expected AVI, MOV, MP4, Matroska"),
        (b"no video at all", "expected AVI, MOV, MP4, Matroska"),
        (b"RIFF\0\0\0\0AVI " + bytes(2000), "without a video stream"),
        (b"\0\0\0\x18ftypmp42" + bytes(2000), "without a video stream"),
        (b"\x1aE\xdf\xa3" + bytes(2000), "without a video stream"),
    ],
)
def test_files_that_are_no_clip(tmp_path, capfd, content, message):
    """Empty and undecodable files raise one line, and OpenCV prints nothing of its own."""
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    with pytest.raises(ClipError, match=message):
        decode(path, num_frames=4, frame_step=1, image_size=32)
    assert capfd.readouterr() == ("", "")


def test_video_without_frames(tmp_path, make_video):
    """A header with no frame behind it is refused."""
    path = tmp_path / "clip.avi"
    data = make_video(path)
    path.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(ClipError, match=r"no frame decodes|without a video stream"):
        decode(path, num_frames=4, frame_step=1, image_size=32)


def test_missing_file(tmp_path):
    """A path without a file is named."""
    with pytest.raises(ClipError, match=r"none at .*absent\.avi"):
        decode(tmp_path / "absent.avi", num_frames=4, frame_step=1, image_size=32)


def test_audio_only_file(real_clips):
    """A file with sound and no pictures is refused."""
    path = real_clips / "odd" / "audio_only_test.wav"
    with pytest.raises(ClipError, match="expected AVI"):
        decode(path, num_frames=4, frame_step=1, image_size=32)


def test_jpeg_keeps_colors_in_order():
    """A red frame decodes as red, close to what went in."""
    frame = np.zeros((16, 16, 3), np.uint8)
    frame[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(frame), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_allclose(decoded[..., ::-1].astype(int), frame.astype(int), atol=3)


def test_jpeg_checks_its_frame():
    """Floats are refused, with what was expected."""
    with pytest.raises(ValueError, match=r"frame: expected uint8 \[H, W, 3\], got float64"):
        encode_jpeg(np.zeros((16, 16, 3)))
