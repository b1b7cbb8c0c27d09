"""Previews: a clip as a small filmstrip, which the gallery's page plays."""

import cv2
import numpy as np

#: Frames of a strip, at the most.
NUM_FRAMES = 8
#: Pixels of a frame's edge, at the most: whole macroblocks, so that frames do not run together.
EDGE = 96
#: Some 5 kB a clip: ten thousand go into one page.
_WEBP_QUALITY = 10


def strip(frames: np.ndarray) -> bytes:
    """Returns frames of a clip side by side, from left to right in time, as one lossy WebP.

    NUM_FRAMES are taken evenly, the first and the last among them; all T where they are fewer. The
    picture is [edge, edge * frames], the edge EDGE or S, whichever is less: frames are square, so
    that its shape tells how many they are.

    Args:
      frames: uint8 [T, S, S, 3], RGB.

    Raises:
      ValueError: `frames` is of another type or shape.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or not frames.size or frames.shape[3] != 3:
        raise ValueError(f"frames: expected uint8 [T, S, S, 3]; got {frames.dtype} {frames.shape}")
    if frames.shape[1] != frames.shape[2]:
        raise ValueError(f"frames: expected squares; got {frames.shape[1]} x {frames.shape[2]}")
    taken = np.linspace(0, len(frames) - 1, min(NUM_FRAMES, len(frames))).round().astype(int)
    size = (min(EDGE, frames.shape[1]),) * 2  # enlarging adds bytes and shows nothing
    row = np.hstack(
        [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames[taken]]
    )
    parameters = (cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY)
    _, webp = cv2.imencode(".webp", cv2.cvtColor(row, cv2.COLOR_RGB2BGR), parameters)
    return webp.tobytes()
