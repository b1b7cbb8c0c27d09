"""The raw Example: its features, their values, and whole files."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from components import features
from components.clip_example_gen import examples

FRAMES = np.random.default_rng(0).integers(0, 256, size=(5, 16, 16, 3), dtype=np.uint8)
FRAMES[2:] //= 2


def _to_example(frames: np.ndarray = FRAMES) -> bytes:
    return examples.to_example(
        clip_id="v_Archery_g09_c03",
        group="Archery_g09",
        class_name="Archery",
        frames=frames,
        num_frames=90,
        width=320,
        height=240,
        fps=25.0,
        duration_sec=3.6,
    )


def test_example_has_exactly_the_features_of_the_contract():
    """Every feature is there with its type and value, and no other."""
    feature = tf.train.Example.FromString(_to_example()).features.feature
    assert set(feature) == {*features.WATCHED, features.FRAMES}
    assert feature[features.CLIP_ID].bytes_list.value == [b"v_Archery_g09_c03"]
    assert feature[features.GROUP].bytes_list.value == [b"Archery_g09"]
    assert feature[features.CLASS_NAME].bytes_list.value == [b"Archery"]
    assert feature[features.NUM_FRAMES].int64_list.value == [90]
    assert feature[features.WIDTH].int64_list.value == [320]
    assert feature[features.HEIGHT].int64_list.value == [240]
    assert feature[features.FPS].float_list.value == [25.0]
    assert feature[features.DURATION_SEC].float_list.value == pytest.approx([3.6])
    reals = FRAMES.astype(np.float64) / 255
    assert feature[features.BRIGHTNESS].float_list.value == pytest.approx([reals.mean()])
    assert feature[features.MOTION].float_list.value == pytest.approx(
        [np.abs(np.diff(reals, axis=0)).mean()]
    )


def test_frames_are_jpegs_in_rgb():
    """TensorFlow decodes the stored frames to what OpenCV decodes, in RGB."""
    smooth = np.stack([cv2.GaussianBlur(frame, (9, 9), 4) for frame in FRAMES])
    feature = tf.train.Example.FromString(_to_example(smooth)).features.feature
    jpegs = feature[features.FRAMES].bytes_list.value
    assert len(jpegs) == len(smooth)
    decoded = np.stack([tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs])
    assert np.abs(decoded.astype(int) - smooth).mean() < 4


def test_same_clip_same_bytes():
    """Serialization does not depend on the order of a map."""
    assert _to_example() == _to_example(FRAMES.copy())


def test_write_shard_is_read_back_in_order(tmp_path):
    """A shard is an uncompressed TFRecord file; nothing else stays in its folder."""
    path = str(tmp_path / "Split-train" / "data_tfrecord-00000-of-00001")
    examples.write_shard(path, str(tmp_path / "temporary"), iter([b"one", b"two"]))
    assert [r.numpy() for r in tf.data.TFRecordDataset(path)] == [b"one", b"two"]
    assert [p.name for p in (tmp_path / "Split-train").iterdir()] == [
        "data_tfrecord-00000-of-00001"
    ]
    assert not list((tmp_path / "temporary").iterdir())


def test_write_shard_replaces_and_never_leaves_half(tmp_path):
    """A writer that fails leaves the former shard as it was; one that ends replaces it."""
    path = str(tmp_path / "split" / "shard")
    examples.write_shard(path, str(tmp_path / "temporary"), [b"old"])

    def failing():
        yield b"new"
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        examples.write_shard(path, str(tmp_path / "temporary"), failing())
    assert [r.numpy() for r in tf.data.TFRecordDataset(path)] == [b"old"]
    examples.write_shard(path, str(tmp_path / "temporary"), [b"new"])
    assert [r.numpy() for r in tf.data.TFRecordDataset(path)] == [b"new"]
