"""`preprocessing_fn` for TFX Transform. The same graph serves training, evaluation and serving."""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components import features


def decode_frames(frames: tf.Tensor, image_size: int) -> tf.Tensor:
    """Decodes JPEG frames.

    Args:
      frames: string [b, t], JPEG, RGB, `image_size` pixels high and wide.
      image_size: height and width in pixels.

    Returns:
      float32 [b, t, h, w, c] in [0, 1].
    """

    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(image, [image_size, image_size, 3])

    pixels = tf.map_fn(decode, tf.reshape(frames, [-1]), fn_output_signature=tf.uint8)
    shape = tf.concat([tf.shape(frames), [image_size, image_size, 3]], axis=0)
    return tf.cast(tf.reshape(pixels, shape), tf.float32) / 255.0


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms a batch of raw features.

    Args:
      inputs: the features of `schema/schema.pbtxt`; `frames` is a SparseTensor, and holds the
        frames of one window of a clip.
      custom_config: `num_frames` of a window and `image_size` of the Examples.

    Returns:
      `frames_xf` float32 [b, t, h, w, c] in [0, 1]; `label_xf` int64 [b], -1 for a class that
      the training split does not have.
    """
    num_frames, image_size = custom_config["num_frames"], custom_config["image_size"]
    frames = tf.sparse.to_dense(inputs[features.FRAMES], default_value="")
    frames = tf.ensure_shape(frames, [None, num_frames])
    pixels = tf.ensure_shape(
        decode_frames(frames, image_size), [None, num_frames, image_size, image_size, 3]
    )
    # The vocabulary has the feature's name; its line i is the class of label i.
    label = tft.compute_and_apply_vocabulary(
        inputs[features.CLASS_NAME], default_value=-1, vocab_filename=features.CLASS_NAME
    )
    return {
        features.FRAMES_XF: pixels,
        features.LABEL_XF: label,
    }
