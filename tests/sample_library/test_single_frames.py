"""What a single frame gives away: the group, and nothing of the class.

Frames of clips are drawn as the library draws them, but without the way through AVI files, which
changes neither. The classifier is the nearest neighbor among the frames of other groups.
"""

import cv2
import numpy as np
import pytest

from sample_library.clips import draw_frames
from sample_library.disturbances import draw_disturbance
from sample_library.library import _generator
from sample_library.looks import draw_look
from sample_library.motions import MOTIONS, draw_path

GROUPS, CLIPS, TEST_GROUPS = 20, 2, 7
MOMENTS = {"first": 0, "middle": 1, "last": 2}


def small_pixels(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (16, 16), interpolation=cv2.INTER_AREA).ravel() / 255.0


def small_gray(frame: np.ndarray) -> np.ndarray:
    gray = small_pixels(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    return np.abs(gray - np.median(gray))  # the thing stands out, light or dark


def color_histogram(frame: np.ndarray) -> np.ndarray:
    counts = [np.histogram(frame[..., channel], 16, (0, 256))[0] for channel in range(3)]
    return np.sqrt(np.concatenate(counts) / frame.size)


def gradients(frame: np.ndarray) -> np.ndarray:
    """Histograms of the gradients' orientation in 8x8 cells."""
    gray = cv2.cvtColor(cv2.resize(frame, (128, 128)), cv2.COLOR_BGR2GRAY)
    return cv2.HOGDescriptor((128, 128), (32, 32), (16, 16), (16, 16), 9).compute(gray).ravel()


FEATURES = (small_pixels, small_gray, color_histogram, gradients)


@pytest.fixture(scope="module", params=["plain", "hard"])
def variant(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def frames(variant) -> dict[str, list[np.ndarray]]:
    """The frames of each moment, in the order of classes, groups and clips."""
    drawn = {moment: [] for moment in MOMENTS}
    for name, motion in MOTIONS.items():
        for group in range(1, GROUPS + 1):
            look = draw_look(_generator(0, name, group, 0))
            for clip in range(1, CLIPS + 1):
                rng = _generator(0, name, group, clip)
                path = draw_path(motion, len(MOMENTS), rng)
                extras = rng.spawn(1)[0]
                disturbance = draw_disturbance(len(MOMENTS), extras) if variant == "hard" else None
                clip_frames = list(draw_frames(look, path, rng, disturbance))
                for moment, index in MOMENTS.items():
                    drawn[moment].append(clip_frames[index][:, 40:280])
    return drawn


CLASS = np.repeat(np.arange(len(MOTIONS)), GROUPS * CLIPS)
GROUP = np.tile(np.repeat(np.arange(GROUPS), CLIPS), len(MOTIONS))


def similarities(frames: list[np.ndarray], feature) -> np.ndarray:
    """Returns the cosines of all frames with all others, after taking the mean away."""
    vectors = np.array([feature(frame) for frame in frames], np.float64)
    vectors -= vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_class_cannot_be_told_across_groups(frames, moment, feature):
    """Queries of groups 01-07 find their class among the others' frames no better than chance."""
    similarity = similarities(frames[moment], feature)
    query = GROUP < TEST_GROUPS
    nearest = similarity[np.ix_(query, ~query)].argmax(axis=1)
    accuracy = (CLASS[~query][nearest] == CLASS[query]).mean()
    # Chance is 0.1; of 140 queries, more than 0.2 are right once in 5,000 times by luck.
    assert accuracy < 0.2, accuracy


@pytest.mark.parametrize("moment", MOMENTS)
def test_group_can_be_told_by_its_look(frames, variant, moment):
    """The frame nearest in color is often one of the same group, of 200; nearly always if calm."""
    similarity = similarities(frames[moment], color_histogram)
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(axis=1)
    recall = ((CLASS[nearest] == CLASS) & (GROUP[nearest] == GROUP)).mean()
    assert recall > {"plain": 0.7, "hard": 0.4}[variant], recall


def test_brightness_and_contrast_agree_across_classes(frames):
    """No class's mean brightness or contrast is far from the others'."""
    for statistic in (np.mean, np.std):
        values = np.array([statistic(frame) for frame in frames["middle"]])
        by_group = values.reshape(len(MOTIONS), GROUPS, CLIPS).mean(axis=-1)
        spread = by_group.std() / np.sqrt(GROUPS)  # of the mean of a class, if classes are alike
        assert (np.abs(by_group.mean(axis=1) - by_group.mean()) < 4 * spread).all()
