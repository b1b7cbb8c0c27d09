"""The Trainer's input: raw Examples through the transform graph, as tf.data."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from components import features

#: Serialized Examples held for shuffling: some 150 KB each at 224 x 224 pixels.
SHUFFLE_BUFFER = 2048


def read_records(file_patterns: Sequence[str]) -> tf.data.Dataset:
    """Returns serialized Examples of all matching TFRecord files, in the order of their names."""
    files = sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern))
    if not files:
        raise ValueError(f"file_patterns: expected TFRecord files; none match {file_patterns}")
    return tf.data.TFRecordDataset(files)


def count_records(file_patterns: Sequence[str]) -> int:
    """Returns how many Examples the files hold."""
    return sum(1 for _ in read_records(file_patterns))


def make_dataset(
    file_patterns: Sequence[str],
    transform: tft.TFTransformOutput,
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Makes batches for `keras.Model.fit` and `evaluate`.

    Args:
      file_patterns: TFRecord files of raw Examples.
      transform: the transform graph.
      batch_size: clips in a batch; the last batch of an epoch may be smaller.
      shuffle_seed: shuffles anew in each epoch, by this seed; None keeps the files' order.

    Returns:
      A dataset of `(frames float32 [b, t, h, w, c], label int64 [b], weight float32 [b])`; the
      weight is 0 for clips of a class that the training split does not have, and 1 otherwise.
    """
    transform_layer = transform.transform_features_layer()
    raw_spec = transform.raw_feature_spec()

    def to_batch(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        transformed = transform_layer(tf.io.parse_example(examples, raw_spec))
        label = transformed[features.LABEL_XF]
        weight = tf.cast(label >= 0, tf.float32)
        return transformed[features.FRAMES_XF], tf.maximum(label, 0), weight

    records = read_records(file_patterns)
    if shuffle_seed is not None:
        records = records.shuffle(SHUFFLE_BUFFER, seed=shuffle_seed)
    batches = records.batch(batch_size)
    return batches.map(to_batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
