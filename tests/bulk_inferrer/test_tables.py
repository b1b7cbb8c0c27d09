"""Embedding shards, written and read back."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import filesystems, known_vectors
from components.bulk_inferrer import index, neighbors, tables
from tests.s3_server import BUCKET, S3Server


def shard(*names, model_id="m"):
    vectors = np.random.default_rng(len(names)).normal(size=(len(names), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(names)
    digests = tuple(f"digest of {name}" for name in names)
    columns = (names, ("Rise",) * count, names, ("train",) * count, vectors)
    return tables.EmbeddingTable(*columns, model_id, digests, "tensorflow")


def test_shards_come_back_as_one_sorted_table(tmp_path):
    """All clips of all shards, by clip_id, with their own vectors."""
    first, second = shard("d", "b", "e"), shard("a", "c")
    tables.write_embeddings(str(tmp_path / "0.parquet"), first)
    tables.write_embeddings(str(tmp_path / "1.parquet"), second)
    table = tables.read_embeddings(str(tmp_path))
    assert table.clip_ids == ("a", "b", "c", "d", "e")
    assert table.groups == table.clip_ids and table.model_id == "m"
    np.testing.assert_array_equal(table.vectors[1], first.vectors[1])
    np.testing.assert_array_equal(table.vectors[2], second.vectors[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.parquet", "1.parquet"]


def test_shards_in_a_bucket(monkeypatch):
    """Where Beam runs elsewhere, embeddings, index and neighbors lie in buckets."""
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        place = f"s3://{BUCKET}/embeddings/7"
        for number, each in enumerate((shard("d", "b"), shard("a", "c", "e"))):
            tables.write_embeddings(f"{place}/{number}.parquet", each)
        table = tables.read_embeddings(place)
        assert table.clip_ids == ("a", "b", "c", "d", "e")
        assert known_vectors.engine_of(f"{place}/0.parquet", "m") == "tensorflow"
        known = known_vectors.read(f"{place}/0.parquet")
        np.testing.assert_array_equal(known["b", "digest of b"], table.vectors[1])
        cells = neighbors.CellIndex(np.arange(5), np.arange(10).reshape(5, 2))
        index.write_index(cells, f"{place}/index.npz")
        read = index.read_index(f"{place}/index.npz")
        np.testing.assert_array_equal(read.nearest_cells, cells.nearest_cells)
        found = neighbors.Searcher(
            table.vectors, table.clip_ids, table.groups, neighbors.NeighborOptions(2)
        ).search(np.arange(5))
        tables.write_neighbors(f"{place}/n.parquet", found, table.clip_ids, {"k": "2"})
        with filesystems.open_input(f"{place}/n.parquet") as file:
            assert pq.read_table(file).num_rows == 10


def test_other_readers_understand_a_shard(tmp_path):
    """pandas reads the columns of the contract."""
    table = shard("a", "b")
    tables.write_embeddings(str(tmp_path / "0.parquet"), table)
    frame = pd.read_parquet(tmp_path / "0.parquet")
    columns = ["clip_id", "class_name", "group", "split", "embedding", "model_id"]
    assert list(frame.columns) == [*columns, "example_digest"]
    np.testing.assert_array_equal(np.stack(frame["embedding"]), table.vectors)


def test_broken_sets_of_shards_are_refused(tmp_path):
    """No shards, a clip in two, and two models are errors."""
    with pytest.raises(ValueError, match="expected Parquet shards"):
        tables.read_embeddings(str(tmp_path))
    tables.write_embeddings(str(tmp_path / "0.parquet"), shard("a", "b"))
    tables.write_embeddings(str(tmp_path / "1.parquet"), shard("b"))
    with pytest.raises(ValueError, match="got b again"):
        tables.read_embeddings(str(tmp_path))
    tables.write_embeddings(str(tmp_path / "1.parquet"), shard("c", model_id="other"))
    with pytest.raises(ValueError, match="expected one model"):
        tables.read_embeddings(str(tmp_path))


def test_bad_shards_are_not_written(tmp_path):
    """Vectors of another norm, and columns that do not fit, are refused before a file is there."""
    path = str(tmp_path / "0.parquet")
    table = shard("a", "b")
    with pytest.raises(ValueError, match=r"embedding: expected unit norm; got 2.\d* for a"):
        tables.write_embeddings(path, table._replace(vectors=2 * table.vectors))
    with pytest.raises(ValueError, match="splits: expected 2; got 1"):
        tables.write_embeddings(path, table._replace(splits=("train",)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ([[1.0, 0.0], [3.0, 4.0]], "embedding: expected unit norm; got 5.0 for b"),
        ([[1.0], [0.6, 0.8, 0.0]], r"embedding: expected vectors of one length; got \[1, 3\]"),
    ],
)
def test_bad_shards_of_others_are_refused(embeddings, message, tmp_path):
    """What another writer got wrong is seen when it is read."""
    strings = {name: ["a", "b"] for name in ("clip_id", "class_name", "group", "split")}
    lists = pa.array(embeddings, pa.list_(pa.float32()))
    table = pa.table({**strings, "embedding": lists, "model_id": ["m", "m"]})
    pq.write_table(table, tmp_path / "0.parquet")
    with pytest.raises(ValueError, match=message):
        tables.read_embeddings(str(tmp_path))


@pytest.mark.parametrize(
    ("queries", "others", "scores", "message"),
    [
        ([0, 0, 1], [1, 0, 2], [1, 0.5, 1], "got itself for a"),
        ([0, 1, 1], [1, 2, 2], [1, 1, 0.5], "got a neighbor twice for b"),
        ([0, 2, 2], [1, 0, 1], [1, 0.5, 1], "scores that rise .* for c"),
        ([0, 1, 1], [1, 0, 2], [1, np.nan, 1], "scores that rise .* for b"),
    ],
)
def test_bad_neighbors_are_not_written(queries, others, scores, message, tmp_path):
    """Rows that break the table's contract are refused by clip, before a file is there."""
    ranks = np.array([1, 1, 2], np.int32)
    found = neighbors.Neighbors(
        np.array(queries), np.array(others), ranks, np.array(scores, np.float32)
    )
    with pytest.raises(ValueError, match=message):
        tables.write_neighbors(str(tmp_path / "n.parquet"), found, ["a", "b", "c"], {})
    assert list(tmp_path.iterdir()) == []
