"""What may embed instead of TensorFlow, once it is shown to find the same neighbors."""

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from components import embedder, progress
from components.bulk_inferrer.settings import AUTO, OPENVINO, TENSORFLOW

#: Clips on which an engine is held against TensorFlow.
CHECKED_CLIPS = 100
#: Share of TensorFlow's neighbors that another engine must find.
MIN_OVERLAP = 0.99

_K = 10
#: Scores of float32 vectors that differ by less are ties.
_TIE = 1e-6


def load(engine: str, model_dir: str) -> embedder.Embedder:
    """Loads a SavedModel; ValueError where it lacks the signatures that the engine needs."""
    if engine == TENSORFLOW:
        return embedder.Embedder(model_dir)
    from components.bulk_inferrer import openvino_engine  # here: the package is optional

    return openvino_engine.OpenVinoEmbedder(model_dir)


def choose(
    wanted: str, model_dir: str, known: str | None, sample: Callable[[], Sequence[bytes]]
) -> str:
    """Returns the engine that is to embed a library, TENSORFLOW or OPENVINO.

    Args:
      wanted: of ENGINES. AUTO takes OpenVINO where it is installed, no GPU is there for
        TensorFlow, and it passes the check, if the library has more clips than the check embeds.
      model_dir: the SavedModel.
      known: the engine of the published vectors of this same model, if there are any: it passed
        the check then, and what it computed need not be computed again.
      sample: gives serialized Examples of the library to check on, CHECKED_CLIPS or all there are.

    Raises:
      ValueError: OpenVINO is asked for by name, and is not installed, cannot run this model, or
        finds other neighbors.
    """
    installed = importlib.util.find_spec("openvino") is not None
    if wanted == TENSORFLOW or (wanted == AUTO and (known == TENSORFLOW or not installed)):
        return TENSORFLOW
    if not installed:
        raise ValueError("embed_engine: expected the package openvino for it; it is not installed")
    if known == OPENVINO:
        return OPENVINO
    if wanted == AUTO and tf.config.list_physical_devices("GPU"):
        return TENSORFLOW
    examples = sample()
    if wanted == AUTO and len(examples) < CHECKED_CLIPS:
        return TENSORFLOW
    try:
        found = check(OPENVINO, model_dir, examples)
    except ValueError as error:
        if wanted == OPENVINO:
            raise
        progress.note(f"TensorFlow embeds: {error}")
        return TENSORFLOW
    progress.note(f"OpenVINO embeds: it finds {found:.4f} of TensorFlow's neighbors")
    return OPENVINO


def check(engine: str, model_dir: str, examples: Sequence[bytes]) -> float:
    """Embeds Examples with TensorFlow and with another engine; returns the overlap@10.

    Raises:
      ValueError: it is below MIN_OVERLAP, or the engine cannot run the model.
    """
    other = load(engine, model_dir).embed(examples).vectors
    found = overlap(load(TENSORFLOW, model_dir).embed(examples).vectors, other, _K)
    if found < MIN_OVERLAP:
        raise ValueError(
            f"embed_engine: expected {engine} to find {MIN_OVERLAP} of TensorFlow's {_K} nearest "
            f"neighbors of {len(examples)} clips; it finds {found:.4f}"
        )
    return found


def overlap(reference: np.ndarray, other: np.ndarray, k: int) -> float:
    """Returns the share of each vector's k nearest that are so by other vectors of the same clips.

    Args:
      reference, other: float32 [n, d], of unit norm, of the same clips.
      k: neighbors; n - 1 at most count.

    Returns:
      0 to 1; 1 where there are no neighbors. A tie is a neighbor as good as another.
    """
    k = min(k, len(reference) - 1)
    if k == 0:
        return 1.0
    scores, others = reference @ reference.T, other @ other.T
    for each in (scores, others):
        np.fill_diagonal(each, -np.inf)
    least = np.partition(scores, -k, axis=1)[:, -k]
    nearest = np.argpartition(others, -k, axis=1)[:, -k:]
    return float(np.mean(np.take_along_axis(scores, nearest, axis=1) >= least[:, None] - _TIE))
