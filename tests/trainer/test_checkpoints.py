"""Checkpoints on disk and in a real object store's client."""

import os
import time

import numpy as np
import pytest

from components.trainer import checkpoints, weights
from components.trainer.checkpoints import Checkpoint, CheckpointStore


def make_checkpoint(seed: int) -> Checkpoint:
    rng = np.random.default_rng(seed)
    network = {"stem/kernel": rng.normal(size=(2, 3)).astype(np.float32), "stem/bias": np.zeros(3)}
    return Checkpoint(
        network=network,
        optimizer=[np.array(seed), *(rng.normal(size=3) for _ in range(11))],
        best={name: array + 1 for name, array in network.items()},
        facts={"history": [{"epoch": 1, "loss": 0.5}], "best_epoch": 1},
    )


def assert_equal(found: Checkpoint, expected: Checkpoint) -> None:
    assert found.facts == expected.facts
    for one, other in ((found.network, expected.network), (found.best, expected.best)):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    for one, other in zip(found.optimizer, expected.optimizer, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("root", ["{}/some where", "file://{}/uri"])
def test_what_is_saved_is_loaded(tmp_path, root):
    """The last save counts; there is none before the first and none after `clear`."""
    store = CheckpointStore(root.format(tmp_path), "one")
    store.clear()
    assert store.load() is None
    for seed in (1, 2):
        store.save(make_checkpoint(seed))
    assert_equal(CheckpointStore(root.format(tmp_path), "one").load(), make_checkpoint(2))
    assert CheckpointStore(root.format(tmp_path), "other").load() is None
    store.clear()
    assert store.load() is None


def test_clear_leaves_other_trainings_for_a_month(tmp_path):
    """The checkpoints of a training that is only interrupted stay; forgotten ones go."""
    fresh, old = (CheckpointStore(str(tmp_path), name) for name in ("fresh", "old"))
    for store in (fresh, old):
        store.save(make_checkpoint(1))
    month_ago = time.time() - 31 * 86_400
    os.utime(tmp_path / "old.npz", (month_ago, month_ago))
    CheckpointStore(str(tmp_path), "mine").clear()
    assert [file.name for file in tmp_path.iterdir()] == ["fresh.npz"]


@pytest.mark.parametrize("damage", ["empty", "cut", "other"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, damage, caplog):
    """The training begins anew, and the log says which file was of no use."""
    store = CheckpointStore(str(tmp_path), "one")
    store.save(make_checkpoint(1))
    path = tmp_path / "one.npz"
    content = {
        "empty": b"",
        "cut": path.read_bytes()[:-100],
        "other": weights.pack({"other": np.zeros(1)}),
    }
    path.write_bytes(content[damage])
    assert store.load() is None
    assert "one.npz is passed over" in caplog.text


def test_failing_save_leaves_the_one_before(tmp_path, monkeypatch):
    """Whoever stops half-way through writing harms nothing and leaves nothing."""
    store = CheckpointStore(str(tmp_path), "one")
    store.save(make_checkpoint(1))

    def interrupted(arrays):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoints.weights, "pack", interrupted)
        store.save(make_checkpoint(2))
    assert_equal(store.load(), make_checkpoint(1))
    assert [file.name for file in tmp_path.iterdir()] == ["one.npz"]
