"""Decoding: from a video file to a fixed number of square RGB frames."""

import hashlib
import os
import re
from typing import NamedTuple

from components.clip_example_gen.containers import MAX_FRAMES, ClipError, check_container
from components.clip_example_gen.sampling import Sampling, window_indices

# Read by OpenCV when it first opens a video: FFmpeg prints to stderr otherwise, and a broken
# clip is reported by ClipError.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Read whenever it opens one. The wheel of 4.11 for Linux takes no notice: `check_container` does
# the same there, by the first bytes.
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
    "protocol_whitelist;file|format_whitelist;"
    "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegvideo,m4v"
)

import cv2
import numpy as np

JPEG_QUALITY = 95
#: Decoders of another version may give other pixels.
OPENCV_VERSION = cv2.__version__
#: 8K. A header can claim any size, and memory is taken before a frame is decoded.
MAX_PIXELS = 2**25

# Clips are decoded side by side, one thread each; threads within a clip only cost.
cv2.setNumThreads(1)
# OpenCV 4.14 has it in another place than 4.11.
(getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(0)
_CAPTURE_PARAMETERS = (cv2.CAP_PROP_N_THREADS, 1)
_PACKETS_ONLY = (cv2.CAP_PROP_FORMAT, -1)

_MOTION_JPEG = (b"MJPG", b"JPEG", b"MJPA", b"AVRN", b"DMB1", b"LJPG", b"IJPG")
# SOFn, its length, then what the layout depends on; ISO/IEC 10918-1, B.2.2.
_FRAME_HEADER = re.compile(
    rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..(.{5}[\x01-\x04].{12})", re.S
)

# Levels of gray. Below it, a re-encoded frame shares no more of its hash than others do.
_FLAT_STD = 2.0


class Clip(NamedTuple):
    """A decoded clip.

    Attributes:
      frames: uint8 [T, H, W, 3], RGB, square; those of all windows, one window after another.
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


def decode(
    path: str | os.PathLike,
    *,
    num_frames: int,
    frame_step: int,
    image_size: int,
    num_windows: int = 1,
) -> Clip:
    """Decodes the frames of `window_indices`: their center squares, resized to `image_size`.

    Frames are counted, not timed: of a clip with a varying frame rate, those are taken that lie
    `frame_step` frames apart. They are turned upright where the file says how it was held.

    A file that was cut short or damaged gives the frames that decode. Where frames change their
    size midway, all have the first size, and OpenCV 4.11 shows those of another size garbled.

    Args:
      path: a file: AVI, MOV, MP4, Matroska, WebM or bare MPEG.
      num_frames: frames to take of a window, at least 1.
      frame_step: frames between two that are taken.
      image_size: height and width of the frames that are returned, pixels.
      num_windows: windows to take frames of, at least 1.

    Raises:
      ClipError: the file is missing or empty, is none of these, has no video stream or no frame
        that decodes, more than MAX_FRAMES frames or frames of more than MAX_PIXELS, is Motion
        JPEG whose pixel format changes, or is named by no UTF-8.
    """
    check_container(path)
    # Absolute, so that FFmpeg takes no name for a protocol.
    absolute = os.path.abspath(path)
    try:
        absolute.encode()
    except UnicodeEncodeError:  # OpenCV would not survive it
        raise ClipError(f"video: expected a name in UTF-8, got {os.fspath(path)!r}") from None
    try:
        return _decode(absolute, Sampling(num_frames, frame_step, image_size, num_windows))
    except cv2.error as error:
        raise ClipError(f"video: OpenCV failed: {error.err}") from error


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


def brightness(frames: np.ndarray) -> float:
    """Returns the mean of `frames`, uint8 [T, H, W, 3], as a share of white in [0, 1]."""
    return cv2.mean(_rows(frames))[0] / 255


def motion(frames: np.ndarray) -> float:
    """Returns the mean absolute difference of consecutive `frames`, uint8 [T, H, W, 3], in [0, 1].

    0 for a single frame.
    """
    if len(frames) < 2:
        return 0.0
    rows = _rows(frames)
    return cv2.norm(rows[1:], rows[:-1], cv2.NORM_L1) / (255 * rows[1:].size)


def perceptual_hash(frames: np.ndarray) -> bytes:
    """Returns 24 bytes that differ in few bits where clips look alike.

    pHash (C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010)
    of the first, middle and last frame, 64 bits each: which of the 8 x 8 lowest frequencies of
    the gray frame, at 32 x 32 pixels, are above their median. A flat frame, such as a black one,
    has no look: its bits stand for the pixels of all frames, and agree with those of no other
    clip unless every pixel does.

    Args:
      frames: uint8 [T, H, W, 3], RGB.
    """
    return b"".join(_hash(frames[index], frames) for index in (0, len(frames) // 2, -1))


class _Pass(NamedTuple):
    frames: dict[int, np.ndarray]  # those that were wanted, by index
    num_frames: int
    height: int
    width: int


def _decode(path: str, sampling: Sampling) -> Clip:
    capture = _open(path)
    _check_motion_jpeg(capture, path)
    fps = capture.get(cv2.CAP_PROP_FPS)
    fps = fps if 0 < fps < float("inf") else 0.0
    # What a file states of its frame count may be wrong. It is a guess at which frames will be
    # wanted; the count that decodes decides, and costs a second pass where they differ.
    stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    guess = window_indices(int(stated), sampling) if 1 <= stated < 2**31 else None
    found = _grab(capture, guess, sampling.image_size)
    if not found.num_frames:
        raise ClipError("video: expected a clip, got a file of which no frame decodes")
    indices = window_indices(found.num_frames, sampling)
    if guess is None or not np.array_equal(indices, guess):
        found = _grab(_open(path), indices, sampling.image_size)
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
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # off by default where FFmpeg is asked for
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if width * height > MAX_PIXELS:
        raise ClipError(
            f"video: expected frames of at most {MAX_PIXELS} pixels, got {width:.0f} x {height:.0f}"
        )
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
        if count > MAX_FRAMES:
            raise ClipError(f"video: expected at most {MAX_FRAMES} frames, got more")
    capture.release()
    return _Pass(frames, count, height, width)


def _check_motion_jpeg(capture: cv2.VideoCapture, path: str) -> None:
    """Refuses Motion JPEG in which size or pixel format change, as some trail cameras write it.

    OpenCV 4.11 converts every picture in the way of the first, reads beyond the end of smaller
    ones, and the process may end there. In Motion JPEG every frame states its own format; other
    codecs state one for the whole clip.
    """
    tag = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    if tag.to_bytes(4, "little").upper() not in _MOTION_JPEG:
        return
    packets = cv2.VideoCapture(path, cv2.CAP_FFMPEG, (*_CAPTURE_PARAMETERS, *_PACKETS_ONLY))
    layouts: set[tuple[bytes, int, bytes]] = set()
    while len(layouts) < 2 and packets.grab():
        found, packet = packets.retrieve()
        headers = _FRAME_HEADER.findall(packet.tobytes()) if found else []
        for header in headers[-1:]:  # a thumbnail's comes before
            components = header[5]
            layouts.add((header[:5], components, header[7 : 6 + 3 * components : 3]))
    if len(layouts) > 1:
        raise ClipError("video: expected frames of one format, got Motion JPEG that changes it")


def _fit(frame: np.ndarray, image_size: int) -> np.ndarray:
    """Returns the center square of BGR [H, W, 3] as RGB [image_size, image_size, 3]."""
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    # Cropped first: a frame of extreme shape would grow beyond all measure.
    square = frame[top : top + side, left : left + side]
    resized = cv2.resize(square, (image_size, image_size), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)


def _rows(frames: np.ndarray) -> np.ndarray:
    """Returns uint8 [T, H, W, 3] as an image of one channel, [T, H * W * 3], for OpenCV."""
    return frames.reshape(len(frames), -1)


def _hash(frame: np.ndarray, frames: np.ndarray) -> bytes:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA)
    if cv2.meanStdDev(small)[1][0, 0] < _FLAT_STD:
        return hashlib.blake2b(frames.tobytes(), digest_size=8).digest()
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    return np.packbits(low > np.median(low)).tobytes()
