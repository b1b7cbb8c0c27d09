"""Clips: a look and a path, drawn frame by frame into an AVI file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from sample_library.looks import HEIGHT, MARGIN, NOISE_MARGIN, THING_SIZE, WIDTH, Look
from sample_library.motions import Pose

#: Frames a second.
FPS = 25.0
#: The XviD MPEG-4 codec, as in UCF101.
FOURCC = "XVID"


def draw_frames(look: Look, path: Sequence[Pose], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draws the frames of a clip.

    Args:
      look: of the clip's group.
      path: T poses.
      rng: source of the part of the background that is seen, and of the noise.

    Yields:
      T frames, uint8 [HEIGHT, WIDTH, 3], BGR.
    """
    row, column = rng.integers(0, 2 * MARGIN + 1, 2)
    background = look.background[row : row + HEIGHT, column : column + WIDTH]
    offsets = rng.integers(0, NOISE_MARGIN + 1, (len(path), 2))
    for pose, (row, column) in zip(path, offsets, strict=True):
        frame = _placed(look, pose, background)
        frame = cv2.multiply(frame, look.vignette, dtype=cv2.CV_8U)
        noise = look.noise[row : row + HEIGHT, column : column + WIDTH]
        yield cv2.add(frame, noise, dtype=cv2.CV_8U)


def _placed(look: Look, pose: Pose, background: np.ndarray) -> np.ndarray:
    """Returns the background with the thing before it, uint8 [HEIGHT, WIDTH, 3]."""
    size = look.scale * np.exp(pose.log_size)
    column, row = WIDTH / 2 + pose.x, HEIGHT / 2 + pose.y
    reach = size * THING_SIZE / 2
    left, right = max(int(column - reach), 0), min(int(column + reach) + 1, WIDTH)
    top, bottom = max(int(row - reach), 0), min(int(row + reach) + 1, HEIGHT)
    # OpenCV's angle runs counterclockwise on the screen.
    turn = cv2.getRotationMatrix2D((THING_SIZE / 2, THING_SIZE / 2), -pose.angle, size)
    turn[:, 2] += (column - left - THING_SIZE / 2, row - top - THING_SIZE / 2)
    thing = cv2.warpAffine(look.thing, turn, (right - left, bottom - top))
    alpha = cv2.warpAffine(look.alpha, turn, (right - left, bottom - top))
    behind = background[top:bottom, left:right]
    frame = background.copy()
    frame[top:bottom, left:right] = cv2.blendLinear(thing, behind, alpha, 1.0 - alpha)
    return frame


def write_clip(file: Path, frames: Iterator[np.ndarray]) -> None:
    """Writes BGR frames, uint8 [HEIGHT, WIDTH, 3], to an XviD AVI file.

    Raises:
      RuntimeError: this build of OpenCV cannot write such files.
    """
    writer = cv2.VideoWriter(
        str(file), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*FOURCC), FPS, (WIDTH, HEIGHT)
    )
    if not writer.isOpened():
        raise RuntimeError(f"OpenCV {cv2.__version__} cannot write {FOURCC} AVI files here: {file}")
    try:
        for frame in frames:
            writer.write(frame)
    finally:
        writer.release()
