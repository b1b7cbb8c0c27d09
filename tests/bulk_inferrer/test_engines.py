"""Engines against TensorFlow, on a real SavedModel; the choice among them."""

import importlib.util
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from components import embedder
from components.bulk_inferrer import engines
from components.trainer import model, signatures
from tests.tiny_examples import IMAGE_SIZE, NUM_FRAMES, analyze, make_example

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


def clip(index: int, *, windows: int = 2) -> bytes:
    """Returns a clip whose colors go their own way, with a little noise."""
    rng = np.random.default_rng(index)
    color = rng.integers(0, 200, (windows * NUM_FRAMES, 1, 1, 3))
    noise = rng.integers(0, 56, (windows * NUM_FRAMES, 32, 32, 3))
    return make_example(index, "Rise", (color + noise).astype(np.uint8))


@pytest.fixture(scope="module")
def clips():
    return [clip(index) for index in range(engines.CHECKED_CLIPS)]


@pytest.fixture(scope="module")
def transform(tmp_path_factory, clips):
    return analyze(clips[:2], tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory, transform):
    keras.utils.set_random_seed(0)
    path = str(tmp_path_factory.mktemp("model"))
    signatures.export(model.build_network(NUM_FRAMES, IMAGE_SIZE, 2), transform, path)
    return path


@pytest.fixture(scope="module")
def old_model_dir(tmp_path_factory, model_dir):
    """A model as it was exported before other engines: `embed` alone."""
    path = str(tmp_path_factory.mktemp("old"))
    loaded = tf.saved_model.load(model_dir)
    tf.saved_model.save(loaded, path, signatures={"embed": loaded.embed})
    return path


@needs_openvino
def test_openvino_gives_the_vectors_of_tensorflow(model_dir, clips):
    """Names are the same, vectors too but for the rounding of bfloat16: cosines above 0.999."""
    expected = engines.load("tensorflow", model_dir).embed(clips[:9])
    found = engines.load("openvino", model_dir).embed(clips[:9])
    assert found[:3] == expected[:3]
    assert found.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)
    assert np.sum(expected.vectors * found.vectors, axis=1).min() > 0.999


