"""A network's weights as named arrays: for checkpoints, and beside the exported model."""

import io
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


def to_arrays(network: keras.Model) -> dict[str, np.ndarray]:
    """Returns all weights, running statistics included, by their paths in the network."""
    return {variable.path: to_array(variable) for variable in network.variables}


def to_array(variable: keras.Variable) -> np.ndarray:
    """Returns a copy of the value, which later steps do not change."""
    return np.array(keras.ops.convert_to_numpy(variable))


def assign(network: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Sets all weights.

    Raises:
      ValueError: a weight is missing, unknown, or of another shape; none is set then.
    """
    variables = {variable.path: variable for variable in network.variables}
    if differing := sorted(
        path
        for path in variables.keys() | arrays.keys()
        if path not in variables
        or path not in arrays
        or tuple(variables[path].shape) != arrays[path].shape
    ):
        raise ValueError(
            f"arrays: expected the network's {len(variables)} weights; {len(differing)} differ, "
            f"{differing[0]} among them"
        )
    for path, variable in variables.items():
        variable.assign(arrays[path])


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns the arrays as a NumPy .npz file."""
    file = io.BytesIO()
    named: dict[str, Any] = dict(arrays)  # Any: by its types, a name could be savez's own option
    np.savez(file, **named)
    return file.getvalue()


def unpack(content: bytes) -> dict[str, np.ndarray]:
    """Reads what `pack` returns; ValueError, BadZipFile or EOFError where it is none."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
