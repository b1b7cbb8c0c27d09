"""Decoding: frames against an independent decode, odd files."""

import cv2
import numpy as np
import pytest

from components.clip_example_gen.clips import ClipError, decode, encode_jpeg
from components.clip_example_gen.sampling import Sampling, sample_indices, window_indices

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


def _expected_square(frame_bgr: np.ndarray, size: int) -> np.ndarray:
    height, width = frame_bgr.shape[:2]
    edge = abs(height - width) // 2
    upright = width < height
    square = frame_bgr[edge : edge + width] if upright else frame_bgr[:, edge : edge + height]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)[..., ::-1]


@pytest.mark.parametrize(
    ("width", "height", "count", "sampling"),
    [
        (48, 32, 40, Sampling(4, 3, 16, 1)),
        (48, 32, 40, Sampling(4, 3, 16, 3)),  # windows apart
        (48, 32, 20, Sampling(4, 5, 16, 3)),  # windows that overlap
        (32, 48, 40, Sampling(5, 15, 32, 1)),  # upright; the step shrinks
        (64, 64, 7, Sampling(10, 2, 24, 2)),  # shorter than num_frames: windows alike
        (48, 32, 12, Sampling(1, 5, 64, 1)),  # enlarged
    ],
)
def test_decode_matches_an_independent_decode(tmp_path, make_video, width, height, count, sampling):
    """Frames equal those of reading everything and indexing."""
    path = tmp_path / "clip.avi"
    make_video(path, num_frames=count, width=width, height=height)
    frames = _all_frames(path)
    assert len(frames) == count
    clip = decode(path, **sampling._asdict())
    indices = window_indices(count, sampling)
    expected = np.stack([_expected_square(frames[i], sampling.image_size) for i in indices])
    assert clip.frames.dtype == np.uint8
    number = sampling.num_windows * sampling.num_frames
    assert clip.frames.shape == (number, sampling.image_size, sampling.image_size, 3)
    np.testing.assert_array_equal(clip.frames, expected)
    assert clip[1:] == (count, width, height, 25.0, count / 25)


@pytest.mark.parametrize("name", UCF_CLIPS)
def test_decodes_real_clips(real_clips, name):
    """Clips of UCF101 decode to the same frames as reading them in full."""
    path = real_clips / "UCF-101" / name
    frames = _all_frames(path)
    clip = decode(path, num_frames=10, frame_step=15, image_size=112)
    assert (clip.num_frames, clip.width, clip.height) == (len(frames), 320, 240)
    indices = sample_indices(len(frames), 10, 15)
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
    indices = sample_indices(count, 16, 5)
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
    expected = [_expected_square(frames[i], 32) for i in sample_indices(len(frames), 8, 15)]
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
