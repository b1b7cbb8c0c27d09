"""Weights as named arrays."""

import zipfile

import keras
import numpy as np
import pytest

from components.trainer import model, weights


def make_network(seed: int, num_classes: int = 3) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return model.build_network(2, 32, num_classes)


def test_weights_move_to_another_network_of_the_shape():
    """Packed, unpacked and assigned, they make another network compute the same."""
    one, other = make_network(1), make_network(2)
    for weight in one.non_trainable_weights:
        weight.assign(weight + 0.5)
    frames = np.random.default_rng(0).uniform(size=(2, 2, 32, 32, 3)).astype(np.float32)
    weights.assign(other, weights.unpack(weights.pack(weights.to_arrays(one))))
    np.testing.assert_array_equal(one(frames, training=False), other(frames, training=False))


def test_every_weight_has_a_name_of_its_own():
    """None is lost for sharing a path with another."""
    network = make_network(1)
    assert len(weights.to_arrays(network)) == len(network.variables) > 40


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_weights_that_do_not_fit_are_refused(change):
    """The error counts and names them, and nothing is assigned."""
    network = make_network(1)
    before = weights.to_arrays(network)
    arrays = weights.to_arrays(make_network(2))
    if change == "missing":
        del arrays["stem_norm/gamma"]
    elif change == "unknown":
        arrays["stem_norm/omega"] = np.zeros(1)
    else:
        arrays["stem_norm/gamma"] = np.zeros(7)
    with pytest.raises(ValueError, match=r"arrays: expected .* 1 differ, stem_norm/"):
        weights.assign(network, arrays)
    for path, array in weights.to_arrays(network).items():
        np.testing.assert_array_equal(array, before[path])


@pytest.mark.parametrize("content", [b"", b"no zip", weights.pack({"a": np.zeros(9)})[:-30]])
def test_what_is_no_npz_is_an_error(content):
    """Damage is seen by whoever reads."""
    with pytest.raises((ValueError, EOFError, zipfile.BadZipFile)):
        weights.unpack(content)
