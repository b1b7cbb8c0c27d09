"""Looks: what a group's clips have in common, as clips cut from one video have.

A look is drawn from one distribution for all classes. Within a look the thing and the background
are far apart in brightness, so that the thing is well visible.
"""

from typing import NamedTuple

import cv2
import numpy as np

#: Size of a frame in pixels.
WIDTH, HEIGHT = 320, 240
#: Pixels by which the background exceeds the frame, so that clips can show different parts of it.
MARGIN = 24
#: Side of the square that the thing is drawn in, in pixels.
THING_SIZE = 256
#: Mean radius of the thing in its square, in pixels; the farthest that it reaches is 124.
THING_RADIUS = 72
#: Side by which the noise exceeds the frame, so that every frame can take another part of it.
NOISE_MARGIN = 64


class Sprite(NamedTuple):
    """A blob to be placed into frames.

    Attributes:
      image: uint8 [THING_SIZE, THING_SIZE, 3], BGR.
      alpha: float32 [THING_SIZE, THING_SIZE] in [0, 1], 1 where the blob is.
    """

    image: np.ndarray
    alpha: np.ndarray


class Look(NamedTuple):
    """The look of a group.

    Attributes:
      background: uint8 [HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, 3], BGR.
      thing: what moves.
      scale: of the thing on the screen, frame pixels a thing pixel.
      vignette: float32 [HEIGHT, WIDTH, 3] in [0, 1], the light that the lens lets through.
      noise: int16 [HEIGHT + NOISE_MARGIN, WIDTH + NOISE_MARGIN, 3], the sensor's, to be added.
    """

    background: np.ndarray
    thing: Sprite
    scale: float
    vignette: np.ndarray
    noise: np.ndarray


def draw_look(rng: np.random.Generator) -> Look:
    """Draws a look; the same state of `rng` gives the same look."""
    dark, light = rng.uniform(40.0, 90.0), rng.uniform(165.0, 215.0)
    if rng.uniform() < 0.5:
        dark, light = light, dark
    blur = rng.uniform(0.0, 1.5)
    background = _textured(
        (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN), _palette(dark, 60.0, 18.0, rng), rng
    )
    thing = draw_sprite(light, rng, blur)
    return Look(
        background=_blurred(background, blur),
        thing=thing,
        scale=rng.uniform(0.64, 0.78),
        vignette=_vignette(rng),
        noise=_noise(rng),
    )


def draw_sprite(brightness: float, rng: np.random.Generator, blur: float = 0.0) -> Sprite:
    """Draws a blob of random texture and shape.

    Args:
      brightness: its mean, 0 to 255.
      rng: the same state gives the same blob.
      blur: standard deviation of a Gaussian, in pixels.
    """
    image = _textured((THING_SIZE, THING_SIZE), _palette(brightness, 110.0, 85.0, rng), rng)
    return Sprite(_blurred(image, blur), _blurred(_shape(rng), 0.7 + blur))


def _palette(
    brightness: float, saturation: float, contrast: float, rng: np.random.Generator
) -> np.ndarray:
    """Returns two colors, float64 [2, 3], whose mean has the given brightness (0 to 255)."""
    mean = rng.uniform(-0.5, 0.5, 3)
    difference = rng.uniform(-0.5, 0.5, 3)
    mean = brightness + saturation * (mean - mean.mean())
    difference = saturation * (difference - difference.mean()) + contrast * rng.choice([-1.0, 1.0])
    return np.stack([mean - difference / 2, mean + difference / 2])


def _textured(shape: tuple[int, int], colors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns an image uint8 [*shape, 3] of two colors mixed by a random pattern."""
    draw = (_stripes, _checks, _cloud, _dots)[rng.integers(4)]
    mix = draw(shape, rng)[..., np.newaxis]
    shade = 14.0 * (2.0 * _cloud(shape, rng)[..., np.newaxis] - 1.0)
    image = (1.0 - mix) * colors[0] + mix * colors[1] + shade
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _turned_grid(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the coordinates of the pixels on a grid of random period, angle and origin."""
    rows, columns = np.mgrid[0.0 : shape[0], 0.0 : shape[1]]
    angle, period = rng.uniform(0.0, np.pi), rng.uniform(36.0, 80.0)
    u = (columns * np.cos(angle) + rows * np.sin(angle)) / period + rng.uniform()
    v = (rows * np.cos(angle) - columns * np.sin(angle)) / period + rng.uniform()
    return u, v


def _stripes(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    u, _ = _turned_grid(shape, rng)
    return 0.5 + 0.5 * np.tanh(4.0 * np.sin(2.0 * np.pi * u))


def _checks(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    u, v = _turned_grid(shape, rng)
    return 0.5 + 0.5 * np.tanh(6.0 * np.sin(np.pi * u) * np.sin(np.pi * v))


def _dots(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    u, v = _turned_grid(shape, rng)
    distance = np.hypot(u % 1.0 - 0.5, v % 1.0 - 0.5)
    return 0.5 - 0.5 * np.tanh(20.0 * (distance - 0.3))


def _cloud(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    cells = rng.uniform(size=(7, 8)).astype(np.float32)
    cloud = cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return 0.5 + 0.5 * np.tanh(5.0 * (cloud.astype(np.float64) - 0.5))


def _shape(rng: np.random.Generator) -> np.ndarray:
    """Returns the alpha channel of a lopsided blob: no rotation maps it onto itself."""
    theta = np.linspace(0.0, 2.0 * np.pi, 180, endpoint=False)
    phases = rng.uniform(0.0, 2.0 * np.pi, 4)
    weights = rng.uniform((0.08, 0.22, 0.08, 0.06), (0.16, 0.34, 0.16, 0.06))
    waves = weights[:, np.newaxis] * np.cos(np.outer(range(1, 5), theta) + phases[:, np.newaxis])
    radius = THING_RADIUS * (1.0 + waves.sum(axis=0))
    outline = np.stack([np.cos(theta), np.sin(theta)], axis=-1) * radius[:, np.newaxis]
    shift = 8  # fillPoly takes fixed-point coordinates
    outline = np.rint((outline + THING_SIZE / 2) * 2**shift).astype(np.int32)
    alpha = np.zeros((THING_SIZE, THING_SIZE), np.uint8)
    cv2.fillPoly(alpha, [outline], 255, lineType=cv2.LINE_AA, shift=shift)
    return alpha.astype(np.float32) / 255.0


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.1 else image


def _vignette(rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[-1.0 : 1.0 : HEIGHT * 1j, -1.0 : 1.0 : WIDTH * 1j]
    light = 1.0 - rng.uniform(0.0, 0.2) * (rows**2 + columns**2)
    return np.repeat(light[..., np.newaxis], 3, axis=-1).astype(np.float32)


def _noise(rng: np.random.Generator) -> np.ndarray:
    shape = (HEIGHT + NOISE_MARGIN, WIDTH + NOISE_MARGIN, 3)
    noise = rng.standard_normal(shape, dtype=np.float32) * rng.uniform(1.0, 4.0)
    return np.rint(noise).astype(np.int16)
