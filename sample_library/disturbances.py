"""What makes the hard variant hard: shake, distractors, an occluder, noise.

All of it is drawn from one distribution for all classes, so that still only the thing's motion
tells the class.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sample_library.looks import HEIGHT, WIDTH, Sprite, draw_sprite
from sample_library.motions import Pose

#: Distractors of a clip, at the least and at the most.
NUM_DISTRACTORS = (2, 4)
#: Of a distractor and of an occluder on the screen; the thing's scale is 0.64 to 0.78.
DISTRACTOR_SCALE, OCCLUDER_SCALE = (0.3, 0.5), (0.5, 0.75)
#: How far the camera shakes, pixels from its place.
MAX_SHAKE = 20.0
#: How much stronger than the plain variant's the noise is.
NOISE_GAIN = (8.0, 14.0)


class Extra(NamedTuple):
    """Something beside the thing.

    Attributes:
      sprite: what is seen.
      scale: on the screen.
      path: its pose in each frame.
    """

    sprite: Sprite
    scale: float
    path: Sequence[Pose]


class Disturbance(NamedTuple):
    """What disturbs a clip of T frames.

    Attributes:
      shake: int [T, 2], pixels by which the camera is off to the right and down, at most MAX_SHAKE.
      distractors: behind the thing.
      occluder: before it, at rest.
      noise_gain: factor of the look's noise.
    """

    shake: np.ndarray
    distractors: Sequence[Extra]
    occluder: Extra
    noise_gain: float


def draw_disturbance(num_frames: int, rng: np.random.Generator) -> Disturbance:
    """Draws what disturbs a clip of `num_frames` frames; the same state of `rng` gives the same."""
    number = rng.integers(NUM_DISTRACTORS[0], NUM_DISTRACTORS[1] + 1)
    return Disturbance(
        shake=np.rint(MAX_SHAKE * _wander(num_frames, 2, (2.0, 6.0), rng)).astype(int),
        distractors=[_draw_distractor(num_frames, rng) for _ in range(number)],
        occluder=Extra(
            draw_sprite(rng.uniform(40.0, 215.0), rng),
            rng.uniform(*OCCLUDER_SCALE),
            [_anywhere(rng)] * num_frames,
        ),
        noise_gain=rng.uniform(*NOISE_GAIN),
    )


def _draw_distractor(num_frames: int, rng: np.random.Generator) -> Extra:
    places = _wander(num_frames, 3, (0.5, 2.0), rng) * (WIDTH / 2, HEIGHT / 2, 180.0)
    path = [Pose(x, y, angle, 0.0) for x, y, angle in places.tolist()]
    sprite = draw_sprite(rng.uniform(40.0, 215.0), rng)
    return Extra(sprite, rng.uniform(*DISTRACTOR_SCALE), path)


def _anywhere(rng: np.random.Generator) -> Pose:
    x, y = rng.uniform(-0.3, 0.3, 2) * (WIDTH, HEIGHT)
    return Pose(float(x), float(y), float(rng.uniform(-180.0, 180.0)), 0.0)


def _wander(
    num_frames: int, dimensions: int, cycles: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Returns smooth random paths, float64 [num_frames, dimensions] in [-1, 1].

    A path is the mean of three sines of random phase that go through about so many `cycles`.
    """
    frequency = rng.uniform(*cycles, (3, 1, dimensions))
    phase = rng.uniform(0.0, 2.0 * np.pi, (3, 1, dimensions))
    time = np.linspace(0.0, 2.0 * np.pi, num_frames)[:, np.newaxis]
    return np.sin(frequency * time + phase).mean(axis=0)
