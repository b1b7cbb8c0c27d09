"""The SavedModel that Trainer exports: the transform graph and the network behind one door."""

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components import features
from components.trainer import model


class ServingModule(tf.Module):
    """Serves a trained network on serialized raw Examples.

    Signatures, all taking `examples` string [b], serialized `tf.train.Example`:
      serving_default: `logits` float32 [b, num_classes].
      embed: `clip_id` string [b], `embedding` float32 [b, d], the classifier's penultimate layer.
        Needs no class name.
      transform_features: `label_xf` int64 [b], for evaluation.
    """

    def __init__(self, network: keras.Model, transform: tft.TFTransformOutput):
        """Args: `network`, of `model.build_network`; `transform`, the graph it was trained on."""
        super().__init__()
        self._network = network
        self._embedding_network = model.embedding_network(network)
        self._transform_layer = transform.transform_features_layer()
        self._raw_spec = transform.raw_feature_spec()

    def _parse(self, examples: tf.Tensor, *keys: str) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(examples, {key: self._raw_spec[key] for key in keys})

    def _frames(self, raw: dict[str, tf.Tensor]) -> tf.Tensor:
        frames = {features.FRAMES: raw[features.FRAMES]}
        return self._transform_layer(frames)[features.FRAMES_XF]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies."""
        frames = self._frames(self._parse(examples, features.FRAMES))
        return {"logits": self._network(frames, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def embed(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embeds."""
        raw = self._parse(examples, features.CLIP_ID, features.FRAMES)
        embedding = self._embedding_network(self._frames(raw), training=False)
        return {"clip_id": raw[features.CLIP_ID], "embedding": embedding}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Looks up labels. Leaves the frames alone: the evaluator's batches are large."""
        raw = self._parse(examples, features.CLASS_NAME)
        return {features.LABEL_XF: self._transform_layer(raw)[features.LABEL_XF]}


def export(network: keras.Model, transform: tft.TFTransformOutput, model_dir: str) -> None:
    """Writes the SavedModel of `network` to `model_dir`."""
    module = ServingModule(network, transform)
    tf.saved_model.save(
        module,
        model_dir,
        signatures={
            "serving_default": module.serve,
            "embed": module.embed,
            "transform_features": module.transform_features,
        },
    )
