"""Embeds clips with a SavedModel's `embed` signature; knows no layer of the network."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from components import features

#: Clips in a forward pass. One shape for all, so that a clip's vector does not depend on its
#: neighbors in the batch.
BATCH_SIZE = 8


class EmbeddedClips(NamedTuple):
    """Clips and their vectors, in the order of the Examples.

    Attributes:
      clip_ids, groups, class_names: [n].
      vectors: float32 [n, d], of unit norm.
    """

    clip_ids: tuple[str, ...]
    groups: tuple[str, ...]
    class_names: tuple[str, ...]
    vectors: np.ndarray


class Embedder:
    """A SavedModel that embeds.

    Attributes:
      model_id: names the model by its content; 16 hex digits.
    """

    def __init__(self, model_dir: str):
        """Loads the SavedModel in `model_dir`; ValueError where it has no `embed` signature."""
        self._loaded = tf.saved_model.load(model_dir)  # the signatures need it alive
        if "embed" not in self._loaded.signatures:
            raise ValueError(f"model_dir: expected a SavedModel with signature embed: {model_dir}")
        self._embed = self._loaded.signatures["embed"]
        self.model_id = directory_digest(model_dir)[:16]

    def embed(self, examples: Iterable[bytes]) -> EmbeddedClips:
        """Embeds serialized Examples, holding one batch of them at a time.

        Raises:
          ValueError: no Examples, or a vector that is zero or not finite.
        """
        names: list[tuple[str, str, str]] = []
        blocks: list[np.ndarray] = []
        for batch in _batches(examples, BATCH_SIZE):
            names.extend(_names(example) for example in batch)
            padded = batch + [batch[-1]] * (BATCH_SIZE - len(batch))
            blocks.append(self._embed(tf.constant(padded))["embedding"].numpy()[: len(batch)])
        if not names:
            raise ValueError("examples: expected at least one; got none")
        clip_ids, groups, class_names = zip(*names, strict=True)
        return EmbeddedClips(clip_ids, groups, class_names, _unit(np.concatenate(blocks), clip_ids))


def read_examples(pattern: str) -> Iterator[bytes]:
    """Yields the serialized Examples of all TFRecord files that match, by file name."""
    files = sorted(tf.io.gfile.glob(pattern))
    return tf.data.TFRecordDataset(files).as_numpy_iterator()


def directory_digest(folder: str) -> str:
    """Returns a sha256 hex digest of all files below `folder`, names and contents."""
    digest = hashlib.sha256()
    for parent, folders, files in tf.io.gfile.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(parent, name)
            digest.update(os.path.relpath(path, folder).encode() + b"\0")
            with tf.io.gfile.GFile(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()


def _batches(examples: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for example in examples:
        batch.append(example)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _names(example: bytes) -> tuple[str, str, str]:
    values = tf.train.Example.FromString(example).features.feature
    clip_id, group, class_name = (
        values[key].bytes_list.value[0].decode()
        for key in (features.CLIP_ID, features.GROUP, features.CLASS_NAME)
    )
    return clip_id, group, class_name


def _unit(vectors: np.ndarray, clip_ids: tuple[str, ...]) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = ~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0)
    if bad.any():
        raise ValueError(
            f"embedding: expected finite, not zero; not so for {clip_ids[bad.argmax()]}"
        )
    return (vectors / norms).astype(np.float32)
