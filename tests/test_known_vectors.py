"""Vectors of a published version, and those that are not known computed beside them."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from components import embedder, known_vectors
from components.bulk_inferrer import tables
from tests.tiny_examples import make_example

EXAMPLES = [make_example(index, "Rise") for index in range(5)]


class Counting:
    """Embeds the nth Example that it is given as the nth unit vector."""

    def __init__(self):
        self.seen = []

    def vectors(self, examples):
        for batch in embedder.batches(examples, 2):
            start = len(self.seen)
            self.seen += batch
            yield np.eye(8, dtype=np.float32)[start : len(self.seen)]


def key(index):
    return f"clip{index}", embedder.example_digest(EXAMPLES[index])


def test_known_vectors_are_those_of_the_same_model(tmp_path):
    """A vector is known by its clip and Example, with its engine; another model's is not."""
    names, vectors = ("a", "b", "c"), np.eye(3, dtype=np.float32)
    digests = tuple(f"digest of {name}" for name in names)
    columns = (names, ("Rise",) * 3, names, ("train",) * 3, vectors)
    path = str(tmp_path / "0.parquet")
    tables.write_embeddings(path, tables.EmbeddingTable(*columns, "m", digests, "openvino"))
    assert known_vectors.engine_of(path, "m") == "openvino"
    known = known_vectors.read(path)
    assert known.keys() == set(zip(names, digests, strict=True))
    np.testing.assert_array_equal(known["b", "digest of b"], vectors[1])
    assert known_vectors.engine_of(path, "other") is None
    older = pq.read_table(path).drop(["example_digest"])
    pq.write_table(older, path)
    assert known_vectors.engine_of(path, "m") is None


@pytest.mark.parametrize("known", [(), (0,), (1, 3), (4,), (0, 1, 2, 3)])
def test_only_what_is_not_known_is_computed(known):
    """All clips come in their order, whichever are known."""
    model = Counting()
    given = {key(index): np.full(8, index, np.float32) for index in known}
    found = known_vectors.embed(iter(EXAMPLES), given, lambda: model)
    rest = [index for index in range(5) if index not in known]
    assert model.seen == [EXAMPLES[index] for index in rest]
    assert found.num_known == len(known)
    assert [name.clip_id for name in found.names] == [f"clip{index}" for index in range(5)]
    assert found.digests == [key(index)[1] for index in range(5)]
    for index in range(5):
        computed = None if index in known else np.eye(8)[rest.index(index)]
        expected = given.get(key(index), computed)
        np.testing.assert_array_equal(found.vectors[index], expected)


def test_a_clip_that_changed_is_not_known():
    """Another Example under the same name is embedded anew, and so is its double."""
    model = Counting()
    given = {("clip0", "another digest"): np.ones(8, np.float32)}
    given |= {("clip9", key(1)[1]): np.ones(8, np.float32)}
    found = known_vectors.embed(EXAMPLES[:2], given, lambda: model)
    assert found.num_known == 0 and len(model.seen) == 2


def test_without_new_clips_no_model_is_loaded():
    """Where all is known, `load` is not called; without clips there is an error."""

    def load():
        raise AssertionError

    given = {key(index): np.full(8, index, np.float32) for index in range(5)}
    assert known_vectors.embed(EXAMPLES, given, load).num_known == 5
    with pytest.raises(ValueError, match="examples: expected at least one; got none"):
        known_vectors.embed([], given, load)
