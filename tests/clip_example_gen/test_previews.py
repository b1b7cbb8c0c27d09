"""Strips of clips, read back by OpenCV."""

import cv2
import numpy as np
import pytest

from components.clip_example_gen import clips, previews
from components.pusher import gallery


def levels(count, edge=112):
    """Returns uint8 [count, edge, edge, 3], each frame of one color of its own."""
    colors = np.stack([np.linspace(20, 230, count), np.full(count, 120), np.full(count, 60)], 1)
    frames = np.broadcast_to(colors[:, None, None], (count, edge, edge, 3))
    return frames.astype(np.uint8)


def read(webp):
    """Returns the frames of a strip, RGB [t, edge, edge, 3]."""
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(webp, np.uint8), 1), cv2.COLOR_BGR2RGB)
    edge = len(image)
    assert image.shape[1] % edge == 0
    return np.stack(np.split(image, image.shape[1] // edge, axis=1))


@pytest.mark.parametrize(
    ("count", "taken"),
    [
        (1, [0]),
        (3, [0, 1, 2]),
        (8, range(8)),
        (10, [0, 1, 3, 4, 5, 6, 8, 9]),
        (64, range(0, 64, 9)),
    ],
)
def test_frames_are_taken_evenly_in_order(count, taken):
    """First to last, evenly, in their colors; all of them where they are few."""
    frames = levels(count)
    found = read(previews.strip(frames))
    assert found.shape == (len(taken), 96, 96, 3)
    expected = frames[list(taken)][:, 0, 0]
    np.testing.assert_allclose(found.mean(axis=(1, 2)), expected, atol=4)
    # Frames do not run into one another, but for the codec's soft edges.
    np.testing.assert_allclose(found[:, 40, 8], expected, atol=8)
    np.testing.assert_allclose(found[:, 40, -8], expected, atol=8)


def test_it_is_a_lossy_webp():
    """The file is of the plain lossy kind, whose header the gallery's page reads."""
    webp = previews.strip(levels(8))
    assert (webp[:4], webp[8:16]) == (b"RIFF", b"WEBPVP8 ")
    assert int.from_bytes(webp[4:8], "little") == len(webp) - 8
    assert [int.from_bytes(webp[at : at + 2], "little") for at in (26, 28)] == [768, 96]


def test_small_frames_are_not_enlarged():
    """Frames below the strip's size keep theirs."""
    assert read(previews.strip(levels(4, edge=32))).shape == (4, 32, 32, 3)


def test_same_frames_same_bytes():
    """A strip is a function of its frames, and leaves them as they were."""
    frames = levels(10)
    kept = frames.copy()
    assert previews.strip(frames) == previews.strip(frames)
    np.testing.assert_array_equal(frames, kept)


def test_real_clips_take_few_bytes(real_clips):
    """Strips of UCF101's own clips have some 5 kB, so that ten thousand fit into a page."""
    sizes = []
    for path in sorted((real_clips / "UCF-101").rglob("*.avi")):
        frames = clips.decode(path, num_frames=10, frame_step=15, image_size=112).frames
        sizes.append(len(previews.strip(frames)))
    assert len(sizes) == 12
    assert np.mean(sizes) * 10_000 * 4 / 3 < gallery.MAX_BYTES


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((2, 8, 9, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(frames):
    """The error names the argument and what came."""
    with pytest.raises(ValueError, match=r"frames: expected .*got"):
        previews.strip(frames)
