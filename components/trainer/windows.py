"""A clip's windows: its stored frames are those of one or several, one after another."""

import tensorflow as tf


def split(frames: tf.SparseTensor, num_frames: int) -> tf.Tensor:
    """Returns the frames by window.

    Args:
      frames: string [b, w * num_frames], JPEG.
      num_frames: of a window.

    Returns:
      string [b, w, num_frames]; fails where the clips' frames are not of whole windows.
    """
    dense = tf.sparse.to_dense(frames, default_value="")
    shape = tf.shape(dense)
    return tf.reshape(dense, [shape[0], shape[1] // num_frames, num_frames])


def middle(windows: tf.Tensor) -> tf.SparseTensor:
    """Returns the frames, string [b, t], of the middle one of `windows`, string [b, w, t]."""
    return tf.sparse.from_dense(windows[:, (tf.shape(windows)[1] - 1) // 2])


def draw(windows: tf.Tensor, seed: tf.Tensor) -> tf.SparseTensor:
    """Returns the frames, string [b, t], of one of each clip's `windows`, string [b, w, t].

    Args:
      windows: to draw from, all alike.
      seed: int [2]; the same seed draws the same.
    """
    num_clips, num_windows = tf.shape(windows)[0], tf.shape(windows)[1]
    drawn = tf.random.stateless_uniform([num_clips], seed, 0, num_windows, tf.int32)
    return tf.sparse.from_dense(tf.gather(windows, drawn, axis=1, batch_dims=1))
