"""Vectors that need not be computed: a published version has them, of the same clips and model."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from components import embedder, filesystems

#: float32 [d], by clip id and digest of the clip's Example.
KnownVectors = Mapping[tuple[str, str], np.ndarray]


class Embedded(NamedTuple):
    """Clips and their vectors, in the order of the Examples.

    Attributes:
      names: [n].
      digests: [n], of the Examples, as of `embedder.example_digest`.
      vectors: float32 [n, d], of unit norm.
      num_known: how many of them were known.
    """

    names: list[embedder.ClipNames]
    digests: list[str]
    vectors: np.ndarray
    num_known: int


def engine_of(path: str, model_id: str) -> str | None:
    """Returns the engine of published vectors of a model; None where they cannot be taken over.

    Args:
      path: of published embeddings; older ones do not say what they were made from.
      model_id: of the model that embeds now; vectors of any other are of no use.
    """
    with filesystems.open_input(path) as source, pq.ParquetFile(source) as file:
        if "example_digest" not in file.schema_arrow.names:
            return None
        table = file.read(["model_id"])
    if set(table["model_id"].unique().to_pylist()) != {model_id}:
        return None
    return (table.schema.metadata or {}).get(b"engine", b"").decode()


def read(path: str) -> dict[tuple[str, str], np.ndarray]:
    """Reads published vectors, as `KnownVectors`."""
    with filesystems.open_input(path) as source:
        table = pq.read_table(source, columns=["clip_id", "example_digest", "embedding"])
    flat = table["embedding"].combine_chunks().flatten().to_numpy()
    keys = zip(table["clip_id"].to_pylist(), table["example_digest"].to_pylist(), strict=True)
    return dict(zip(keys, flat.reshape(table.num_rows, -1), strict=True))


def embed(
    examples: Iterable[bytes], known: KnownVectors, load: Callable[[], embedder.Embedder]
) -> Embedded:
    """Embeds serialized Examples, of which those that are not known go through the model.

    Args:
      examples: of clips; one batch of them is held at a time.
      known: vectors of the same model.
      load: gives the model; it is not called where all vectors are known.

    Raises:
      ValueError: no Examples, or a vector that is zero or not finite.
    """
    names: list[embedder.ClipNames] = []
    digests: list[str] = []
    found: list[np.ndarray | None] = []

    def unknown() -> Iterator[bytes]:
        for example in examples:
            names.append(embedder.clip_names(example))
            digests.append(embedder.example_digest(example))
            found.append(known.get((names[-1].clip_id, digests[-1])))
            if found[-1] is None:
                yield example

    rest = unknown()
    computed: list[np.ndarray] = []
    for first in rest:
        blocks = load().vectors(itertools.chain([first], rest))
        computed += [row for block in blocks for row in block]
    if not names:
        raise ValueError("examples: expected at least one; got none")
    fresh = iter(computed)
    rows = [next(fresh) if row is None else row for row in found]
    return Embedded(names, digests, np.stack(rows), len(found) - len(computed))
