"""Embeds clips with a SavedModel's `embed` signature; knows no layer of the network."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from components import features

#: Clips in a forward pass. One shape for all, so that a clip's vector does not depend on its
#: neighbors in the batch; small, since the last batch of a shard is filled up.
BATCH_SIZE = 4


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


class ClipNames(NamedTuple):
    """What an Example says of its clip."""

    clip_id: str
    group: str
    class_name: str


class Embedder:
    """A SavedModel that embeds, run by TensorFlow in float32.

    Attributes:
      engine: what computes the vectors.
      model_id: of the SavedModel, as of `model_id`.
    """

    engine = "tensorflow"

    def __init__(self, model_dir: str):
        """Loads the SavedModel in `model_dir`; ValueError where it has no `embed` signature."""
        self._model_dir = model_dir
        self._loaded = tf.saved_model.load(model_dir)  # the signatures need it alive
        self._embed = self.signature("embed")
        self.model_id = model_id(model_dir)

    def signature(self, name: str) -> Any:
        """Returns a signature of the model, a ConcreteFunction; ValueError if there is none."""
        if name not in self._loaded.signatures:
            raise ValueError(
                f"model_dir: expected a SavedModel with signature {name}: {self._model_dir}"
            )
        return self._loaded.signatures[name]

    def embed(self, examples: Iterable[bytes]) -> EmbeddedClips:
        """Embeds serialized Examples, holding one batch of them at a time.

        Raises:
          ValueError: no Examples, or a vector that is zero or not finite.
        """
        names: list[ClipNames] = []

        def named() -> Iterator[bytes]:
            for example in examples:
                names.append(clip_names(example))
                yield example

        blocks = list(self.vectors(named()))
        if not names:
            raise ValueError("examples: expected at least one; got none")
        clip_ids, groups, class_names = zip(*names, strict=True)
        return EmbeddedClips(clip_ids, groups, class_names, np.concatenate(blocks))

    def vectors(self, examples: Iterable[bytes]) -> Iterator[np.ndarray]:
        """Yields float32 [b, d], the vectors of the next Examples, of unit norm.

        Raises:
          ValueError: a vector that is zero or not finite.
        """
        for batch in batches(examples, BATCH_SIZE):
            padded = batch + [batch[-1]] * (BATCH_SIZE - len(batch))
            embedded = self._embed(examples=tf.constant(padded))["embedding"].numpy()
            yield unit(embedded[: len(batch)], [clip_names(example).clip_id for example in batch])


def read_examples(pattern: str) -> Iterator[bytes]:
    """Yields the serialized Examples of all TFRecord files that match, by file name."""
    files = sorted(tf.io.gfile.glob(pattern))
    options = tf.data.Options()
    options.autotune.enabled = False  # there is nothing to tune; its end may take half a second
    return tf.data.TFRecordDataset(files).with_options(options).as_numpy_iterator()


def model_id(model_dir: str) -> str:
    """Returns what names the SavedModel in `model_dir` by its content: 16 hex digits."""
    return directory_digest(model_dir)[:16]


def directory_digest(folder: str) -> str:
    """Returns a sha256 hex digest of all files below `folder`, names and contents.

    Raises:
      FileNotFoundError: there are none.
    """
    digest = hashlib.sha256()
    nothing = digest.digest()
    for parent, folders, files in tf.io.gfile.walk(folder):
        folders.sort(key=lambda name: name.rstrip("/"))  # in a bucket they end in "/"
        for name in sorted(files):
            path = os.path.join(parent, name)
            digest.update(os.path.relpath(path, folder).encode() + b"\0")
            with tf.io.gfile.GFile(path, "rb") as file:
                digest.update(file.read())
    if digest.digest() == nothing:
        raise FileNotFoundError(f"folder: expected files; there are none in {folder}")
    return digest.hexdigest()


def batches(examples: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Yields the Examples in lists of `size`; the last may be shorter."""
    batch: list[bytes] = []
    for example in examples:
        batch.append(example)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def clip_names(example: bytes) -> ClipNames:
    """Reads the names in a serialized Example."""
    values = tf.train.Example.FromString(example).features.feature
    return ClipNames(
        *(
            values[key].bytes_list.value[0].decode()
            for key in (features.CLIP_ID, features.GROUP, features.CLASS_NAME)
        )
    )


def example_digest(example: bytes) -> str:
    """Returns what names an Example by its content: sha256, the first 32 hex digits."""
    return hashlib.sha256(example).hexdigest()[:32]


def unit(vectors: np.ndarray, clip_ids: Sequence[str]) -> np.ndarray:
    """Scales vectors [b, d] of clips to norm 1, float32; ValueError where there is none."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = ~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0)
    if bad.any():
        clip_id = clip_ids[bad.argmax()]
        raise ValueError(f"embedding: expected finite, not zero; not so for {clip_id}")
    return (vectors / norms).astype(np.float32)
