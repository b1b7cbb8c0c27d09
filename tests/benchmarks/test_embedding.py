"""The losses and forms against slow references; the command on a tiny library."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from sample_library import make_library

COMMAND = Path(__file__).parents[2] / "benchmarks" / "embedding.py"
sys.path.insert(0, str(COMMAND.parent))

import embedding  # noqa: E402
import embedding_heads  # noqa: E402


def test_contrastive_loss_equals_a_double_loop():
    """L_out of the paper, clip by clip; a clip without a partner does not count."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(7, 5)).astype(np.float32)
    labels = np.array([0, 1, 0, 2, 1, 0, 3])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for i in range(7):
        partners = [p for p in range(7) if p != i and labels[p] == labels[i]]
        if not partners:
            continue
        scores = {a: unit[i] @ unit[a] / embedding_heads.TEMPERATURE for a in range(7) if a != i}
        total = np.log(sum(np.exp(score) for score in scores.values()))
        losses.append(-np.mean([scores[p] - total for p in partners]))
    found = embedding_heads.contrastive_loss(tf.constant(vectors), tf.constant(labels))
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-5)


def test_contrastive_loss_of_strangers_is_zero():
    """A batch without two clips of a class has nothing to pull together."""
    vectors = tf.constant(np.eye(3, dtype=np.float32))
    assert float(embedding_heads.contrastive_loss(vectors, tf.constant([0, 1, 2]))) == 0


def test_cosines_equal_numpys():
    """Norms of vectors and classes do not matter."""
    rng = np.random.default_rng(1)
    vectors, kernel = rng.normal(size=(4, 5)), rng.normal(size=(5, 3))
    expected = [
        [v @ k / (np.linalg.norm(v) * np.linalg.norm(k)) for k in kernel.T] for v in vectors
    ]
    np.testing.assert_allclose(embedding_heads.cosines(vectors, kernel), expected)


def test_batches_show_each_clip_once_and_pairs_stay_together():
    """Left-over clips are left out; a paired batch has no clip alone of its class."""
    labels = np.repeat([0, 1, 2], [7, 4, 6])
    rng = np.random.default_rng(2)
    shuffled = list(embedding_heads.shuffled_batches(labels, 5, rng))
    assert [len(batch) for batch in shuffled] == [5, 5, 5]
    assert len(set(np.concatenate(shuffled))) == 15
    paired = list(embedding_heads.paired_batches(labels, 4, rng))
    assert [len(batch) for batch in paired] == [4, 4, 4, 4]
    assert len(set(np.concatenate(paired))) == 16
    for batch in paired:
        assert min(np.unique(labels[batch], return_counts=True)[1]) >= 2


def test_whitening_makes_the_covariance_the_identity():
    """Without shrinkage, on the clips that it is learned of; windows are averaged before."""
    rng = np.random.default_rng(3)
    windows = rng.normal(size=(200, 3, 6)) @ rng.normal(size=(6, 6)) + 5
    white = embedding.whitened(windows, windows, shrinkage=0.0)
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(6), atol=1e-6)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-9)
    centered = embedding.centered(windows, windows)
    np.testing.assert_allclose(centered, windows.mean(axis=1) - windows.mean(axis=(0, 1)))


def test_command_prints_all_kinds_and_forms(tmp_path):
    """Two classes, one epoch, each head: every row is there, with figures in [0, 1]."""
    kinds = ["the default", embedding_heads.COSINE, embedding_heads.CONTRASTIVE]
    library = make_library(
        tmp_path / "library.zip",
        classes=("Rise", "Fall"),
        clips_per_group={1: 1, 2: 1, 8: 2, 9: 2, 25: 1},
        num_frames=(12, 14),
    )
    done = subprocess.run(
        [sys.executable, str(COMMAND), "--library", str(library), "--epochs", "1",
         "--image-size", "32", *(f"--kind={kind}" for kind in kinds)],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in (*kinds, *embedding.FORMS):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"  {name}  ")]
        figures = [float(part) for part in line.split() if part.count(".") == 1 and len(part) == 5]
        assert len(figures) in (2, 4) and all(0 <= figure <= 1 for figure in figures)


@pytest.mark.parametrize(
    "arguments", [["--epochs", "0"], ["--library", "absent.zip"], ["--image-size", "8"]]
)
def test_bad_options_are_refused(arguments):
    """One line names the option; nothing is made."""
    done = subprocess.run(
        [sys.executable, str(COMMAND), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert arguments[0] in done.stderr
