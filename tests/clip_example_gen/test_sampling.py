"""Which frames are taken, against the contract."""

import itertools
from collections import Counter

import numpy as np
import pytest

from components.clip_example_gen.sampling import Sampling, sample_indices, window_indices


def _expected_indices(available: int, num_frames: int, frame_step: int) -> list[int]:
    """Says the contract by search: the widest step that fits, the most central window."""
    if available < num_frames:
        counts = Counter(int(available * i / num_frames) for i in range(num_frames))
        assert max(counts.values()) - min(counts.values()) <= 1
        return sorted(counts.elements())
    step = max(
        s for s in range(1, frame_step + 1) if s == 1 or s * (num_frames - 1) + 1 <= available
    )
    length = step * (num_frames - 1) + 1
    starts = range(available - length + 1)
    start = min(starts, key=lambda s: (abs(s - (available - length - s)), s))
    return list(range(start, start + length, step))


@pytest.mark.parametrize(
    ("num_frames", "frame_step"), [*itertools.product([1, 2, 3, 10], [1, 4, 15])]
)
def test_sample_indices_keeps_its_contract(num_frames, frame_step):
    """For every length: the widest centered window that fits, or an even repetition."""
    for available in [*range(1, 60), 135, 136, 137, 138, 500]:
        indices = sample_indices(available, num_frames, frame_step)
        assert indices.dtype == np.int64
        assert indices.tolist() == _expected_indices(available, num_frames, frame_step), available


def test_window_moves_from_start_to_end():
    """0 begins at the first frame, 1 ends at the last, and between them it never falls."""
    for available, num_frames, frame_step in [(50, 4, 3), (10, 10, 15), (9, 5, 2)]:
        starts = [
            sample_indices(available, num_frames, frame_step, window)[0]
            for window in np.linspace(0, 1, 21)
        ]
        assert starts[0] == 0
        assert starts == sorted(starts)
        assert sample_indices(available, num_frames, frame_step, 1)[-1] == available - 1
    with pytest.raises(ValueError, match=r"window: expected 0 to 1, got 1\.5"):
        sample_indices(50, 4, 3, 1.5)


def test_short_clips_show_every_frame():
    """4 frames for 10 show each 2 or 3 times, in order."""
    assert sample_indices(4, 10, 15).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("argument", ["num_available", "num_frames", "frame_step"])
def test_sample_indices_checks_arguments(argument):
    """Numbers below 1 are named."""
    arguments = {"num_available": 5, "num_frames": 5, "frame_step": 5, argument: 0}
    with pytest.raises(ValueError, match=f"{argument}: expected at least 1, got 0"):
        sample_indices(**arguments)


@pytest.mark.parametrize("num_available", [1, 7, 50, 300])
def test_windows_lie_evenly_from_start_to_end(num_available):
    """Of three, the first and the last touch the clip's ends, and the second is a single one's."""
    one, three = (
        window_indices(num_available, Sampling(10, 4, 16, number)).reshape(number, 10)
        for number in (1, 3)
    )
    assert three[0, 0] == 0
    if num_available >= 10:
        assert three[2, -1] == num_available - 1
    np.testing.assert_array_equal(three[1], one[0])
    np.testing.assert_array_equal(one[0], sample_indices(num_available, 10, 4))


def test_no_window_is_refused():
    """The error names the number of windows."""
    with pytest.raises(ValueError, match="num_windows: expected at least 1, got 0"):
        window_indices(50, Sampling(10, 4, 16, 0))
