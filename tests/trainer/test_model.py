"""Tests of the network and of its optimizer."""

import keras
import numpy as np
import pytest

from components.trainer.model import (
    MIN_IMAGE_SIZE,
    build_network,
    embedding_network,
    make_optimizer,
)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(11)
    return build_network(num_frames=4, image_size=36, num_classes=5)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(3, 4, 36, 36, 3)).astype(np.float32)


def test_embedding_is_what_the_classifier_gets(network, frames):
    """The classifier's product with the embedding, done in NumPy, gives the network's logits."""
    embedding = np.array(embedding_network(network)(frames, training=False))
    kernel, bias = network.get_layer("classifier").get_weights()
    logits = network(frames, training=False)
    assert embedding.shape == (3, 128) and logits.shape == (3, 5)
    np.testing.assert_allclose(embedding @ kernel + bias, logits, rtol=1e-5, atol=1e-5)


def test_embedding_network_shares_the_weights(frames):
    """What the network learns after the embedder was made changes the embeddings."""
    network = build_network(4, 36, 5)
    embedder = embedding_network(network)
    before = np.array(embedder(frames, training=False))
    for weight in network.trainable_weights:
        weight.assign(1.5 * weight)
    after = np.array(embedder(frames, training=False))
    assert np.abs(after - before).max() > 0.1 * np.abs(before).max()
    assert len(embedder.weights) == len(network.weights) - 2


def test_network_saved_and_loaded_computes_the_same(frames, tmp_path):
    """All weights and running statistics survive, and the layers are found by their names."""
    network = build_network(4, 36, 5)
    for weight in network.non_trainable_weights:  # statistics far from those of a fresh network
        weight.assign(weight + 0.5)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    for before, after in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    expected = embedding_network(network)(frames, training=False)
    actual = embedding_network(loaded)(frames, training=False)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_seed_decides_the_weights():
    """The same seed gives the same weights, another seed others."""
    kernels = []
    for seed in (7, 7, 8):
        keras.utils.set_random_seed(seed)
        kernels.append(build_network(2, 32, 3).get_weights()[0])
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01


@pytest.mark.parametrize("image_size", [32, 47, 224])
def test_resolution_halves_four_times(image_size):
    """Each of the four blocks sees half of the size before, rounded down."""
    network = build_network(2, image_size, 3)
    sizes = [network.get_layer(f"block_{i}_add").output.shape[2:] for i in (1, 2, 3, 4)]
    filters = (16, 32, 64, 128)
    assert sizes == [
        (image_size // 2**i, image_size // 2**i, f) for i, f in enumerate(filters, start=1)
    ]


def test_order_of_the_frames_matters(network, frames):
    """Played backwards, a clip that grows brighter has another embedding: motion is seen."""
    embedder = embedding_network(network)
    brighter = (
        frames * np.array([0.1, 0.4, 0.7, 1.0], np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
    )
    forward = np.array(embedder(brighter, training=False))
    backward = embedder(brighter[:, ::-1], training=False)
    assert np.abs(forward - backward).max() > 0.01 * np.abs(forward).max()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, MIN_IMAGE_SIZE - 1, 10), "image_size must be at least 32, got 31"),
        ((0, 64, 10), "num_frames must be at least 1, got 0"),
        ((10, 64, 0), "num_classes must be at least 1, got 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    """The error names the argument, its least value and what came."""
    with pytest.raises(ValueError, match=message):
        build_network(*arguments)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_learning_rate_rises_and_falls_to_zero(name):
    """The highest rate is reached after a tenth of the steps, and half of it in mid-decay."""
    schedule = make_optimizer(name, 0.4, 0.01, 100)._learning_rate
    rates = [float(schedule(step)) for step in (0, 5, 10, 55, 100)]
    np.testing.assert_allclose(rates, [0.0, 0.2, 0.4, 0.2, 0.0], atol=1e-6)


def test_shortest_training_has_a_finite_learning_rate():
    """A single step is enough for a schedule."""
    schedule = make_optimizer("adamw", 0.4, 0.01, 1)._learning_rate
    assert [float(schedule(step)) for step in (0, 1)] == pytest.approx([0.0, 0.4])


def test_weight_decay_shrinks_weights_apart_from_the_gradient():
    """Without a gradient a weight shrinks by the rate times the decay, under both optimizers."""
    for name in ("adamw", "sgd"):
        optimizer = make_optimizer(name, 0.4, 0.1, 1)
        weight = keras.Variable(np.full(3, 2.0, np.float32))
        for _ in range(2):  # the rate of the first step is 0
            optimizer.apply([np.zeros(3, np.float32)], [weight])
        np.testing.assert_allclose(weight, 2.0 * (1 - 0.4 * 0.1), rtol=1e-5)


def test_sgd_is_nesterovs():
    """Three steps of a constant gradient equal the recurrence in NumPy."""
    optimizer = make_optimizer("sgd", 0.4, 0.0, 10)
    weight = keras.Variable(np.zeros((), np.float32))
    expected, velocity = 0.0, 0.0
    for step in range(3):
        rate = float(optimizer._learning_rate(step))
        optimizer.apply([np.ones((), np.float32)], [weight])
        velocity = 0.9 * velocity - rate
        expected += 0.9 * velocity - rate
    np.testing.assert_allclose(weight, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adamw", 0.0, 0.0, 10), "learning_rate .* got 0.0"),
        (("adamw", 0.1, 0.0, 0), "total_steps .* got 0"),
        (("adam", 0.1, 0.0, 10), "optimizer must be adamw or sgd, got 'adam'"),
    ],
)
def test_impossible_trainings_are_refused(arguments, message):
    """The error names the argument and what came."""
    with pytest.raises(ValueError, match=message):
        make_optimizer(*arguments)
