"""The exported SavedModel, against the Keras network that it was made of."""

import apache_beam as beam
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from components import embedder
from components.trainer import input_fn, model, signatures
from components.transform import preprocessing

NUM_FRAMES, IMAGE_SIZE = 3, 32
CLASSES = ("Rise", "Fall", "Fall", "Rise", "Grow", "Fall")


def bytes_feature(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def make_example(index, class_name):
    pixels = np.random.default_rng(index).integers(0, 256, (NUM_FRAMES, 32, 32, 3), np.uint8)
    values = {
        "clip_id": bytes_feature(f"clip{index}".encode()),
        "group": bytes_feature(f"group{index}".encode()),
        "frames": bytes_feature(*(tf.io.encode_jpeg(frame).numpy() for frame in pixels)),
    }
    if class_name is not None:
        values["class_name"] = bytes_feature(class_name.encode())
    for name in ("num_frames", "width", "height"):
        values[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[32]))
    for name in ("fps", "duration_sec", "brightness", "motion"):
        values[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString()


@pytest.fixture(scope="module")
def examples():
    return [make_example(index, name) for index, name in enumerate(CLASSES)]


@pytest.fixture(scope="module")
def transform(examples, tmp_path_factory):
    """A transform graph, analyzed by tf.Transform on the examples."""
    folder = tmp_path_factory.mktemp("transform")
    with open("schema/schema.pbtxt") as file:
        schema = text_format.Parse(file.read(), schema_pb2.Schema())
    source = tfxio.TFExampleBeamRecord("test", schema=schema)
    geometry = {"num_frames": NUM_FRAMES, "image_size": IMAGE_SIZE}
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
        batches = pipeline | beam.Create(examples) | source.BeamSource()
        _ = (
            (batches, source.TensorAdapterConfig())
            | tft_beam.AnalyzeDataset(
                lambda inputs: preprocessing.preprocessing_fn(inputs, geometry)
            )
            | tft_beam.WriteTransformFn(str(folder / "out"))
        )
        raw_metadata = tft.DatasetMetadata(schema)
        raw_dir = folder / "out" / tft.TFTransformOutput.RAW_METADATA_DIR
        _ = raw_metadata | tft_beam.WriteMetadata(str(raw_dir), pipeline)
    return tft.TFTransformOutput(str(folder / "out"))


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return model.build_network(NUM_FRAMES, IMAGE_SIZE, 3)


@pytest.fixture(scope="module")
def model_dir(network, transform, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model"))
    signatures.export(network, transform, path)
    return path


def pixels_of(example):
    frames = tf.train.Example.FromString(example).features.feature["frames"].bytes_list.value
    decoded = [tf.io.decode_jpeg(frame, dct_method="INTEGER_ACCURATE").numpy() for frame in frames]
    return np.stack(decoded).astype(np.float32) / 255


def test_embed_is_the_classifiers_penultimate_layer(network, model_dir, examples):
    """`embed` gives what the Dense classifier of the Keras network takes, to 1e-5."""
    inputs = np.stack([pixels_of(example) for example in examples])
    penultimate = keras.Model(network.input, network.get_layer("classifier").input)(inputs)
    loaded = tf.saved_model.load(model_dir)
    embedded = loaded.signatures["embed"](tf.constant(examples))
    np.testing.assert_allclose(embedded["embedding"], penultimate, atol=1e-5)
    kernel, bias = network.get_layer("classifier").get_weights()
    logits = loaded.signatures["serving_default"](tf.constant(examples))["logits"]
    np.testing.assert_allclose(embedded["embedding"] @ kernel + bias, logits, atol=1e-4)
    assert embedded["clip_id"].numpy().tolist() == [f"clip{i}".encode() for i in range(6)]


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
    assert labels == [*(vocabulary.index(name) for name in CLASSES), -1]


def test_dataset_weighs_unknown_classes_zero(transform, examples, tmp_path):
    """Batches hold the pixels, and a clip of an unknown class counts for nothing."""
    path = str(tmp_path / "clips")
    with tf.io.TFRecordWriter(path) as writer:
        for example in [*examples, make_example(9, "Surf")]:
            writer.write(example)
    assert input_fn.count_records([path]) == 7
    batches = list(input_fn.make_dataset([path], transform, 4))
    assert [batch[0].shape for batch in batches] == [(4, 3, 32, 32, 3), (3, 3, 32, 32, 3)]
    np.testing.assert_allclose(batches[0][0][1], pixels_of(examples[1]), atol=1e-6)
    weights = np.concatenate([batch[2] for batch in batches])
    assert weights.tolist() == [1, 1, 1, 1, 1, 1, 0]


def test_shuffle_is_decided_by_the_seed(transform, examples, tmp_path):
    """One seed gives one order, an order of its own in each epoch, and every clip once."""
    path = str(tmp_path / "clips")
    with tf.io.TFRecordWriter(path) as writer:
        for example in examples:
            writer.write(example)

    def orders(seed):
        dataset = input_fn.make_dataset([path], transform, 6, shuffle_seed=seed)
        return [next(iter(dataset))[0].numpy().mean(axis=(1, 2, 3, 4)) for _ in range(2)]

    first, again, other = orders(1), orders(1), orders(2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1]) or not np.array_equal(first[0], other[0])
    np.testing.assert_allclose(np.sort(first[0]), np.sort(other[0]))


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
