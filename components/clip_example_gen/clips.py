"""Decoding: from a video file to a fixed number of square RGB frames."""

import os
import tempfile
from typing import NamedTuple

# Read by OpenCV when it first opens a video: FFmpeg prints to stderr otherwise, and a broken
# clip is reported by ClipError.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

JPEG_QUALITY = 95

# Clips are decoded side by side, one thread each; threads within a clip only cost.
cv2.setNumThreads(1)
# OpenCV 4.14 has it in another place than 4.11.
(getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(0)
_CAPTURE_PARAMETERS = (cv2.CAP_PROP_N_THREADS, 1)


class ClipError(ValueError):
    """A file that does not decode to a clip; the message is one line."""


class Clip(NamedTuple):
    """A decoded clip.

    Attributes:
      frames: uint8 [T, H, W, 3], RGB, square.
      num_frames: how many frames decode in the whole clip.
      width: of the clip's own frames, pixels.
      height: of the clip's own frames, pixels.
      fps: frames a second, 0 where the file does not say.
      duration_sec: `num_frames / fps`, 0 where `fps` is.
    """

    frames: np.ndarray
    num_frames: int
    width: int
    height: int
    fps: float
    duration_sec: float


def sample_indices(num_available: int, num_frames: int, frame_step: int) -> np.ndarray:
    """Returns which frames of a clip to take, int64 [num_frames], never falling.

    The frames lie `frame_step` apart in a window at the clip's center. The step shrinks, to 1
    at the least, until the window fits; a clip of fewer than `num_frames` frames gives every
    frame, in order, some of them more than once and as evenly as can be.

    Args:
      num_available: frames in the clip, at least 1.
      num_frames: frames to take, at least 1.
      frame_step: at least 1.

    Raises:
      ValueError: an argument is less than 1.
    """
    arguments = {
        "num_available": num_available,
        "num_frames": num_frames,
        "frame_step": frame_step,
    }
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    steps = np.arange(num_frames, dtype=np.int64)
    if num_available < num_frames:
        return steps * num_available // num_frames
    step = min(frame_step, max(1, (num_available - 1) // max(1, num_frames - 1)))
    start = (num_available - 1 - step * (num_frames - 1)) // 2
    return start + step * steps


def decode(
    video: bytes | str | os.PathLike, *, num_frames: int, frame_step: int, image_size: int
) -> Clip:
    """Decodes the frames of `sample_indices`, short side to `image_size`, center-cropped.

    Args:
      video: the file's bytes, or its path.
      num_frames: frames to take, at least 1.
      frame_step: frames between two that are taken.
      image_size: height and width of the frames that are returned, pixels.

    Raises:
      ClipError: the file is missing or empty, or no frame of it decodes.
    """
    if not isinstance(video, bytes):
        if not os.path.isfile(video):
            raise ClipError(f"video: expected a file, found none at {os.fspath(video)!r}")
        if not os.path.getsize(video):
            raise ClipError("video: expected a clip, got an empty file")
        return _decode(os.fspath(video), num_frames, frame_step, image_size)
    if not video:
        raise ClipError("video: expected a clip, got an empty file")
    with tempfile.NamedTemporaryFile(prefix="clip-") as file:
        file.write(video)
        file.flush()
        return _decode(file.name, num_frames, frame_step, image_size)


def encode_jpeg(frame: np.ndarray) -> bytes:
    """Returns `frame`, uint8 [H, W, 3] RGB, as a JPEG of quality JPEG_QUALITY.

    Raises:
      ValueError: `frame` is of another type or shape.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(f"frame: expected uint8 [H, W, 3], got {frame.dtype} {frame.shape}")
    parameters = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), parameters)
    return jpeg.tobytes()


class _Pass(NamedTuple):
    frames: dict[int, np.ndarray]  # those that were wanted, by index
    num_frames: int
    height: int
    width: int


def _decode(path: str, num_frames: int, frame_step: int, image_size: int) -> Clip:
    capture = _open(path)
    fps = capture.get(cv2.CAP_PROP_FPS)
    fps = fps if 0 < fps < float("inf") else 0.0
    # What a file states of its frame count may be wrong. It is a guess at which frames will be
    # wanted; the count that decodes decides, and costs a second pass where they differ.
    stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    guess = sample_indices(int(stated), num_frames, frame_step) if 1 <= stated < 2**31 else None
    found = _grab(capture, guess, image_size)
    if not found.num_frames:
        raise ClipError("video: expected a clip, got a file of which no frame decodes")
    indices = sample_indices(found.num_frames, num_frames, frame_step)
    if guess is None or not np.array_equal(indices, guess):
        found = _grab(_open(path), indices, image_size)
    if missing := sorted(set(indices.tolist()) - set(found.frames)):
        raise ClipError(f"video: frames {missing} of {found.num_frames} do not decode")
    return Clip(
        frames=np.stack([found.frames[index] for index in indices.tolist()]),
        num_frames=found.num_frames,
        width=found.width,
        height=found.height,
        fps=fps,
        duration_sec=found.num_frames / fps if fps else 0.0,
    )


def _open(path: str) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, _CAPTURE_PARAMETERS)
    if not capture.isOpened():
        raise ClipError("video: expected a clip, got a file without a video stream")
    return capture


def _grab(capture: cv2.VideoCapture, wanted: np.ndarray | None, image_size: int) -> _Pass:
    """Decodes the whole clip in sequence, as seeking is inexact, and keeps the wanted frames."""
    keep = set() if wanted is None else set(wanted.tolist())
    frames: dict[int, np.ndarray] = {}
    count = height = width = 0
    while capture.grab():
        if count in keep:
            decoded, frame = capture.retrieve()
            if decoded:
                height, width = frame.shape[:2]
                frames[count] = _fit(frame, image_size)
        count += 1
    capture.release()
    return _Pass(frames, count, height, width)


def _fit(frame: np.ndarray, image_size: int) -> np.ndarray:
    """Returns BGR [H, W, 3] as RGB [image_size, image_size, 3]: short side to size, center."""
    height, width = frame.shape[:2]
    scale = image_size / min(height, width)
    height, width = round(height * scale), round(width * scale)
    frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    top, left = (height - image_size) // 2, (width - image_size) // 2
    square = frame[top : top + image_size, left : left + image_size]
    return cv2.cvtColor(square, cv2.COLOR_BGR2RGB)
