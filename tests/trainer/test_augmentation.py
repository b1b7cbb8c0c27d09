"""Changes of the training clips, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.augmentation import Augmentation, augment

NUM_CLIPS, NUM_FRAMES, SIZE = 64, 10, 20


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    shape = (NUM_CLIPS, NUM_FRAMES, SIZE, SIZE, 3)
    return np.random.default_rng(0).uniform(size=shape).astype(np.float32)


def changed(clips: np.ndarray, *, seed: int = 1, **far: float) -> np.ndarray:
    return augment(tf.constant(clips), tf.constant([seed, 0]), Augmentation(**far)).numpy()


def test_nothing_is_changed_by_default(clips):
    """Without a setting the clips stay as they are."""
    np.testing.assert_array_equal(changed(clips), clips)


@pytest.mark.parametrize(
    "far", [{"crop": 0.2}, {"flip": True}, {"color": 0.3}, {"temporal_jitter": 0.5}]
)
def test_the_seed_decides(clips, far):
    """One seed gives one result, another seed another; shape, type and range stay."""
    once = changed(clips, **far)
    np.testing.assert_array_equal(once, changed(clips, **far))
    assert (once != changed(clips, seed=2, **far)).any()
    assert (once.shape, once.dtype) == (clips.shape, np.float32)
    assert once.min() >= 0 and once.max() <= 1


def shifted(clip: np.ndarray, down: int, right: int) -> np.ndarray:
    """Shifts by indices; pixels at the border repeat."""
    rows = np.clip(np.arange(SIZE) + down, 0, SIZE - 1)
    columns = np.clip(np.arange(SIZE) + right, 0, SIZE - 1)
    return clip[:, rows][:, :, columns]


@pytest.mark.parametrize("flip", [False, True])
def test_crop_shifts_all_frames_of_a_clip_alike(clips, flip):
    """Each clip is one of the shifts of at most a fifth, of its mirror image where that may be."""
    seen = set()
    for before, after in zip(clips, changed(clips, crop=0.2, flip=flip), strict=True):
        found = [
            (down, right, mirrored)
            for down in range(-4, 5)
            for right in range(-4, 5)
            for mirrored in (False, True)
            if np.array_equal(shifted(before, down, right)[:, :, :: -1 if mirrored else 1], after)
        ]
        assert len(found) == 1
        seen.add(found[0])
    downs, rights, mirrors = (set(values) for values in zip(*seen, strict=True))
    assert len(downs) == len(rights) == 9
    assert mirrors == ({False, True} if flip else {False})


def test_flip_mirrors_about_every_second_clip(clips):
    """Without shifts, a clip is itself or its mirror image."""
    mirrored = [
        np.array_equal(after, before[:, :, ::-1]) or not np.array_equal(after, before)
        for before, after in zip(clips, changed(clips, flip=True), strict=True)
    ]
    after = changed(clips, flip=True)
    for index, is_mirrored in enumerate(mirrored):
        expected = clips[index, :, :, ::-1] if is_mirrored else clips[index]
        np.testing.assert_array_equal(after[index], expected)
    assert NUM_CLIPS / 4 < sum(mirrored) < 3 * NUM_CLIPS / 4


def test_temporal_jitter_shows_a_part_of_the_clip_in_order():
    """Frames never go back, at most the share is cut off, and the pictures stay whole."""
    numbers = np.arange(NUM_FRAMES, dtype=np.float32) / NUM_FRAMES
    clips = np.broadcast_to(
        numbers[:, np.newaxis, np.newaxis, np.newaxis], (NUM_CLIPS, NUM_FRAMES, 2, 2, 3)
    )
    after = changed(clips, temporal_jitter=0.5)
    assert (after == after[:, :, :1, :1, :1]).all()
    indices = np.rint(after[:, :, 0, 0, 0] * NUM_FRAMES).astype(int)
    assert (np.diff(indices, axis=1) >= 0).all()
    lengths = indices[:, -1] - indices[:, 0]
    assert lengths.min() >= 4 and lengths.max() >= 8  # of 9 steps, half may be cut off
    assert len(set(indices[:, 0])) > 2 and len(set(indices[:, -1])) > 2


def test_color_is_one_line_for_each_channel_of_a_clip():
    """After = contrast * before + shift, one contrast a clip, within the bounds, clipped."""
    gray = np.linspace(0.4, 0.6, 2 * 2, dtype=np.float32).reshape(1, 1, 2, 2, 1)
    clips = np.broadcast_to(gray, (NUM_CLIPS, NUM_FRAMES, 2, 2, 3))
    after = changed(clips, color=0.4)
    contrasts, shifts = [], []
    for clip in after:
        for channel in range(3):
            contrast, offset = np.polyfit(gray.ravel(), clip[0, :, :, channel].ravel(), 1)
            contrasts.append(contrast)
            shifts.append(offset - 0.5 * (1 - contrast))
        np.testing.assert_array_equal(clip, np.broadcast_to(clip[:1], clip.shape))
    contrasts, shifts = np.reshape(contrasts, (-1, 3)), np.reshape(shifts, (-1, 3))
    np.testing.assert_allclose(contrasts, contrasts[:, :1].repeat(3, axis=1), atol=1e-4)
    assert 0.6 - 1e-4 <= contrasts.min() < 0.8 and 1.2 < contrasts.max() <= 1.4 + 1e-4
    assert -0.2 - 1e-4 <= shifts.min() < -0.1 and 0.1 < shifts.max() <= 0.2 + 1e-4
    assert np.ptp(shifts, axis=1).max() > 0.1  # the balance of the colors
