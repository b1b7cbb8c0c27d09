"""Places on the map."""

import numpy as np
import pytest

from components import plots
from components.pusher import projection


def clusters(count, seed=0):
    """Returns unit vectors [count, 16] of 4 classes in turn, and the classes."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 4
    vectors = np.eye(4, 16)[classes] + rng.normal(scale=0.12, size=(count, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), classes


def test_few_clips_are_placed_by_the_evaluations_projection():
    """Up to the limit, the map is the one that the evaluation draws."""
    vectors, _ = clusters(60)
    places, method = projection.place(vectors, 3)
    expected, name = plots.project(vectors, 3)
    assert places.dtype == np.float32 and method == name
    np.testing.assert_allclose(places, expected, rtol=1e-6)


def test_many_clips_lie_with_their_class(monkeypatch):
    """Beyond the limit, clips that t-SNE did not place lie among their own class, every time."""
    monkeypatch.setattr(projection, "MAX_LANDMARKS", 120)
    vectors, classes = clusters(3000)
    places, method = projection.place(vectors, 3)
    again, _ = projection.place(vectors, 3)
    np.testing.assert_array_equal(places, again)
    assert places.shape == (3000, 2) and np.isfinite(places).all() and "120" in method
    middles = np.stack([np.median(places[classes == name], axis=0) for name in range(4)])
    distances = np.linalg.norm(places[:, None] - middles, axis=2)
    assert (distances.argmin(axis=1) == classes).mean() > 0.98
    assert len(np.unique(places, axis=0)) > 2900


def test_equal_vectors_share_a_place(monkeypatch):
    """Where all clips look alike nothing is divided by zero."""
    monkeypatch.setattr(projection, "MAX_LANDMARKS", 50)
    places, _ = projection.place(np.full((200, 4), 0.5, np.float32), 0)
    assert np.isfinite(places).all()
    np.testing.assert_allclose(places, places[:1].repeat(200, axis=0), atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (3, 0)])
def test_no_vectors(shape):
    """Nothing to place is refused by name."""
    with pytest.raises(ValueError, match="vectors: expected shape"):
        projection.place(np.zeros(shape, np.float32), 0)
