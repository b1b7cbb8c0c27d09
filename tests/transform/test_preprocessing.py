"""The transform graph's pixels."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from components.transform import preprocessing


def jpeg(image):
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def smooth_frames(b, t, size):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (b * t, 4, 4, 3), dtype=np.uint8)
    large = [cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse]
    return np.stack(large).reshape(b, t, size, size, 3)


def test_decodes_like_opencv():
    """Frames come out as OpenCV decodes them, in their order, scaled to [0, 1]."""
    frames = smooth_frames(2, 3, 32)
    encoded = [[jpeg(frame) for frame in clip] for clip in frames]
    decoded = preprocessing.decode_frames(tf.constant(encoded), 32).numpy()
    assert decoded.shape == (2, 3, 32, 32, 3)
    assert decoded.dtype == np.float32
    reference = [
        [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for data in clip]
        for clip in encoded
    ]
    np.testing.assert_allclose(decoded * 255, np.stack(reference), atol=2)
    assert np.abs(decoded * 255 - frames).mean() < 3  # what JPEG costs


def test_refuses_frames_of_another_size():
    """Frames that are not of the configured size are an error, not a distortion."""
    encoded = tf.constant([[jpeg(np.zeros((16, 16, 3), np.uint8))]])
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        preprocessing.decode_frames(encoded, 32)
