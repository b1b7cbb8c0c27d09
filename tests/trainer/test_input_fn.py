"""The Trainer's input, against the Examples that it reads."""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import input_fn
from components.trainer.augmentation import Augmentation
from tests.tiny_examples import make_example, pixels_of, write_records

CALM = Augmentation()
ALIKE = np.ones(3, np.float32)


@pytest.fixture(scope="module")
def files(examples, tmp_path_factory) -> list[str]:
    """Six clips of known classes and one of a class that the training split does not have."""
    folder = tmp_path_factory.mktemp("files")
    write_records(folder / "clips-0", examples[:4])
    write_records(folder / "clips-1", [*examples[4:], make_example(9, "Surf")])
    return [str(folder / "clips-*")]


def take(dataset: tf.data.Dataset, number: int) -> list[tuple[np.ndarray, ...]]:
    return list(dataset.take(number).as_numpy_iterator())


def training(files, transform, *, first_epoch=0, seed=5, changes=CALM, batch_size=3):
    return input_fn.training_batches(
        files,
        transform,
        batch_size,
        num_clips=7,
        seed=seed,
        changes=changes,
        class_weights=ALIKE,
        first_epoch=first_epoch,
    )


def index_of(frames: np.ndarray, examples: list[bytes]) -> int:
    """Returns which Example a clip is of."""
    (index,) = (
        i
        for i, example in enumerate([*examples, make_example(9, "Surf")])
        if np.allclose(pixels_of(example), frames, atol=1e-6)
    )
    return index


def test_no_files_are_an_error(tmp_path):
    """The patterns are named."""
    with pytest.raises(ValueError, match=r"file_patterns: expected TFRecord files.*none-\*"):
        input_fn.read_records([str(tmp_path / "none-*")])


def test_clips_are_counted_by_class(files, transform):
    """In the vocabulary's order, clips of unknown classes last."""
    names = transform.vocabulary_by_name("class_name")
    counts = input_fn.count_clips(files, transform)
    of_class = {b"Fall": 3, b"Rise": 2, b"Grow": 1}
    assert counts.tolist() == [*(of_class[name] for name in names), 1]


def test_balanced_weights_let_classes_count_alike():
    """Clips times weight is the same for every class; the mean clip weighs 1."""
    counts = np.array([6, 3, 0, 1])
    weights = input_fn.balanced_weights(counts)
    np.testing.assert_allclose((counts * weights)[[0, 1, 3]], 10 / 3, rtol=1e-6)
    assert weights[2] == 0


def test_eval_batches_hold_every_clip_once(files, transform, examples):
    """All batches have one shape; padding and clips of unknown classes weigh nothing."""
    dataset = input_fn.eval_batches(files, transform, 4, num_clips=7, class_weights=ALIKE)
    batches = list(dataset.as_numpy_iterator())
    assert [frames.shape for frames, _, _ in batches] == [(4, 3, 32, 32, 3)] * 2
    frames, labels, weights = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert weights.tolist() == [1, 1, 1, 1, 1, 1, 0, 0]
    names = [name.decode() for name in transform.vocabulary_by_name("class_name")]
    classes = ["Rise", "Fall", "Fall", "Rise", "Grow", "Fall"]
    for index, (example, name) in enumerate(zip(examples, classes, strict=True)):
        np.testing.assert_allclose(frames[index], pixels_of(example), atol=1e-6)
        assert labels[index].tolist() == [float(name == other) for other in names]


def test_an_epoch_shows_clips_at_most_once_and_another_order_each(files, transform, examples):
    """7 clips in batches of 3: two batches of different clips an epoch, others each time."""
    batches = take(training(files, transform), 6)
    order = [[index_of(frames, examples) for frames in batch[0]] for batch in batches]
    epochs = [order[0] + order[1], order[2] + order[3], order[4] + order[5]]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    again = take(training(files, transform), 6)
    for first, second in zip(batches, again, strict=True):
        np.testing.assert_array_equal(first[0], second[0])
    other = take(training(files, transform, seed=6), 2)
    assert any((a[0] != b[0]).any() for a, b in zip(batches, other, strict=False))


def test_training_goes_on_where_it_was(files, transform):
    """From epoch 2 on, batches are those of a training from the start, changes included."""
    changes = Augmentation(crop=0.2, flip=True, color=0.3, temporal_jitter=0.5)
    whole = take(training(files, transform, changes=changes), 8)
    rest = take(training(files, transform, changes=changes, first_epoch=2), 4)
    for expected, found in zip(whole[4:], rest, strict=True):
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)
    calm = take(training(files, transform), 1)
    assert (calm[0][0] != whole[0][0]).any()


def test_seed_zero_is_a_seed(files, transform):
    """It shuffles too, and always alike, also where TensorFlow's own seed is 0."""
    orders = []
    for _ in range(2):
        tf.random.set_seed(0)
        orders.append([batch[0] for batch in take(training(files, transform, seed=0), 4)])
    np.testing.assert_array_equal(*orders)
    assert (orders[0][0] != orders[0][2]).any()


def test_windows_are_drawn_for_training_and_the_middle_one_evaluated(transform, tmp_path):
    """Of clips of three windows, an epoch sees them all; the eval split sees the second."""
    rng = np.random.default_rng(7)
    clips = [rng.integers(0, 256, (9, 32, 32, 3), np.uint8) for _ in range(8)]
    examples = [make_example(index, "Fall", clip) for index, clip in enumerate(clips)]
    files = [write_records(tmp_path / "clips", examples)]
    dataset = input_fn.eval_batches(files, transform, 8, num_clips=8, class_weights=ALIKE)
    ((frames, _, _),) = dataset.as_numpy_iterator()
    for clip, example in zip(frames, examples, strict=True):
        np.testing.assert_allclose(clip, pixels_of(example)[3:6], atol=1e-6)
    dataset = input_fn.training_batches(
        files, transform, 8, num_clips=8, seed=1, changes=CALM, class_weights=ALIKE
    )
    windows = np.concatenate([pixels_of(example).reshape(3, 3, 32, 32, 3) for example in examples])
    seen = [
        int(np.abs(windows - clip).mean(axis=(1, 2, 3, 4)).argmin())
        for frames, _, _ in take(dataset, 2)
        for clip in frames
    ]
    assert sorted(index // 3 for index in seen) == sorted([*range(8), *range(8)])
    assert {index % 3 for index in seen} == {0, 1, 2}
