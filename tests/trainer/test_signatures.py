"""The exported SavedModel, against the Keras network that it was made of."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components import embedder
from components.trainer import model, signatures, warm_start, weights
from tests.tiny_examples import IMAGE_SIZE, NUM_FRAMES, make_example, pixels_of


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return model.build_network(NUM_FRAMES, IMAGE_SIZE, 3)


@pytest.fixture(scope="module")
def model_dir(network, transform, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model"))
    signatures.export(network, transform, path)
    return path


def test_embed_is_the_classifiers_penultimate_layer(network, model_dir, examples):
    """`embed` gives what the Dense classifier of the Keras network takes, at norm 1, to 1e-5."""
    inputs = np.stack([pixels_of(example) for example in examples])
    penultimate = keras.Model(network.input, network.get_layer("classifier").input)(inputs)
    loaded = tf.saved_model.load(model_dir)
    embedded = loaded.signatures["embed"](tf.constant(examples))
    norm = np.linalg.norm(penultimate, axis=1, keepdims=True)
    np.testing.assert_allclose(embedded["embedding"], penultimate / norm, atol=1e-5)
    kernel, bias = network.get_layer("classifier").get_weights()
    logits = loaded.signatures["serving_default"](tf.constant(examples))["logits"]
    np.testing.assert_allclose(penultimate @ kernel + bias, logits, atol=1e-4)
    assert embedded["clip_id"].numpy().tolist() == [f"clip{i}".encode() for i in range(6)]


def test_windows_of_a_clip_are_averaged(network, model_dir):
    """The embedding is the mean of those of the windows, each at norm 1; logits are means too."""
    pixels = np.random.default_rng(5).integers(0, 256, (9, 32, 32, 3), np.uint8)
    example = make_example(0, "Rise", pixels)
    inputs = pixels_of(example).reshape(3, NUM_FRAMES, IMAGE_SIZE, IMAGE_SIZE, 3)
    vectors = np.array(model.embedding_network(network)(inputs, training=False))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    loaded = tf.saved_model.load(model_dir)
    given = tf.constant([example, example])
    embedded = loaded.signatures["embed"](given)["embedding"]
    np.testing.assert_allclose(embedded, [vectors.mean(axis=0)] * 2, atol=1e-5)
    logits = network(inputs, training=False).numpy().mean(axis=0)
    served = loaded.signatures["serving_default"](given)["logits"]
    np.testing.assert_allclose(served, [logits] * 2, atol=1e-4)


def test_decode_and_embed_frames_are_the_halves_of_embed(model_dir, examples):
    """Frames come out window by window as TensorFlow decodes them; the rest makes the vectors."""
    pixels = np.random.default_rng(5).integers(0, 256, (6, 32, 32, 3), np.uint8)
    clips = [make_example(0, "Rise", pixels), make_example(1, "Fall", pixels[::-1])]
    loaded = tf.saved_model.load(model_dir)
    frames = loaded.signatures["decode"](tf.constant(clips))["frames"].numpy()
    expected = [pixels_of(clip).reshape(2, NUM_FRAMES, 32, 32, 3) for clip in clips]
    np.testing.assert_allclose(frames, expected, atol=1e-6)
    halves = [
        loaded.signatures["embed_frames"](tf.constant(frames[:, window]))["embedding"].numpy()
        for window in range(2)
    ]
    np.testing.assert_allclose(np.linalg.norm(halves, axis=2), 1, atol=1e-6)
    embedded = loaded.signatures["embed"](tf.constant(clips))["embedding"]
    np.testing.assert_allclose(np.mean(halves, axis=0), embedded, atol=1e-6)


def test_embed_needs_no_class(model_dir):
    """A clip of no known class is embedded like any other."""
    loaded = tf.saved_model.load(model_dir)
    named, unnamed = make_example(0, "Rise"), make_example(0, None)
    vectors = loaded.signatures["embed"](tf.constant([named, unnamed]))["embedding"].numpy()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_labels_follow_the_vocabulary(transform, model_dir, examples):
    """Labels number the classes of the vocabulary; an unknown class is -1."""
    vocabulary = [name.decode() for name in transform.vocabulary_by_name("class_name")]
    assert sorted(vocabulary) == ["Fall", "Grow", "Rise"]
    loaded = tf.saved_model.load(model_dir)
    given = tf.constant([*examples, make_example(9, "Surf")])
    labels = loaded.signatures["transform_features"](given)["label_xf"].numpy().tolist()
    assert labels == [
        *(vocabulary.index(name) for name in ("Rise", "Fall", "Fall", "Rise", "Grow", "Fall")),
        -1,
    ]


def test_weights_lie_beside_the_model(network, model_dir):
    """What warm start reads is the network's weights, every one, bit for bit."""
    with open(f"{model_dir}/{warm_start.WEIGHTS_FILE}", "rb") as file:
        arrays = weights.unpack(file.read())
    expected = weights.to_arrays(network)
    assert arrays.keys() == expected.keys()
    for path, array in arrays.items():
        np.testing.assert_array_equal(array, expected[path])


def test_embedder_does_not_depend_on_the_batch(model_dir, examples):
    """A clip's vector is the same alone and among others, of unit norm, and names its model."""
    model_ = embedder.Embedder(model_dir)
    together = model_.embed(examples * 2)
    alone = model_.embed(examples[4:5])
    np.testing.assert_array_equal(together.vectors[4], alone.vectors[0])
    np.testing.assert_allclose(np.linalg.norm(together.vectors, axis=1), 1, atol=1e-6)
    assert alone.clip_ids == ("clip4",) and alone.class_names == ("Grow",)
    assert model_.model_id == embedder.directory_digest(model_dir)[:16]


def test_embedder_refuses_what_it_cannot_embed(model_dir, tmp_path):
    """No Examples, and a SavedModel without `embed`, are errors that say so."""
    with pytest.raises(ValueError, match="expected at least one"):
        embedder.Embedder(model_dir).embed([])
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(ValueError, match="signature embed"):
        embedder.Embedder(str(tmp_path))
