"""The classes: how a thing moves over a clip.

A thing's pose has four parameters (`Pose`), each with a range that is the same in all classes. In
each class one of them moves through its range, in a cycle that a clip enters at a random moment;
the others rest at a random place of theirs. So every frame, be it the first or the last, has one
and the same distribution of poses in every class, even over the ranges, and tells nothing of the
class.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np


class Pose(NamedTuple):
    """Where a thing is in a frame.

    Attributes:
      x: of the thing's center, pixels right of the frame's center.
      y: of the thing's center, pixels below the frame's center.
      angle: degrees, clockwise as seen on the screen.
      log_size: natural logarithm of the size relative to the look's own.
    """

    x: float
    y: float
    angle: float
    log_size: float


#: The parameters' ranges reach from -REACH to REACH.
REACH = Pose(x=46.0, y=46.0, angle=180.0, log_size=0.42)


class Motion(NamedTuple):
    """A class: the one parameter of the pose that moves, and how.

    Attributes:
      parameter: a field of `Pose`.
      wave: maps the cycle's phase, float64 [T] in [0, 1), to the place in the range, float64 [T]
        in [-1, 1]; evenly, so that a random phase gives a random place.
      cycles: that a clip goes through, at the least and at the most.
    """

    parameter: str
    wave: Callable[[np.ndarray], np.ndarray]
    cycles: tuple[float, float]


def _rising(phase: np.ndarray) -> np.ndarray:
    """From the range's lower end to its upper, and again from the lower."""
    return 2.0 * phase - 1.0


def _falling(phase: np.ndarray) -> np.ndarray:
    return 1.0 - 2.0 * phase


def _to_and_fro(phase: np.ndarray) -> np.ndarray:
    """A triangle: unlike a sine's, its values are spread evenly."""
    return 4.0 * np.abs(phase - 0.5) - 1.0


_SWEEP = (0.75, 0.9)
_TURN = (0.4, 0.48)  # 144 to 173 degrees
_SWING = (1.8, 2.2)

#: The classes, by name.
MOTIONS: Mapping[str, Motion] = MappingProxyType(
    {
        "Bounce": Motion("y", _to_and_fro, _SWING),
        "DriftLeft": Motion("x", _falling, _SWEEP),
        "DriftRight": Motion("x", _rising, _SWEEP),
        "Fall": Motion("y", _rising, _SWEEP),
        "Grow": Motion("log_size", _rising, _SWEEP),
        "Rise": Motion("y", _falling, _SWEEP),
        "RotateClockwise": Motion("angle", _rising, _TURN),
        "RotateCounterclockwise": Motion("angle", _falling, _TURN),
        "Shake": Motion("x", _to_and_fro, _SWING),
        "Shrink": Motion("log_size", _falling, _SWEEP),
    }
)


def draw_path(motion: Motion, num_frames: int, rng: np.random.Generator) -> list[Pose]:
    """Draws a path of a thing through a clip: its pose in each of the `num_frames` frames.

    All that is random comes from `rng`: its same state gives the same path.
    """
    places = np.tile(rng.uniform(-1.0, 1.0, len(REACH)), (num_frames, 1))
    time = np.linspace(0.0, 1.0, num_frames)
    phase = (rng.uniform() + rng.uniform(*motion.cycles) * time) % 1.0
    places[:, Pose._fields.index(motion.parameter)] = motion.wave(phase)
    return [Pose(*map(float, pose)) for pose in places * np.array(REACH)]
