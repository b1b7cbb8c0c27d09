"""Tests of the motions."""

import numpy as np
import pytest

from sample_library.motions import MOTIONS, REACH, draw_path


def draw_paths(name: str, count: int = 400, num_frames: int = 10) -> np.ndarray:
    """Returns paths of a class, float64 [count, 4, num_frames], as parts of `REACH`."""
    rng = np.random.default_rng(5)
    paths = np.array([draw_path(MOTIONS[name], num_frames, rng) for _ in range(count)])
    return (paths / np.array(REACH)).transpose(0, 2, 1)


@pytest.mark.parametrize("name", MOTIONS)
def test_every_frame_has_poses_spread_evenly_whatever_the_class(name: str) -> None:
    """In each class, the first, middle and last frame's parameters are uniform in their ranges."""
    poses = draw_paths(name, count=2000)
    assert np.abs(poses).max() <= 1.0
    expected = (np.arange(2000) + 0.5) / 1000 - 1.0
    for frame in (0, 5, 9):
        distance = np.abs(np.sort(poses[:, :, frame], axis=0) - expected[:, np.newaxis]).max(0)
        assert (distance < 0.1).all(), f"frame {frame}: {distance}"


@pytest.mark.parametrize("name", MOTIONS)
def test_one_parameter_moves_and_the_others_rest(name: str) -> None:
    """Only the class's own parameter changes within a clip."""
    moves = np.ptp(draw_paths(name), axis=-1) > 1e-9
    assert moves[:, REACH._fields.index(MOTIONS[name].parameter)].all()
    assert moves.sum() == len(moves)


@pytest.mark.parametrize(
    ("name", "parameter", "sign"),
    [
        ("DriftLeft", "x", -1),
        ("DriftRight", "x", 1),
        ("Rise", "y", -1),
        ("Fall", "y", 1),
        ("RotateClockwise", "angle", 1),
        ("RotateCounterclockwise", "angle", -1),
        ("Grow", "log_size", 1),
        ("Shrink", "log_size", -1),
    ],
)
def test_one_way_motions_go_one_way_but_for_one_new_start(
    name: str, parameter: str, sign: int
) -> None:
    """Of the nine steps between ten frames, at most one, the new start, goes the other way."""
    steps = sign * np.diff(draw_paths(name)[:, REACH._fields.index(parameter)], axis=-1)
    assert ((steps > 0).sum(axis=-1) >= 8).all()
    assert np.median(np.abs(steps)) < 0.25  # far less than half a cycle: the direction is plain


@pytest.mark.parametrize(("name", "parameter"), [("Bounce", "y"), ("Shake", "x")])
def test_motions_to_and_fro_go_both_ways_alike(name: str, parameter: str) -> None:
    """Bouncing and shaking turn at least three times, and go either way half of the time."""
    steps = np.diff(draw_paths(name, num_frames=60)[:, REACH._fields.index(parameter)], axis=-1)
    turns = (np.diff(np.sign(steps), axis=-1) != 0).sum(axis=-1)
    assert (turns >= 3).all()
    assert abs((steps > 0).mean() - 0.5) < 0.05
