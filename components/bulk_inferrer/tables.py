"""Embeddings and neighbors as Parquet; the columns are those of `components.artifacts`."""

import itertools
import os
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.bulk_inferrer.neighbors import Neighbors


class EmbeddingTable(NamedTuple):
    """Clips and their vectors.

    Attributes:
      clip_ids, class_names, groups, splits: [n].
      vectors: float32 [n, d], of unit norm.
      model_id: of the model that made them all.
    """

    clip_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    vectors: np.ndarray
    model_id: str


def write_embeddings(path: str, table: EmbeddingTable) -> None:
    """Writes one shard; it appears under `path` when it is complete.

    Raises:
      ValueError: columns of different lengths, or vectors that are not of unit norm.
    """
    count, dim = table.vectors.shape
    for name in ("clip_ids", "class_names", "groups", "splits"):
        if len(getattr(table, name)) != count:
            raise ValueError(f"{name}: expected {count}; got {len(getattr(table, name))}")
    _check_unit_norm(table.vectors, table.clip_ids)
    flat = pa.array(table.vectors.astype(np.float32).ravel())
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * dim)
    columns = {
        "clip_id": pa.array(table.clip_ids, pa.string()),
        "class_name": pa.array(table.class_names, pa.string()),
        "group": pa.array(table.groups, pa.string()),
        "split": pa.array(table.splits, pa.string()),
        "embedding": pa.ListArray.from_arrays(offsets, flat),
        "model_id": pa.array([table.model_id] * count, pa.string()),
    }
    _write(path, pa.table(columns))


def read_embeddings(folder: str) -> EmbeddingTable:
    """Reads all shards in `folder`, sorted by clip_id.

    Raises:
      ValueError: there is none, a clip is there twice, more than one model made them, or the
        vectors are not of one length and unit norm.
    """
    names = sorted(name for name in os.listdir(folder) if name.endswith(".parquet"))
    if not names:
        raise ValueError(f"folder: expected Parquet shards of embeddings; none in {folder}")
    shards = [pq.read_table(os.path.join(folder, name)) for name in names]
    table = pa.concat_tables(shards).sort_by("clip_id").combine_chunks()
    clip_ids = tuple(table["clip_id"].to_pylist())
    twice = [a for a, b in itertools.pairwise(clip_ids) if a == b]
    if twice:
        raise ValueError(f"clip_id: expected each clip once; got {twice[0]} again")
    model_ids = set(table["model_id"].to_pylist())
    if len(model_ids) != 1:
        raise ValueError(f"model_id: expected one model; got {sorted(model_ids)}")
    lists = table["embedding"].combine_chunks()
    dims = set(lists.value_lengths().to_pylist())
    if len(dims) != 1:
        raise ValueError(f"embedding: expected vectors of one length; got {sorted(dims)}")
    vectors = lists.flatten().to_numpy().reshape(len(clip_ids), -1)
    _check_unit_norm(vectors, clip_ids)
    return EmbeddingTable(
        clip_ids,
        tuple(table["class_name"].to_pylist()),
        tuple(table["group"].to_pylist()),
        tuple(table["split"].to_pylist()),
        vectors,
        model_ids.pop(),
    )


def write_neighbors(path: str, neighbors: Neighbors, ids: Sequence[str], model_id: str) -> None:
    """Writes the neighbor table; it appears under `path` when it is complete.

    Args:
      path: of the Parquet file.
      neighbors: rows of `ids` and their scores.
      ids: [n], clip ids.
      model_id: of the model behind the scores.

    Raises:
      ValueError: a clip is its own neighbor or has one twice, or scores rise with the rank.
    """
    _check_neighbors(neighbors, ids)
    count, k = neighbors.indices.shape
    names = np.array(ids, dtype=object)
    columns = {
        "query_id": pa.array(np.repeat(names, k), pa.string()),
        "rank": pa.array(np.tile(np.arange(1, k + 1, dtype=np.int32), count)),
        "neighbor_id": pa.array(names[neighbors.indices.ravel()], pa.string()),
        "score": pa.array(neighbors.scores.ravel()),
    }
    facts = {"k": str(k), "metric": "cosine", "model_id": model_id, "index": "exact"}
    _write(path, pa.table(columns).replace_schema_metadata(facts))


def _check_unit_norm(vectors: np.ndarray, clip_ids: Sequence[str]) -> None:
    norms = np.linalg.norm(vectors, axis=1)
    bad = ~np.isclose(norms, 1, atol=1e-4)
    if bad.any():
        row = bad.argmax()
        raise ValueError(f"embedding: expected unit norm; got {norms[row]} for {clip_ids[row]}")


def _check_neighbors(neighbors: Neighbors, ids: Sequence[str]) -> None:
    indices, scores = neighbors
    if len(indices) != len(ids) or indices.shape != scores.shape:
        raise ValueError(
            f"neighbors: expected {len(ids)} rows; got shapes {indices.shape}, {scores.shape}"
        )
    broken = {
        "itself": (indices == np.arange(len(ids))[:, np.newaxis]).any(axis=1),
        "a neighbor twice": (np.diff(np.sort(indices, axis=1)) == 0).any(axis=1),
        "scores that rise with rank": ~(np.diff(scores) <= 0).all(axis=1),
    }
    for what, rows in broken.items():
        if rows.any():
            raise ValueError(f"neighbors: got {what} for {ids[rows.argmax()]}")


def _write(path: str, table: pa.Table) -> None:
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}-{uuid.uuid4().hex}")
    pq.write_table(table, partial)
    os.replace(partial, path)
