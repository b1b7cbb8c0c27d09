"""Which frames of a clip are taken."""

from typing import NamedTuple

import numpy as np


class Sampling(NamedTuple):
    """How frames are taken from a clip: the arguments of `clips.decode`.

    Attributes:
      num_frames: frames of a window, at least 1.
      frame_step: frames between two that are taken, at least 1.
      image_size: height and width to which they are resized, pixels.
      num_windows: at least 1.
    """

    num_frames: int
    frame_step: int
    image_size: int
    num_windows: int


def sample_indices(
    num_available: int, num_frames: int, frame_step: int, window: float = 0.5
) -> np.ndarray:
    """Returns which frames of a clip to take, int64 [num_frames], never falling.

    The frames lie `frame_step` apart in one window. The step shrinks, to 1 at the least, until
    the window fits; a clip of fewer than `num_frames` frames gives every frame, in order, some
    of them more than once and as evenly as can be.

    Args:
      num_available: frames in the clip, at least 1.
      num_frames: frames to take, at least 1.
      frame_step: at least 1.
      window: where the window lies, from 0, at the clip's start, to 1, at its end.

    Raises:
      ValueError: an argument is out of its range.
    """
    arguments = {
        "num_available": num_available,
        "num_frames": num_frames,
        "frame_step": frame_step,
    }
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    if not 0 <= window <= 1:
        raise ValueError(f"window: expected 0 to 1, got {window}")
    steps = np.arange(num_frames, dtype=np.int64)
    if num_available < num_frames:
        return steps * num_available // num_frames
    step = min(frame_step, max(1, (num_available - 1) // max(1, num_frames - 1)))
    start = int((num_available - 1 - step * (num_frames - 1)) * window)
    return start + step * steps


def window_indices(num_available: int, sampling: Sampling) -> np.ndarray:
    """Returns the frames of all windows of a clip, int64 [num_windows * num_frames].

    The first window is at the clip's start, the last at its end, the others evenly between; a
    single one is in the middle. For each see `sample_indices`.

    Raises:
      ValueError: a number is out of its range.
    """
    number = sampling.num_windows
    if number < 1:
        raise ValueError(f"num_windows: expected at least 1, got {number}")
    places = np.linspace(0, 1, number) if number > 1 else (0.5,)
    return np.concatenate(
        [
            sample_indices(num_available, sampling.num_frames, sampling.frame_step, place)
            for place in places
        ]
    )
