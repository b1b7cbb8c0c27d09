"""Tests of what makes the hard variant hard."""

import numpy as np
import pytest

from sample_library.clips import draw_frames
from sample_library.disturbances import (
    DISTRACTOR_SCALE,
    MAX_SHAKE,
    NOISE_GAIN,
    NUM_DISTRACTORS,
    OCCLUDER_SCALE,
    Disturbance,
    draw_disturbance,
)
from sample_library.looks import HEIGHT, NOISE_MARGIN, WIDTH, draw_look
from sample_library.motions import MOTIONS, draw_path

NUM_FRAMES = 60


@pytest.fixture(scope="module")
def disturbances() -> list[Disturbance]:
    return [draw_disturbance(NUM_FRAMES, np.random.default_rng(seed)) for seed in range(50)]


def clip(disturbance: Disturbance | None) -> np.ndarray:
    """Returns the frames of one clip, without its noise, as int16 [T, HEIGHT, WIDTH, 3]."""
    silence = np.zeros((HEIGHT + NOISE_MARGIN, WIDTH + NOISE_MARGIN, 3), np.int16)
    look = draw_look(np.random.default_rng(1))._replace(noise=silence)
    path = draw_path(MOTIONS["Rise"], NUM_FRAMES, np.random.default_rng(2))
    frames = draw_frames(look, path, np.random.default_rng(3), disturbance)
    return np.stack(list(frames)).astype(np.int16)


def test_draws_lie_within_their_bounds(disturbances):
    """Shake, numbers, scales and the noise's gain; all of their ranges are used."""
    for drawn in disturbances:
        assert drawn.shake.shape == (NUM_FRAMES, 2)
        assert np.abs(drawn.shake).max() <= MAX_SHAKE
        assert all(DISTRACTOR_SCALE[0] <= x.scale <= DISTRACTOR_SCALE[1] for x in drawn.distractors)
        assert all(len(extra.path) == NUM_FRAMES for extra in drawn.distractors)
        assert OCCLUDER_SCALE[0] <= drawn.occluder.scale <= OCCLUDER_SCALE[1]
        assert NOISE_GAIN[0] <= drawn.noise_gain <= NOISE_GAIN[1]
    numbers = {len(drawn.distractors) for drawn in disturbances}
    assert numbers == set(range(NUM_DISTRACTORS[0], NUM_DISTRACTORS[1] + 1))
    assert max(np.abs(drawn.shake).max() for drawn in disturbances) > MAX_SHAKE / 2


def test_occluder_rests_and_distractors_move(disturbances):
    """The occluder is at one place through the clip; a distractor goes about."""
    for drawn in disturbances:
        assert len(set(drawn.occluder.path)) == 1
        for extra in drawn.distractors:
            assert np.ptp([pose.x for pose in extra.path]) > 10


def test_shake_moves_the_whole_picture(disturbances):
    """A frame of the shaken clip is the calm one's, moved by the shake, where both see it."""
    nothing = disturbances[0].occluder._replace(scale=1e-3)
    shaken = Disturbance(np.tile([20, -12], (NUM_FRAMES, 1)), [], nothing, 1.0)
    calm = shaken._replace(shake=np.zeros((NUM_FRAMES, 2), int))
    before, after = clip(calm), clip(shaken)
    # 20 pixels to the right and 12 up; the lens's vignette stays where it is.
    moved, seen = before[:, :-12, 20:], after[:, 12:, :-20]
    assert np.corrcoef(moved.ravel(), seen.ravel())[0, 1] > 0.97
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] < 0.95


def test_extras_and_noise_are_seen(disturbances):
    """Taking away distractors, occluder or gain changes the clip, each for itself."""
    drawn = disturbances[0]
    whole = clip(drawn)
    assert (whole != clip(drawn._replace(distractors=[]))).any()
    assert (whole != clip(drawn._replace(occluder=drawn.occluder._replace(scale=1e-3)))).any()
    look = draw_look(np.random.default_rng(1))
    path = draw_path(MOTIONS["Rise"], 2, np.random.default_rng(2))
    frames = [
        next(draw_frames(look, path, np.random.default_rng(3), drawn._replace(noise_gain=gain)))
        for gain in (0.0, 8.0, 14.0)
    ]
    silent, soft, loud = (frame.astype(float) for frame in frames)
    assert 5 < np.abs(soft - silent).mean() < np.abs(loud - silent).mean()


def test_same_state_draws_the_same():
    """All is a function of the generator."""
    first, second, other = (
        draw_disturbance(NUM_FRAMES, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(clip(first), clip(second))
    assert (clip(first) != clip(other)).any()
