"""What a finished training leaves for people, beside its model: figures and pictures."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import features, plots
from components.trainer import input_fn, model

#: What is known of the training besides its history.
FACTS_FILE = "training.json"

#: Clips of a split that are looked at, at the most; a forward pass of each is paid for.
_MAX_CLIPS = 512
_NUM_QUERIES, _NUM_NEIGHBORS = 6, 4
_BATCH_SIZE = 8


def write_files(log_dir: str, history: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Writes both JSON files."""
    for name, content in ((features.HISTORY_FILE, history), (FACTS_FILE, facts)):
        with tf.io.gfile.GFile(f"{log_dir}/{name}", "w") as file:
            file.write(json.dumps(content, indent=2))


def write_pictures(
    log_dir: str,
    network: keras.Model,
    transform: tft.TFTransformOutput,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    seed: int,
) -> None:
    """Writes the confusion of classes on the eval split, and examples of its clips' neighbors.

    They are TensorBoard's images. Clips of classes that are not trained are left out.
    """
    names = [name.decode() for name in transform.vocabulary_by_name(features.CLASS_NAME)]
    both = keras.Model(network.input, [model.embedding_network(network).output, network.output])
    train, evaluated = (
        _look(both, transform, files, len(names), seed) for files in (train_files, eval_files)
    )
    if not len(train[0]) or not len(evaluated[0]):
        return
    frames, vectors, labels, predicted = evaluated
    pictures = {
        "confusion": plots.confusion_matrix(
            [names[label] for label in labels],
            [names[label] for label in predicted],
            "Classes of the eval split, and what the classifier takes them for",
        ),
        "neighbors": _neighbors(frames, vectors, labels, train, names),
    }
    with tf.summary.create_file_writer(f"{log_dir}/pictures").as_default():
        for name, png in pictures.items():
            tf.summary.image(name, tf.image.decode_png(png, channels=3)[tf.newaxis], step=0)


def _look(
    both: keras.Model,
    transform: tft.TFTransformOutput,
    files: Sequence[str],
    num_classes: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns middle frames uint8 [n, h, w, c], unit vectors [n, d], labels [n], predictions [n].

    Of up to `_MAX_CLIPS` clips of known classes, drawn by `seed`.
    """
    to_batch = input_fn.batch_maker(transform, np.ones(num_classes, np.float32))
    records = input_fn.read_records(files).shuffle(input_fn.SHUFFLE_BUFFER, seed=seed)
    frames, vectors, labels, predicted = [], [], [], []
    for batch in records.take(_MAX_CLIPS).batch(_BATCH_SIZE).map(to_batch):
        clips, label, weight = (part.numpy() for part in batch)
        embedded, logits = map(keras.ops.convert_to_numpy, both(clips, training=False))
        known = weight > 0
        frames.append(clips[known, clips.shape[1] // 2])
        vectors.append(embedded[known])
        labels.append(label[known].argmax(axis=1))
        predicted.append(logits[known].argmax(axis=1))
    stacked = np.concatenate(vectors)
    stacked /= np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-12)
    pixels = np.rint(255 * np.concatenate(frames)).astype(np.uint8)
    return pixels, stacked, np.concatenate(labels), np.concatenate(predicted)


def _neighbors(
    frames: np.ndarray, vectors: np.ndarray, labels: np.ndarray, train: tuple, names: list[str]
) -> bytes:
    """Draws queries of as many classes as there is room for, and their neighbors."""
    train_frames, train_vectors, train_labels, _ = train
    firsts = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    queries = list(itertools.islice(firsts, _NUM_QUERIES))
    nearest = np.argsort(-(vectors[queries] @ train_vectors.T), axis=1)[:, :_NUM_NEIGHBORS]
    return plots.example_neighbors(
        frames[queries],
        train_frames[nearest],
        [names[label] for label in labels[queries]],
        [[names[label] for label in train_labels[row]] for row in nearest],
        train_labels[nearest] == labels[queries][:, np.newaxis],
    )