@needs_openvino
def test_openvino_sends_no_statistics():
    """Loading it starts no process, and leaves the package that would send them alone."""
    code = (
        "import multiprocessing, sys\n"
        "multiprocessing.process.BaseProcess.start = lambda self: sys.exit('a process')\n"
        "from components.bulk_inferrer import openvino_engine\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_openvino
def test_openvino_vectors_depend_on_their_clip_alone(model_dir, clips):
    """A clip's vector is the same, bit for bit, alone and among others; none come of none."""
    loaded = engines.load("openvino", model_dir)
    together = loaded.embed(clips[:6]).vectors
    np.testing.assert_array_equal(loaded.embed(clips[4:5]).vectors[0], together[4])
    np.testing.assert_array_equal(loaded.embed(clips[5::-1]).vectors[::-1], together)
    assert list(loaded.vectors([])) == []


@needs_openvino
def test_openvino_names_the_clip_without_a_direction(transform, tmp_path, clips):
    """A network that gives zeros is an error that names a clip, as with TensorFlow."""
    network = model.build_network(NUM_FRAMES, IMAGE_SIZE, 2)
    for variable in network.weights:
        variable.assign(keras.ops.zeros_like(variable))
    signatures.export(network, transform, str(tmp_path))
    for engine in ("tensorflow", "openvino"):
        with pytest.raises(ValueError, match="expected finite, not zero; not so for clip3"):
            list(engines.load(engine, str(tmp_path)).vectors(clips[3:5]))


@needs_openvino
def test_openvino_is_chosen_when_it_finds_the_neighbors(model_dir, clips, caplog):
    """After a check on the clips that it passes, whose figure is noted."""
    with caplog.at_level("INFO"):
        assert engines.choose("auto", model_dir, None, lambda: clips) == "openvino"
    note = caplog.records[-1].note
    found = re.fullmatch(r"OpenVINO embeds: it finds (\d\.\d+) of TensorFlow's neighbors", note)
    assert engines.MIN_OVERLAP <= float(found[1]) <= 1


@needs_openvino
def test_other_neighbors_rule_openvino_out(model_dir, clips, monkeypatch, caplog):
    """Below the overlap that is asked for, the choice falls back, with a note, or is refused."""
    monkeypatch.setattr(engines, "MIN_OVERLAP", 1.01)
    with caplog.at_level("INFO"):
        assert engines.choose("auto", model_dir, None, lambda: clips) == "tensorflow"
    assert caplog.records[-1].note.startswith("TensorFlow embeds: embed_engine: expected")
    message = "embed_engine: expected openvino to find 1.01 .* of 12 clips; it finds 1.0000"
    with pytest.raises(ValueError, match=message):
        engines.choose("openvino", model_dir, None, lambda: clips[:12])


@needs_openvino
def test_older_models_are_embedded_by_tensorflow(old_model_dir, clips, caplog):
    """A model that cannot be given frames is TensorFlow's; OpenVINO by name is an error."""
    with caplog.at_level("INFO"):
        assert engines.choose("auto", old_model_dir, None, lambda: clips) == "tensorflow"
    assert "expected a SavedModel with signature decode" in caplog.records[-1].note
    with pytest.raises(ValueError, match="signature decode"):
        engines.choose("openvino", old_model_dir, None, lambda: clips)
    assert len(embedder.Embedder(old_model_dir).embed(clips[:1]).vectors) == 1


def never() -> list[bytes]:
    raise AssertionError("no check is needed")


@needs_openvino
def test_no_check_where_the_published_vectors_settle_it(model_dir):
    """The engine of the known vectors goes on; it passed its check when it computed them."""
    assert engines.choose("auto", model_dir, "openvino", never) == "openvino"
    assert engines.choose("openvino", model_dir, "openvino", never) == "openvino"
    assert engines.choose("auto", model_dir, "tensorflow", never) == "tensorflow"
    assert engines.choose("tensorflow", model_dir, "openvino", never) == "tensorflow"


@needs_openvino
def test_a_check_of_the_whole_library_is_not_worth_it(model_dir, clips):
    """A library that the check would embed with TensorFlow, all of it, is left to TensorFlow."""
    few = clips[:12]
    assert engines.choose("auto", model_dir, None, lambda: few) == "tensorflow"
    assert engines.choose("openvino", model_dir, None, lambda: few) == "openvino"


@needs_openvino
def test_a_gpu_is_taken(model_dir, clips, monkeypatch):
    """Where TensorFlow has a GPU, `auto` is TensorFlow; vectors that are there stay."""
    monkeypatch.setattr(engines.tf.config, "list_physical_devices", lambda kind: [kind])
    assert engines.choose("auto", model_dir, None, never) == "tensorflow"
    assert engines.choose("auto", model_dir, "openvino", never) == "openvino"
    assert engines.choose("openvino", model_dir, None, lambda: clips) == "openvino"


def test_without_openvino(model_dir, monkeypatch):
    """`auto` is TensorFlow, whatever computed the known vectors; by name it is an error."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert engines.choose("auto", model_dir, "openvino", never) == "tensorflow"
    with pytest.raises(ValueError, match="embed_engine: expected the package openvino"):
        engines.choose("openvino", model_dir, None, never)


def unit_rows(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_overlap_counts_shared_neighbors():
    """Against sets of neighbors, made one by one; 1 of a library's own vectors."""
    rng = np.random.default_rng(3)
    reference = unit_rows(rng.normal(size=(40, 8)))
    other = unit_rows(reference + 0.3 * rng.normal(size=(40, 8)))

    def nearest(vectors, row):
        scores = vectors @ vectors[row]
        return set(sorted(set(range(40)) - {row}, key=lambda i: -scores[i])[:10])

    shared = [len(nearest(reference, row) & nearest(other, row)) / 10 for row in range(40)]
    assert 0.4 < np.mean(shared) < 0.9
    assert engines.overlap(reference, other, 10) == pytest.approx(np.mean(shared))
    assert engines.overlap(reference, reference, 10) == 1


def test_overlap_where_scores_tie_or_neighbors_are_few():
    """Of clips that are alike, any will do; few clips have fewer neighbors, one has none."""
    alike = unit_rows(np.repeat(np.random.default_rng(4).normal(size=(3, 8)), 15, axis=0))
    shuffled = alike + np.random.default_rng(5).normal(size=alike.shape).astype(np.float32) * 1e-3
    assert engines.overlap(alike, unit_rows(shuffled), 10) == 1
    three = unit_rows([[1, 0], [0.9, 0.1], [0, 1]])
    assert engines.overlap(three, three[:, ::-1], 10) == 1
    assert engines.overlap(three[:1], three[1:2], 10) == 1
