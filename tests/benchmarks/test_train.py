"""The tutorial's way against its description; the command runs, what it measures is not tested."""

import random
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from benchmarks import ceiling, tutorial
from tests.benchmarks.test_ingest import tables

COMMAND = Path(__file__).parents[2] / "benchmarks" / "train.py"
SIZE = 32


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(COMMAND), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def write_video(path: Path, frames: np.ndarray) -> str:
    """Writes uint8 [t, h, w, 3], BGR, without loss."""
    height, width = frames.shape[1:3]
    codec = cv2.VideoWriter_fourcc(*"FFV1")
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, 25, (width, height))
    for frame in frames:
        video.write(frame)
    video.release()
    return str(path)


@pytest.fixture(scope="module")
def shades(tmp_path_factory) -> list[str]:
    """Six videos of 150 frames; frame i of each is all of the gray i."""
    frames = np.broadcast_to(np.arange(150, dtype=np.uint8)[:, None, None, None], (150, 24, 24, 3))
    folder = tmp_path_factory.mktemp("shades")
    return [write_video(folder / f"{index}.avi", frames) for index in range(6)]


def starts_of(frames: np.ndarray) -> list[int]:
    """Returns the first frame's number of clips [b, t, h, w, c] of `shades`."""
    return np.rint(255 * frames[:, 0, SIZE // 2, SIZE // 2, 0]).astype(int).tolist()


def test_the_network_is_the_tutorials():
    """443,322 weights for ten classes at the tutorial's size, and logits for any size."""
    assert tutorial.build_network(10).count_params() == 443_322
    network = tutorial.build_network(7, SIZE)
    assert network(np.zeros((2, 10, SIZE, SIZE, 3), np.float32)).shape == (2, 7)


def test_every_15th_frame_is_read_from_a_random_start(shades):
    """The frames are 15 apart, in the same place of the video where the seed is the same."""
    clips = [tutorial.read_clip(shades[0], random.Random(seed), SIZE) for seed in range(6)]
    first, again = clips[0], tutorial.read_clip(shades[0], random.Random(0), SIZE)
    assert first.shape == (10, SIZE, SIZE, 3)
    assert first.dtype == np.float32
    (start,) = starts_of(first[np.newaxis])
    assert 0 <= start < 15
    shown = np.rint(255 * first[:, SIZE // 2, SIZE // 2, 0])
    np.testing.assert_array_equal(shown, start + 15 * np.arange(10))
    np.testing.assert_array_equal(first, again)
    assert len(set(starts_of(np.stack(clips)))) > 2


def test_short_and_wide_videos_are_filled_up_with_black(tmp_path):
    """Frames that are missing are black, and so is what a frame that is not square leaves free."""
    frames = np.zeros((20, 24, 48, 3), np.uint8)
    frames[..., 2] = 255  # red, in OpenCV's order
    path = write_video(tmp_path / "short.avi", frames)
    clip = tutorial.read_clip(path, random.Random(0), SIZE)
    red = np.zeros((SIZE, SIZE, 3), np.float32)
    red[8:24, :, 0] = 1
    np.testing.assert_allclose(clip[:2], [red, red], atol=0.02)  # the codec's color space
    assert not clip[2:].any()


def test_a_file_that_is_no_video_is_named(tmp_path):
    """The path is in the message."""
    path = tmp_path / "broken.avi"
    path.write_bytes(b"not a video")
    with pytest.raises(ValueError, match=r"path: expected a video.*broken\.avi"):
        tutorial.read_clip(str(path), random.Random(0), SIZE)


@pytest.mark.parametrize("cached", [True, False])
def test_batches_hold_every_clip_once_an_epoch(shades, cached):
    """Cached clips keep the starts of the first epoch; others get new ones, and a new order."""
    clips = [tutorial.LabeledClip(path, label) for label, path in enumerate(shades)]
    batches = tutorial.training_batches(clips, image_size=SIZE, batch_size=4, seed=1, cached=cached)
    epochs = []
    for _ in range(2):
        frames, labels = zip(*batches.as_numpy_iterator(), strict=True)
        assert [len(part) for part in labels] == [4, 2]
        starts = starts_of(np.concatenate(frames))
        epochs.append(dict(zip(np.concatenate(labels).tolist(), starts, strict=True)))
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert list(epochs[0]) != list(epochs[1])
    assert (epochs[0] == epochs[1]) is cached


def test_training_ends_with_its_time(shades):
    """With no time at all there is one step, which changes the weights; then it is over."""
    clips = [tutorial.LabeledClip(path, label) for label, path in enumerate(shades[:2])]
    network = tutorial.build_network(2, SIZE)
    before = network.get_weights()
    batches = tutorial.training_batches(clips, image_size=SIZE, batch_size=1, seed=1)
    assert tutorial.train_for(network, batches, 0.0).steps == 1
    assert any((a != b).any() for a, b in zip(before, network.get_weights(), strict=True))


def test_clips_are_embedded_by_the_mean_of_the_last_block(shades):
    """Of unit norm, for more clips than are in a batch, each from a start of its own."""
    network = tutorial.build_network(2, SIZE)
    paths = (shades * 2)[:9]
    vectors = tutorial.embed(network, paths, image_size=SIZE, seed=5)
    last_block = keras.Model(network.input, network.layers[-3].output)
    rng = random.Random(5)
    frames = np.stack([tutorial.read_clip(path, rng, SIZE) for path in paths])
    expected = keras.ops.convert_to_numpy(last_block(frames, training=False)).mean(axis=(1, 2, 3))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(vectors[[0, 6]], axis=0).max() > 1e-4, "the same clip, from two starts"


def test_operations_are_counted():
    """Against the products of a convolution, of a dense layer over channels, and of the head."""
    frames = layers.Input((4, 6, 6, 3))
    video = layers.Conv3D(5, (3, 2, 2), padding="same")(frames)
    video = layers.Dense(7)(layers.ReLU()(video))
    network = keras.Model(frames, layers.Dense(2)(layers.GlobalAveragePooling3D()(video)))
    pixels = 8 * 4 * 6 * 6
    products = pixels * 5 * (3 * 2 * 2 * 3) + pixels * 7 * 5 + 8 * 2 * 7
    assert ceiling.training_flops(network, 8) == 3 * 2 * products


def test_the_table_is_complete_and_nothing_is_left(tmp_path):
    """A row for each way to train, with coherent ratios; no file stays."""
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    options = ("--steps", 1, "--rounds", 1, "--batch-size", 2, "--image-size", SIZE)
    result = run(*options, "--work-dir", work_dir)
    assert result.returncode == 0, result.stderr
    (table,) = tables(result.stdout)
    figures = {name: [float(cell) for cell in cells] for name, *cells in table}
    first, later, fed, memory, ceiling = figures.values()
    assert list(figures) == [
        "tutorial, first epoch",
        "tutorial, later epochs",
        "ours, our input",
        "ours, from memory",
        "ours, at matmul's speed",
    ]
    assert [len(row) for row in figures.values()] == [8, 8, 8, 8, 7], "no CPU time is the ceiling's"
    assert all(min(row) > 0 for row in figures.values())
    assert (first[3], later[4], memory[5], ceiling[6]) == (1, 1, 1, 1)
    assert fed[3] == pytest.approx(fed[0] / first[0], rel=0.05)
    assert memory[6] == pytest.approx(memory[0] / ceiling[0], rel=0.05, abs=0.01)
    assert list(work_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--clips", "absent"), "absent"),
        (("--steps", 0), "at least 1"),
        (("--image-size", 31), "at least 32"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    """A bad argument ends the command at once, with one line."""
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
