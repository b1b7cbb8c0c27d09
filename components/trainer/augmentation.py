"""Random changes of the training clips: pure functions of the clips and a seed."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class Augmentation(NamedTuple):
    """How far clips may be changed; see `settings.TrainSettings`."""

    crop: float = 0.0
    flip: bool = False
    color: float = 0.0
    temporal_jitter: float = 0.0


# XLA goes over the pixels once, where the operations one by one do so many times.
@functools.partial(tf.function, jit_compile=True)
def augment(frames: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Changes each clip of a batch in its own way, all of its frames alike.

    Args:
      frames: float32 [b, t, h, w, c] in [0, 1].
      seed: int [2]; the same seed gives the same changes.
      augmentation: how far.

    Returns:
      float32 [b, t, h, w, c] in [0, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    if augmentation.temporal_jitter:
        frames = _jitter(frames, seeds[0], augmentation.temporal_jitter)
    if augmentation.crop or augmentation.flip:
        frames = _shift(frames, seeds[1], augmentation.crop, augmentation.flip)
    if augmentation.color:
        frames = _recolor(frames, seeds[2], augmentation.color)
    return frames


def _draw(shape: Sequence[int | tf.Tensor], seed: tf.Tensor, least: float) -> tf.Tensor:
    """Returns numbers from `least` to 1; the same whether XLA draws them or not."""
    return tf.random.stateless_uniform(shape, seed, least, 1.0, alg="philox")


def _jitter(frames: tf.Tensor, seed: tf.Tensor, share: float) -> tf.Tensor:
    """Shows a part of the clip, as many frames: those nearest to evenly spread moments."""
    num_clips, num_frames = tf.shape(frames)[0], frames.shape[1]
    cut, place = tf.unstack(_draw([2, num_clips], seed, 0.0))
    last = float(num_frames - 1)
    length = last * (1.0 - share * cut)
    start = (last - length) * place
    moments = start[:, tf.newaxis] + length[:, tf.newaxis] * tf.linspace(0.0, 1.0, num_frames)
    return tf.gather(frames, tf.cast(tf.round(moments), tf.int32), axis=1, batch_dims=1)


def _shift(frames: tf.Tensor, seed: tf.Tensor, share: float, flip: bool) -> tf.Tensor:
    """Shifts, and mirrors with a chance of one half if asked to; pixels at the border repeat."""
    num_clips = tf.shape(frames)[0]
    down, right, mirrored = tf.unstack(_draw([3, num_clips], seed, -1.0))
    for axis, shift in ((2, down), (3, right)):
        size = frames.shape[axis]
        offset = tf.cast(tf.round(shift * share * size), tf.int32)
        index = tf.clip_by_value(tf.range(size) + offset[:, tf.newaxis], 0, size - 1)
        if axis == 3 and flip:
            index = tf.where(mirrored[:, tf.newaxis] < 0, tf.reverse(index, [1]), index)
        # The clip's own index for all of its frames: [b, t, size].
        index = tf.repeat(index[:, tf.newaxis], frames.shape[1], axis=1)
        frames = tf.gather(frames, index, axis=axis, batch_dims=2)
    return frames


def _recolor(frames: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Changes contrast, brightness and the balance of the colors."""
    num_clips, channels = tf.shape(frames)[0], frames.shape[-1]
    draws = _draw([num_clips, 1, 1, 1, 1 + channels], seed, -1.0)
    contrast, shift = 1.0 + strength * draws[..., :1], 0.5 * strength * draws[..., 1:]
    return tf.clip_by_value((frames - 0.5) * contrast + 0.5 + shift, 0.0, 1.0)
