"""Clips: a look and a path, drawn frame by frame into an AVI file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from sample_library.disturbances import MAX_SHAKE, Disturbance
from sample_library.looks import HEIGHT, MARGIN, NOISE_MARGIN, THING_SIZE, WIDTH, Look, Sprite
from sample_library.motions import Pose

#: Frames a second.
FPS = 25.0
#: The XviD MPEG-4 codec, as in UCF101.
FOURCC = "XVID"


def draw_frames(
    look: Look,
    path: Sequence[Pose],
    rng: np.random.Generator,
    disturbance: Disturbance | None = None,
) -> Iterator[np.ndarray]:
    """Draws the frames of a clip.

    Args:
      look: of the clip's group.
      path: T poses.
      rng: source of the part of the background that is seen, and of the noise.
      disturbance: of T frames; None for a calm clip.

    Yields:
      T frames, uint8 [HEIGHT, WIDTH, 3], BGR.
    """
    row, column = rng.integers(0, 2 * MARGIN + 1, 2)
    offsets = rng.integers(0, NOISE_MARGIN + 1, (len(path), 2))
    noise = look.noise
    if disturbance:
        # The shaking camera must not leave the background.
        row, column = np.clip((row, column), MAX_SHAKE, 2 * MARGIN - MAX_SHAKE).astype(int)
        noise = np.rint(noise * disturbance.noise_gain).astype(np.int16)
    for index, pose in enumerate(path):
        right, down = disturbance.shake[index] if disturbance else (0, 0)
        top, left = row + down, column + right
        frame = look.background[top : top + HEIGHT, left : left + WIDTH].copy()
        for sprite, scale, at in _scene(look, pose, disturbance, index):
            _place(frame, sprite, scale, at._replace(x=at.x - right, y=at.y - down))
        frame = cv2.multiply(frame, look.vignette, dtype=cv2.CV_8U)
        top, left = offsets[index]
        seen_noise = noise[top : top + HEIGHT, left : left + WIDTH]
        yield cv2.add(frame, seen_noise, dtype=cv2.CV_8U)


def _scene(
    look: Look, pose: Pose, disturbance: Disturbance | None, index: int
) -> Iterator[tuple[Sprite, float, Pose]]:
    """Yields what is seen in a frame, from the back to the front."""
    extras = disturbance.distractors if disturbance else ()
    yield from ((extra.sprite, extra.scale, extra.path[index]) for extra in extras)
    yield look.thing, look.scale, pose
    if disturbance:
        occluder = disturbance.occluder
        yield occluder.sprite, occluder.scale, occluder.path[index]


def _place(frame: np.ndarray, sprite: Sprite, scale: float, pose: Pose) -> None:
    """Draws a sprite into a frame, uint8 [HEIGHT, WIDTH, 3]."""
    size = scale * np.exp(pose.log_size)
    column, row = WIDTH / 2 + pose.x, HEIGHT / 2 + pose.y
    reach = size * THING_SIZE / 2
    left, right = max(int(column - reach), 0), min(int(column + reach) + 1, WIDTH)
    top, bottom = max(int(row - reach), 0), min(int(row + reach) + 1, HEIGHT)
    if left >= right or top >= bottom:
        return  # out of the frame
    # OpenCV's angle runs counterclockwise on the screen.
    turn = cv2.getRotationMatrix2D((THING_SIZE / 2, THING_SIZE / 2), -pose.angle, size)
    turn[:, 2] += (column - left - THING_SIZE / 2, row - top - THING_SIZE / 2)
    image = cv2.warpAffine(sprite.image, turn, (right - left, bottom - top))
    alpha = cv2.warpAffine(sprite.alpha, turn, (right - left, bottom - top))
    behind = frame[top:bottom, left:right]
    frame[top:bottom, left:right] = cv2.blendLinear(image, behind.copy(), alpha, 1.0 - alpha)


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
