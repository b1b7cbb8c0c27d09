"""TensorFlow's tutorial "Video classification with a 3D convolutional neural network", rebuilt.

The network, its training and its reader of clips as
https://www.tensorflow.org/tutorials/video/video_classification describes them, and the embedding
that recommenders built on it take: what goes into the last layer. Two liberties: what is drawn
has a seed, and decoded clips may be kept in memory, as the tutorial before it, "Load video data",
does; this one decodes all clips in each epoch.
"""

import math
import random
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import einops
import keras
import numpy as np
import tensorflow as tf
from keras import layers

NUM_FRAMES, FRAME_STEP, IMAGE_SIZE = 10, 15, 224
BATCH_SIZE = 8
_LEARNING_RATE = 1e-4
_SHUFFLE_BUFFER = 1000


class LabeledClip(NamedTuple):
    """A video's path, and the number of its class."""

    path: str
    label: int


class Training(NamedTuple):
    """How long a training took.

    Attributes:
      steps: batches.
      seconds: on the clock, reading clips included.
    """

    steps: int
    seconds: float


def read_clip(path: str, rng: random.Random, image_size: int = IMAGE_SIZE) -> np.ndarray:
    """Seeks to a random start, reads every frame from there on, keeps each 15th.

    Where the video ends before, black frames take the place of the missing ones.

    Args:
      path: of the video.
      rng: draws the start.
      image_size: height and width of the frames in pixels; what does not fill them is black.

    Returns:
      float32 [10, image_size, image_size, 3], RGB in [0, 1].

    Raises:
      ValueError: there is no frame at the start.
    """

    def formatted(frame: np.ndarray) -> tf.Tensor:
        pixels = tf.image.convert_image_dtype(frame, tf.float32)
        return tf.image.resize_with_pad(pixels, image_size, image_size)

    video = cv2.VideoCapture(path)
    starts = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) - (NUM_FRAMES - 1) * FRAME_STEP
    video.set(cv2.CAP_PROP_POS_FRAMES, rng.randrange(starts) if starts > 0 else 0)
    there, frame = video.read()
    if not there:
        raise ValueError(f"path: expected a video, got no frame from {path!r}")
    frames = [formatted(frame)]
    while len(frames) < NUM_FRAMES:
        for _ in range(FRAME_STEP):
            there, frame = video.read()
        frames.append(formatted(frame) if there else np.zeros_like(frames[0]))
    video.release()
    return np.array(frames)[..., ::-1]  # OpenCV's frames are BGR


class _ResizeVideo(layers.Layer):
    """Resizes all frames of [b, t, h, w, c]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._resizing = layers.Resizing(size, size)

    def call(self, video):
        images = self._resizing(einops.rearrange(video, "b t h w c -> (b t) h w c"))
        return einops.rearrange(images, "(b t) h w c -> b t h w c", t=video.shape[1])


def _conv2plus1d(
    video: keras.KerasTensor, filters: int, kernel: tuple[int, int, int]
) -> keras.KerasTensor:
    time_size, *space = kernel
    video = layers.Conv3D(filters, (1, *space), padding="same")(video)
    return layers.Conv3D(filters, (time_size, 1, 1), padding="same")(video)


def _residual_block(video: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    main = layers.LayerNormalization()(_conv2plus1d(video, filters, (3, 3, 3)))
    main = _conv2plus1d(layers.ReLU()(main), filters, (3, 3, 3))
    main = layers.LayerNormalization()(main)
    if video.shape[-1] != filters:
        video = layers.LayerNormalization()(layers.Dense(filters)(video))
    return layers.add([video, main])


def build_network(num_classes: int, image_size: int = IMAGE_SIZE) -> keras.Model:
    """Builds the network with fresh weights; 443,322 of them for ten classes.

    Args:
      num_classes: at least 1.
      image_size: height and width of a frame in pixels, at least 16.

    Returns:
      A model of frames float32 [b, 10, image_size, image_size, 3] in [0, 1] that gives logits
      float32 [b, num_classes], compiled for labels int [b].
    """
    frames = layers.Input((NUM_FRAMES, image_size, image_size, 3))
    video = _conv2plus1d(frames, 16, (3, 7, 7))
    video = layers.ReLU()(layers.BatchNormalization()(video))
    for index, filters in enumerate((16, 32, 64, 128), start=1):
        video = _ResizeVideo(image_size // 2**index)(video)
        video = _residual_block(video, filters)
    pooled = layers.GlobalAveragePooling3D(name="pooled")(video)
    network = keras.Model(frames, layers.Dense(num_classes)(pooled))
    network.compile(
        optimizer=keras.optimizers.Adam(_LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return network


def training_batches(
    clips: Sequence[LabeledClip],
    *,
    image_size: int = IMAGE_SIZE,
    batch_size: int = BATCH_SIZE,
    seed: int,
    cached: bool = True,
) -> tf.data.Dataset:
    """Makes batches of one epoch, read by a Python generator.

    Args:
      clips: in any order; each epoch has its own.
      image_size: height and width in pixels.
      batch_size: clips in a batch.
      seed: of orders and starts.
      cached: whether the first epoch's clips are kept in memory, decoded, for the others; if not,
        each epoch reads them again, from other starts.

    Returns:
      A dataset of `(frames float32 [b, 10, h, w, 3], labels int16 [b])`. The cache lives as long
      as it does.
    """
    rng = random.Random(seed)

    def generate() -> Iterator[tuple[np.ndarray, int]]:
        for clip in rng.sample(clips, len(clips)):
            yield read_clip(clip.path, rng, image_size), clip.label

    signature = (
        tf.TensorSpec((NUM_FRAMES, image_size, image_size, 3), tf.float32),
        tf.TensorSpec((), tf.int16),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    if cached:
        dataset = dataset.cache().shuffle(_SHUFFLE_BUFFER, seed=seed)
    return dataset.prefetch(tf.data.AUTOTUNE).batch(batch_size)


class _Deadline(keras.callbacks.Callback):
    """Ends a training when its time is up."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.steps = 0
        self._end = time.monotonic() + seconds

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps += 1
        if time.monotonic() >= self._end:
            self.model.stop_training = True


def train_for(network: keras.Model, batches: tf.data.Dataset, seconds: float) -> Training:
    """Trains `network`, epoch after epoch, until the time is up; at least one step."""
    started = time.monotonic()
    deadline = _Deadline(seconds)
    network.fit(batches, epochs=10**9, verbose=0, callbacks=[deadline])
    return Training(deadline.steps, time.monotonic() - started)


def embed(
    network: keras.Model,
    paths: Sequence[str],
    *,
    image_size: int = IMAGE_SIZE,
    seed: int,
) -> np.ndarray:
    """Embeds clips, each from a random start: what the network averages over time and space.

    Args:
      network: of `build_network`.
      paths: of the videos, at least one.
      image_size: the network's.
      seed: of the starts.

    Returns:
      float32 [n, 128], of unit norm, so that products are cosines.
    """
    rng = random.Random(seed)
    pooled = keras.Model(network.input, network.get_layer("pooled").output)
    blocks = []
    for index in range(math.ceil(len(paths) / BATCH_SIZE)):
        batch = paths[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        frames = np.stack([read_clip(path, rng, image_size) for path in batch])
        blocks.append(keras.ops.convert_to_numpy(pooled(frames, training=False)))
    vectors = np.concatenate(blocks)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
