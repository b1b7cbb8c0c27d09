"""What is measured of frames: brightness, motion, and the hash of their look."""

import cv2
import numpy as np
import pytest

from components.clip_example_gen.clips import brightness, decode, motion, perceptual_hash
from components.clip_example_gen.duplicates import MAX_DISTANCE


def _distance(one: bytes, other: bytes) -> int:
    pair = np.frombuffer(one + other, np.uint8).reshape(2, -1)
    return int(np.unpackbits(pair[0] ^ pair[1]).sum())


def _textured(seed: int, size: int = 96) -> np.ndarray:
    """Returns uint8 [5, size, size, 3]: a texture that drifts."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.stack([np.roll(image, 3 * step, axis=1) for step in range(5)])


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (2, 17, 31, 3), (10, 64, 64, 3)])
def test_brightness_and_motion_equal_numpy(shape):
    """OpenCV's sums are those of the definition, in float64."""
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert brightness(frames) == pytest.approx(frames.astype(np.float64).mean() / 255)
    steps = np.abs(np.diff(frames.astype(np.float64), axis=0))
    assert motion(frames) == pytest.approx(steps.mean() / 255 if len(frames) > 1 else 0)


def test_motion_and_brightness_at_their_ends():
    """Black and still is 0, white is 1, black to white is a motion of 1, one frame has none."""
    black = np.zeros((1, 4, 4, 3), np.uint8)
    white = np.full((1, 4, 4, 3), 255, np.uint8)
    assert brightness(black) == 0
    assert brightness(white) == 1
    assert motion(np.concatenate([black, white])) == 1
    assert motion(np.concatenate([white, black, black])) == 0.5
    assert motion(white) == 0


def test_same_look_has_nearly_the_same_hash():
    """Compressed, smaller, blurred or a little brighter, a clip stays near; others are far."""
    looks = [_textured(seed) for seed in range(8)]
    for index, frames in enumerate(looks):
        own = perceptual_hash(frames)
        assert len(own) == 24
        changed = {
            "brighter": np.clip(frames.astype(int) + 12, 0, 255).astype(np.uint8),
            "blurred": np.stack([cv2.GaussianBlur(frame, (3, 3), 0) for frame in frames]),
            "smaller": np.stack([cv2.resize(f, (64, 64)) for f in frames]),
            "compressed": np.stack(
                [
                    cv2.imdecode(cv2.imencode(".jpg", f, (cv2.IMWRITE_JPEG_QUALITY, 40))[1], 1)
                    for f in frames
                ]
            ),
        }  # fmt: skip
        for name, other in changed.items():
            assert _distance(own, perceptual_hash(other)) <= MAX_DISTANCE, name
        for other in looks[:index]:
            assert _distance(own, perceptual_hash(other)) > 2 * MAX_DISTANCE


def test_flat_clips_are_no_duplicates_of_each_other():
    """Dark clips that differ are far apart, however flat; one that is the same has distance 0."""
    rng = np.random.default_rng(0)
    dark = [np.full((3, 50, 50, 3), level, np.uint8) for level in (0, 1, 2, 255)]
    dark += [rng.integers(0, 3, (3, 50, 50, 3), np.uint8) for _ in range(4)]
    hashes = [perceptual_hash(frames) for frames in dark]
    assert perceptual_hash(dark[0].copy()) == hashes[0]
    for index, one in enumerate(hashes):
        for other in hashes[:index]:
            assert _distance(one, other) > 2 * MAX_DISTANCE


def test_a_black_first_frame_brings_no_clips_together():
    """Clips that fade in from the same black are as far apart as without it."""
    hashes = []
    for seed in (0, 1):
        frames = _textured(seed)
        frames[0] = 0
        hashes.append(perceptual_hash(frames))
    assert _distance(*hashes) > 2 * MAX_DISTANCE


def test_real_clips_of_other_groups_are_far(real_clips):
    """No two of UCF101's clips of different videos look alike; the same one re-encoded does."""
    paths = sorted((real_clips / "UCF-101").rglob("*.avi"))
    arguments = {"num_frames": 10, "frame_step": 15, "image_size": 112}
    frames = {path.stem: decode(path, **arguments).frames for path in paths}
    hashes = {name: perceptual_hash(clip) for name, clip in frames.items()}
    for one in hashes:
        for other in hashes:
            if one[:-4] != other[:-4]:
                assert _distance(hashes[one], hashes[other]) > 2 * MAX_DISTANCE, (one, other)
    for name, clip in frames.items():
        packed = [cv2.imencode(".jpg", f, (cv2.IMWRITE_JPEG_QUALITY, 50))[1] for f in clip]
        again = np.stack([cv2.imdecode(data, 1) for data in packed])
        assert _distance(hashes[name], perceptual_hash(again)) <= MAX_DISTANCE, name
