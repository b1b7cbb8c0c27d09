"""Begins a training from the weights of a published model."""

import json
import os
import zipfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components import features, published
from components.trainer import weights

#: Below a SavedModel's folder; assets.extra is the place for files that TensorFlow ignores.
WEIGHTS_FILE = "assets.extra/network.npz"
_VOCABULARY_FILE = f"assets/{features.CLASS_NAME}"
_HEAD = "classifier/"


def manifest(base_model: str | None) -> dict[str, Any] | None:
    """Returns the manifest of a published model; Champion puts it beside the model's folder."""
    try:
        folder = os.path.dirname(base_model or "")
        return json.loads(_read(folder, published.MANIFEST_FILE))
    except tf.errors.NotFoundError:
        return None


def begin(network: keras.Model, base_model: str | None, class_names: list[str]) -> str:
    """Gives a network the weights of a published model, where there is one that fits.

    The head, the last layer, is taken over if the classes are the same, in the same order; if not
    it stays as it is, and only the body is taken over.

    Args:
      network: of `model.build_network`.
      base_model: folder of the published SavedModel; None or absent for none.
      class_names: the classes of the network's outputs.

    Returns:
      What the training begins with, in words.
    """
    if not base_model:
        return "fresh weights"
    champion = manifest(base_model)
    if champion is None:
        return "fresh weights: nothing is published yet"
    name = f"version {champion['version']}"
    try:
        arrays = weights.unpack(_read(base_model, WEIGHTS_FILE))
        same_classes = _read(base_model, _VOCABULARY_FILE).decode().split("\n")[:-1] == class_names
        if not same_classes:
            fresh = weights.to_arrays(network)
            arrays = _without_head(arrays) | {k: v for k, v in fresh.items() if k.startswith(_HEAD)}
        weights.assign(network, arrays)
    except (tf.errors.NotFoundError, ValueError, zipfile.BadZipFile) as error:
        return f"fresh weights: {name} is of another network ({str(error).splitlines()[0]})"
    head = "" if same_classes else ", with a new head for other classes"
    return f"the weights of {name}{head}"


def _read(folder: str, name: str) -> bytes:
    with tf.io.gfile.GFile(os.path.join(folder, name), "rb") as file:
        return file.read()


def _without_head(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {path: array for path, array in arrays.items() if not path.startswith(_HEAD)}
