"""Embeddings and neighbors as Parquet; the columns are those of `components.artifacts`."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import filesystems
from components.bulk_inferrer.neighbors import Neighbors


class EmbeddingTable(NamedTuple):
    """Clips and their vectors.

    Attributes:
      clip_ids, class_names, groups, splits: [n].
      vectors: float32 [n, d], of unit norm.
      model_id: of the model that made them all.
      example_digests: [n], of the Examples they were made from, as of `embedder.example_digest`.
      engine: that computed them.
    """

    clip_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    vectors: np.ndarray
    model_id: str
    example_digests: tuple[str, ...]
    engine: str


def write_embeddings(path: str, table: EmbeddingTable) -> None:
    """Writes one shard; it appears under `path` when it is complete.

    Raises:
      ValueError: columns of different lengths, or vectors that are not of unit norm.
    """
    count, dim = table.vectors.shape
    for name in ("clip_ids", "class_names", "groups", "splits", "example_digests"):
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
        "example_digest": pa.array(table.example_digests, pa.string()),
    }
    _write(path, pa.table(columns).replace_schema_metadata({"engine": table.engine}))


def read_embeddings(folder: str) -> EmbeddingTable:
    """Reads all shards in `folder`, sorted by clip_id.

    Raises:
      ValueError: there is none, a clip is there twice, more than one model made them, or the
        vectors are not of one length and unit norm.
    """
    paths = filesystems.list_files(folder, ".parquet")
    if not paths:
        raise ValueError(f"folder: expected Parquet shards of embeddings; none in {folder}")
    shards = []
    for path in paths:
        with filesystems.open_input(path) as file:
            shards.append(pq.read_table(file))
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
        tuple(table["example_digest"].to_pylist()),
        _engine(table),
    )


def _engine(table: pa.Table) -> str:
    return (table.schema.metadata or {}).get(b"engine", b"").decode()


def write_neighbors(
    path: str, found: Neighbors, ids: Sequence[str], facts: Mapping[str, str]
) -> None:
    """Writes a shard of the neighbor table; it appears under `path` when it is complete.

    Args:
      path: of the Parquet file.
      found: rows of `ids`, and their scores.
      ids: [n], clip ids.
      facts: about the table, for the schema's metadata.

    Raises:
      ValueError: a clip is its own neighbor or has one twice, or scores rise with the rank.
    """
    _check_neighbors(found, ids)
    names = np.array(ids, dtype=object)
    columns = {
        "query_id": pa.array(names[found.queries], pa.string()),
        "rank": pa.array(found.ranks, pa.int32()),
        "neighbor_id": pa.array(names[found.neighbors], pa.string()),
        "score": pa.array(found.scores, pa.float32()),
    }
    _write(path, pa.table(columns).replace_schema_metadata(dict(facts)))


def _check_unit_norm(vectors: np.ndarray, clip_ids: Sequence[str]) -> None:
    norms = np.linalg.norm(vectors, axis=1)
    bad = ~np.isclose(norms, 1, atol=1e-4)
    if bad.any():
        row = bad.argmax()
        raise ValueError(f"embedding: expected unit norm; got {norms[row]} for {clip_ids[row]}")


def _check_neighbors(found: Neighbors, ids: Sequence[str]) -> None:
    pairs = found.queries * len(ids) + found.neighbors
    _, first = np.unique(pairs, return_index=True)
    twice = np.ones(len(pairs), bool)
    twice[first] = False
    same = np.diff(found.queries, prepend=-1) == 0
    broken = {
        "itself": found.queries == found.neighbors,
        "a neighbor twice": twice,
        "scores that rise with rank": same & ~(np.diff(found.scores, prepend=0) <= 0),
    }
    for what, rows in broken.items():
        if rows.any():
            raise ValueError(f"neighbors: got {what} for {ids[found.queries[rows.argmax()]]}")


def _write(path: str, table: pa.Table) -> None:
    with filesystems.open_output(path) as file:
        pq.write_table(table, file)
