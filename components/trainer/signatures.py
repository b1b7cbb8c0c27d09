"""The SavedModel that Trainer exports: the transform graph and the network behind one door."""

import os
from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components import features
from components.trainer import model, warm_start, weights, windows


class ServingModule(tf.Module):
    """Serves a trained network on serialized raw Examples.

    Signatures, taking `examples` string [b], serialized `tf.train.Example`:
      serving_default: `logits` float32 [b, num_classes], the mean over a clip's windows.
      embed: `clip_id` string [b], `embedding` float32 [b, d], the mean over a clip's windows of
        the classifier's penultimate layer, scaled to norm 1. Needs no class name.
      transform_features: `label_xf` int64 [b], for evaluation.
    The two halves of `embed`, for engines that run the network but decode no JPEG:
      decode: `frames` float32 [b, w, t, h, w, c] of `examples`, all with as many windows.
      embed_frames: `embedding` float32 [b, d], of norm 1, of `frames` float32 [b, t, h, w, c],
        one window of each clip.
    """

    def __init__(self, network: keras.Model, transform: tft.TFTransformOutput):
        """Args: `network`, of `model.build_network`; `transform`, the graph it was trained on."""
        super().__init__()
        self._network = network
        self._embedding_network = model.embedding_network(network)
        self._transform_layer = transform.transform_features_layer()
        self._raw_spec = transform.raw_feature_spec()
        self._num_frames = network.input.shape[1]
        self.embed_frames = tf.function(
            self._embed_frames,
            input_signature=[tf.TensorSpec(network.input.shape, tf.float32, features.FRAMES)],
        )

    def _parse(self, examples: tf.Tensor, *keys: str) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(examples, {key: self._raw_spec[key] for key in keys})

    def _mean_over_windows(
        self, raw: dict[str, tf.Tensor], of_window: Callable[[tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        """Returns the mean of `of_window(frames float32 [b, t, h, w, c])`, a window at a time."""
        of_clips = windows.split(raw[features.FRAMES], self._num_frames)

        def of_index(index: tf.Tensor) -> tf.Tensor:
            frames = {features.FRAMES: tf.sparse.from_dense(of_clips[:, index])}
            return of_window(self._transform_layer(frames)[features.FRAMES_XF])

        indices = tf.range(tf.shape(of_clips)[1])
        return tf.reduce_mean(tf.map_fn(of_index, indices, fn_output_signature=tf.float32), axis=0)

    def _embed_frames(self, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": self._unit_embedding(frames)}

    def _logits(self, frames: tf.Tensor) -> tf.Tensor:
        return self._network(frames, training=False)

    def _unit_embedding(self, frames: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(self._embedding_network(frames, training=False), axis=1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies."""
        raw = self._parse(examples, features.FRAMES)
        return {"logits": self._mean_over_windows(raw, self._logits)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def embed(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embeds."""
        raw = self._parse(examples, features.CLIP_ID, features.FRAMES)
        embedding = self._mean_over_windows(raw, self._unit_embedding)
        return {"clip_id": raw[features.CLIP_ID], "embedding": embedding}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def decode(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes and scales the frames, as `embed` does."""
        raw = self._parse(examples, features.FRAMES)
        of_clips = windows.split(raw[features.FRAMES], self._num_frames)
        of_windows = tf.reshape(of_clips, [-1, self._num_frames])
        given = {features.FRAMES: tf.sparse.from_dense(of_windows)}
        frames = self._transform_layer(given)[features.FRAMES_XF]
        shape = tf.concat([tf.shape(of_clips), self._network.input.shape[2:]], axis=0)
        return {"frames": tf.reshape(frames, shape)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Looks up labels. Leaves the frames alone: the evaluator's batches are large."""
        raw = self._parse(examples, features.CLASS_NAME)
        return {features.LABEL_XF: self._transform_layer(raw)[features.LABEL_XF]}


def export(network: keras.Model, transform: tft.TFTransformOutput, model_dir: str) -> None:
    """Writes the SavedModel of `network` to `model_dir`, and its weights beside, by name."""
    module = ServingModule(network, transform)
    tf.saved_model.save(
        module,
        model_dir,
        signatures={
            "serving_default": module.serve,
            "embed": module.embed,
            "transform_features": module.transform_features,
            "decode": module.decode,
            "embed_frames": module.embed_frames,
        },
    )
    path = os.path.join(model_dir, warm_start.WEIGHTS_FILE)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(weights.pack(weights.to_arrays(network)))
