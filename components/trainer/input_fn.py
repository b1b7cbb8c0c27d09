"""The Trainer's input: raw Examples through the transform graph, as tf.data."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import features
from components.trainer import augmentation, windows

#: Serialized Examples held for shuffling: some 150 KB each at 224 x 224 pixels.
SHUFFLE_BUFFER = 2048


def read_records(file_patterns: Sequence[str]) -> tf.data.Dataset:
    """Returns serialized Examples of all matching TFRecord files, in the order of their names."""
    files = sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern))
    if not files:
        raise ValueError(f"file_patterns: expected TFRecord files; none match {file_patterns}")
    return tf.data.TFRecordDataset(files)


def count_clips(file_patterns: Sequence[str], transform: tft.TFTransformOutput) -> np.ndarray:
    """Returns the clips of each class, int64 [num_classes + 1]; the last are of unknown classes."""
    names = [name.decode() for name in transform.vocabulary_by_name(features.CLASS_NAME)]
    label_of = {name: label for label, name in enumerate(names)}
    spec = {features.CLASS_NAME: tf.io.FixedLenFeature([], tf.string)}
    parsed = read_records(file_patterns).map(lambda x: tf.io.parse_single_example(x, spec))
    labels = [
        label_of.get(row[features.CLASS_NAME].decode(), len(names))
        for row in parsed.as_numpy_iterator()
    ]
    return np.bincount(labels, minlength=len(names) + 1)


def balanced_weights(counts: np.ndarray) -> np.ndarray:
    """Returns weights that let every class count alike and the mean clip 1.

    Args:
      counts: int64 [num_classes], clips of each class.

    Returns:
      float32 [num_classes]: the number of clips, divided by the class's and by the number of
      classes that have clips; 0 for a class without.
    """
    present = counts > 0
    weights = counts.sum() / (np.maximum(counts, 1) * max(present.sum(), 1))
    return np.where(present, weights, 0).astype(np.float32)


def training_batches(
    file_patterns: Sequence[str],
    transform: tft.TFTransformOutput,
    batch_size: int,
    *,
    num_clips: int,
    seed: int,
    changes: augmentation.Augmentation,
    class_weights: np.ndarray,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Makes batches for training, for ever: `num_clips // batch_size` of them are an epoch.

    The batches are a function of the arguments alone; from `first_epoch` on they are those that
    a training from the start would get.

    Args:
      file_patterns: TFRecord files of raw Examples.
      transform: the transform graph.
      batch_size: clips in a batch, at most `num_clips`. The clips that are left over at the end
        of an epoch are others in each.
      num_clips: in the files.
      seed: of the order, which is another in each epoch, of the windows and the changes.
      changes: what augmentation may do.
      class_weights: float32 [num_classes].
      first_epoch: epochs that are left out.

    Returns:
      A dataset of `(frames float32 [b, t, h, w, c], label one-hot float32 [b, num_classes],
      weight float32 [b])`.
    """
    to_batch = batch_maker(transform, class_weights)

    def to_changed_batch(step: tf.Tensor, examples: tf.Tensor) -> tuple[tf.Tensor, ...]:
        step_seed = tf.stack([tf.constant(seed, tf.int64), step])
        window_seed, change_seed = tf.unstack(tf.random.split(step_seed, 2))
        frames, label, weight = to_batch(examples, window_seed)
        return augmentation.augment(frames, change_seed, changes), label, weight

    return (
        read_records(file_patterns)
        .shuffle(SHUFFLE_BUFFER, seed=seed, reshuffle_each_iteration=True)
        .batch(batch_size, drop_remainder=True)
        .repeat()
        .enumerate()
        .skip(first_epoch * (num_clips // batch_size))  # read, but not decoded
        .map(to_changed_batch, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def eval_batches(
    file_patterns: Sequence[str],
    transform: tft.TFTransformOutput,
    batch_size: int,
    *,
    num_clips: int,
    class_weights: np.ndarray,
) -> tf.data.Dataset:
    """Makes batches of every clip's middle window, once and unchanged, in the files' order.

    Returns:
      As `training_batches`; all batches have one shape, filled up with clips of weight 0.
    """
    to_batch = batch_maker(transform, class_weights)

    def to_weighed_batch(index: tf.Tensor, examples: tf.Tensor) -> tuple[tf.Tensor, ...]:
        frames, label, weight = to_batch(examples)
        return frames, label, weight * tf.cast(index < num_clips, tf.float32)

    return (
        read_records(file_patterns)
        .repeat()
        .take(-(-num_clips // batch_size) * batch_size)
        .enumerate()
        .batch(batch_size, drop_remainder=True)
        .map(to_weighed_batch, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def batch_maker(
    transform: tft.TFTransformOutput, class_weights: np.ndarray
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Returns a function of Examples that gives (frames, one-hot label, weight).

    The function takes serialized Examples [b] and, for a window of each that is drawn, a seed,
    int [2]; without one it is the middle window.
    """
    transform_layer = transform.transform_features_layer()
    raw_spec = transform.raw_feature_spec()
    num_classes = len(class_weights)
    num_frames = transform.transformed_feature_spec()[features.FRAMES_XF].shape[0]

    def to_batch(
        examples: tf.Tensor, window_seed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        raw = tf.io.parse_example(examples, raw_spec)
        # Only the frames that are trained on are decoded.
        of_clips = windows.split(raw[features.FRAMES], num_frames)
        raw[features.FRAMES] = (
            windows.middle(of_clips) if window_seed is None else windows.draw(of_clips, window_seed)
        )
        transformed = transform_layer(raw)
        label = transformed[features.LABEL_XF]
        # A class that the training split does not have counts for nothing.
        known = tf.cast(label >= 0, tf.float32)
        weight = tf.gather(class_weights, tf.maximum(label, 0)) * known
        frames = transformed[features.FRAMES_XF]
        frames = tf.ensure_shape(frames, [examples.shape[0], *frames.shape[1:]])
        return frames, tf.one_hot(label, num_classes), weight

    return to_batch
