"""Models whose vectors are known: angles that the Examples hold."""

import math

import numpy as np
import tensorflow as tf

from components import embedder, features
from components.bulk_inferrer import tables

CLASSES = {"Rise": 0.0, "Fall": math.pi / 2}
#: Test clips of each class: two in each of three groups.
QUERIES = [(name, group, clip) for name in CLASSES for group in (1, 2, 3) for clip in (1, 2)]
LIMITS = {
    "min_recall": 0.5,
    "max_recall_drop": 0.1,
    "min_class_recall": 0.05,
    "max_class_recall_drop": 0.9,
}
#: How many of the first 12 test clips a model that looks at this feature gets wrong.
ERRORS = {features.BRIGHTNESS: 0, features.MOTION: 1, features.FPS: 4}
#: The champion is the candidate.
SAME = "the same"


class AngleModel(tf.Module):
    """Embeds a clip as the point on the unit circle at the angle that one of its features says."""

    def __init__(self, feature, num_frames):
        super().__init__()
        self.feature = feature
        self.num_frames = num_frames

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def embed(self, examples):
        spec = {
            features.CLIP_ID: tf.io.FixedLenFeature([], tf.string),
            features.FRAMES: tf.io.FixedLenFeature([self.num_frames], tf.string),
            self.feature: tf.io.FixedLenFeature([], tf.float32),
        }
        parsed = tf.io.parse_example(examples, spec)
        angle = parsed[self.feature]
        embedding = tf.stack([tf.cos(angle), tf.sin(angle)], axis=1)
        return {"clip_id": parsed[features.CLIP_ID], "embedding": embedding}


def make_example(name, group, clip, angles):
    texts = {
        features.CLIP_ID: [f"v_{name}_g{group:02d}_c{clip:02d}"],
        features.GROUP: [f"{name}_g{group:02d}"],
        features.CLASS_NAME: [name],
        features.FRAMES: ["one", "two"],
    }
    feature = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[t.encode() for t in values]))
        for key, values in texts.items()
    } | {
        key: tf.train.Feature(float_list=tf.train.FloatList(value=[angle]))
        for key, angle in angles.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def publish_embeddings(champion, examples, feature, engine):
    """Writes vectors of a champion as if its model looked at another feature than it does."""
    model_id = embedder.model_id(str(champion / "Format-Serving"))
    records = list(embedder.read_examples(f"{examples.uri}/Split-*/*"))
    angles = [
        tf.train.Example.FromString(record).features.feature[feature].float_list.value[0]
        for record in records
    ]
    ids, groups, classes = zip(*map(embedder.clip_names, records), strict=True)
    table = tables.EmbeddingTable(
        ids,
        classes,
        groups,
        ("any",) * len(ids),
        np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        model_id,
        tuple(map(embedder.example_digest, records)),
        engine,
    )
    tables.write_embeddings(str(champion / "embeddings.parquet"), table)
