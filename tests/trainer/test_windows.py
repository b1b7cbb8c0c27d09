"""A clip's windows, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import windows

NUM_CLIPS, NUM_WINDOWS, NUM_FRAMES = 40, 3, 2
NAMES = np.array(
    [
        [[f"{clip}-{window}-{frame}" for frame in range(NUM_FRAMES)] for window in range(3)]
        for clip in range(NUM_CLIPS)
    ]
).astype(bytes)


@pytest.fixture
def frames() -> tf.SparseTensor:
    return tf.sparse.from_dense(NAMES.reshape(NUM_CLIPS, -1))


def dense(frames: tf.SparseTensor) -> np.ndarray:
    return tf.sparse.to_dense(frames, "").numpy().astype(bytes)


def test_frames_are_split_window_by_window(frames):
    """Every `num_frames` frames in a row are a window."""
    np.testing.assert_array_equal(windows.split(frames, NUM_FRAMES).numpy().astype(bytes), NAMES)


def test_frames_that_are_no_whole_windows_fail(frames):
    """Six frames are not windows of four."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        windows.split(frames, 4)


@pytest.mark.parametrize(("number", "index"), [(1, 0), (2, 0), (3, 1)])
def test_middle_window(frames, number, index):
    """Of an even number it is the one before the middle."""
    of_clips = windows.split(frames, NUM_FRAMES)[:, :number]
    np.testing.assert_array_equal(dense(windows.middle(of_clips)), NAMES[:, index])


def test_each_clip_draws_a_window_of_its_own(frames):
    """What is drawn is a whole window of the clip, all are drawn, and the seed decides."""
    of_clips = windows.split(frames, NUM_FRAMES)
    drawn = dense(windows.draw(of_clips, tf.constant([1, 2])))
    index = [int(row[0].split(b"-")[1]) for row in drawn]
    np.testing.assert_array_equal(drawn, NAMES[np.arange(NUM_CLIPS), index])
    assert set(index) == {0, 1, 2}
    np.testing.assert_array_equal(drawn, dense(windows.draw(of_clips, tf.constant([1, 2]))))
    assert (drawn != dense(windows.draw(of_clips, tf.constant([1, 3])))).any()
