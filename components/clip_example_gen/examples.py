"""The raw `tf.train.Example` of a clip, and shards of them.

The contract is `schema/schema.pbtxt`; names and units are in `components.features`.
"""

import posixpath
import uuid
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from components import features
from components.clip_example_gen import clips


def to_example(
    *,
    clip_id: str,
    group: str,
    class_name: str,
    frames: np.ndarray,
    num_frames: int,
    width: int,
    height: int,
    fps: float,
    duration_sec: float,
) -> bytes:
    """Returns a serialized `tf.train.Example`, the same bytes for the same clip.

    Args:
      clip_id: unique in the library.
      group: the video that the clip was cut from.
      class_name: may be empty for a clip that nobody labeled.
      frames: uint8 [T, H, W, 3], RGB; stored as T JPEGs.
      num_frames: frames of the whole clip.
      width: of the whole clip, pixels.
      height: of the whole clip, pixels.
      fps: frames a second.
      duration_sec: seconds.
    """
    feature = {
        features.CLIP_ID: _bytes(clip_id.encode()),
        features.GROUP: _bytes(group.encode()),
        features.CLASS_NAME: _bytes(class_name.encode()),
        features.FRAMES: _bytes(*(clips.encode_jpeg(frame) for frame in frames)),
        features.NUM_FRAMES: _int64(num_frames),
        features.WIDTH: _int64(width),
        features.HEIGHT: _int64(height),
        features.FPS: _float(fps),
        features.DURATION_SEC: _float(duration_sec),
        features.BRIGHTNESS: _float(clips.brightness(frames)),
        features.MOTION: _float(clips.motion(frames)),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def write_shard(path: str, temp_dir: str, examples: Iterable[bytes]) -> None:
    """Writes an uncompressed TFRecord file at `path`, complete or not at all.

    It is written to `temp_dir`, a folder on the same file system, and renamed: whoever reads
    the folder of `path` never sees half a shard, and two writers of one shard do no harm.
    """
    if "://" not in path:  # buckets have no folders
        tf.io.gfile.makedirs(temp_dir)
        tf.io.gfile.makedirs(posixpath.dirname(path))
    temp_path = posixpath.join(temp_dir, f"{posixpath.basename(path)}-{uuid.uuid4().hex}")
    with tf.io.TFRecordWriter(temp_path) as writer:
        for example in examples:
            writer.write(example)
    tf.io.gfile.rename(temp_path, path, overwrite=True)


def _bytes(*values: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _int64(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _float(value: float) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
