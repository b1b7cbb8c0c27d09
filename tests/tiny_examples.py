"""Raw Examples of three frames of noise, and the transform graph over them."""

from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from components.transform import preprocessing

NUM_FRAMES, IMAGE_SIZE = 3, 32


def make_example(index: int, class_name: str | None, pixels: np.ndarray | None = None) -> bytes:
    """Returns a serialized Example of `pixels`, uint8 [3, 32, 32, 3]; default: noise by `index`."""
    if pixels is None:
        pixels = np.random.default_rng(index).integers(0, 256, (NUM_FRAMES, 32, 32, 3), np.uint8)
    values = {
        "clip_id": _bytes_feature(f"clip{index}".encode()),
        "group": _bytes_feature(f"group{index}".encode()),
        "frames": _bytes_feature(*(tf.io.encode_jpeg(frame).numpy() for frame in pixels)),
    }
    if class_name is not None:
        values["class_name"] = _bytes_feature(class_name.encode())
    for name in ("num_frames", "width", "height"):
        values[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[32]))
    for name in ("fps", "duration_sec", "brightness", "motion"):
        values[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString()


def _bytes_feature(*values: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def pixels_of(example: bytes) -> np.ndarray:
    """Returns an Example's frames, float32 [3, 32, 32, 3] in [0, 1], decoded by TensorFlow."""
    frames = tf.train.Example.FromString(example).features.feature["frames"].bytes_list.value
    decoded = [tf.io.decode_jpeg(frame, dct_method="INTEGER_ACCURATE").numpy() for frame in frames]
    return np.stack(decoded).astype(np.float32) / 255


def write_records(path: Path, examples: list[bytes]) -> str:
    """Writes a TFRecord file and returns its name."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)
    return str(path)


def analyze(examples: list[bytes], folder: Path) -> tft.TFTransformOutput:
    """Returns the transform graph of `examples`, analyzed by tf.Transform below `folder`."""
    schema = text_format.Parse(Path("schema/schema.pbtxt").read_text(), schema_pb2.Schema())
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
