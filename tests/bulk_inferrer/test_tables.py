"""Embedding shards, written and read back."""

import numpy as np
import pandas as pd
import pytest

from components.bulk_inferrer import tables


def shard(*names, model_id="m"):
    vectors = np.random.default_rng(len(names)).normal(size=(len(names), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return tables.EmbeddingTable(
        names, ("Rise",) * len(names), names, ("train",) * len(names), vectors, model_id
    )


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


def test_other_readers_understand_a_shard(tmp_path):
    """pandas reads the columns of the contract."""
    table = shard("a", "b")
    tables.write_embeddings(str(tmp_path / "0.parquet"), table)
    frame = pd.read_parquet(tmp_path / "0.parquet")
    columns = ["clip_id", "class_name", "group", "split", "embedding", "model_id"]
    assert list(frame.columns) == columns
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
