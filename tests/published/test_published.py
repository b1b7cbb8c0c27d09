"""Reading the published directory."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import published
from tests.published_library import make_inputs, publish_next

#: Format 1, written with plain pyarrow, hashlib and json; the cosines are worked out by hand.
GOLDEN = Path(__file__).parents[1] / "testdata" / "published_v1"


@pytest.fixture
def push_dir(tmp_path):
    publish_next(tmp_path / "out", **make_inputs(tmp_path / "in"))
    return tmp_path / "out"


def test_recommends_what_the_table_says(push_dir):
    """The rows of the neighbor table, in their order, with each neighbor's class."""
    live = published.open_published(push_dir)
    rows = pq.read_table(push_dir / "1" / "neighbors.parquet").to_pylist()
    for clip_id in live.clip_ids():
        own = [row for row in rows if row["query_id"] == clip_id]
        found = live.recommend(clip_id)
        assert [(r.rank, r.clip_id, r.score) for r in found] == [
            (row["rank"], row["neighbor_id"], row["score"]) for row in own
        ]
        assert all(r.class_name == r.clip_id.split("_")[1] for r in found)
        assert live.recommend(clip_id, 2) == found[:2]


def test_nearest_equals_the_table(push_dir):
    """A clip's own vector finds the clip itself, then its neighbors."""
    live = published.open_published(push_dir)
    embeddings = pq.read_table(push_dir / "1" / "embeddings.parquet").to_pylist()
    for row in embeddings:
        itself, *others = live.nearest(np.array(row["embedding"]) * 3, 4)
        assert itself.clip_id == row["clip_id"] and itself.score == pytest.approx(1)
        expected = live.recommend(row["clip_id"])
        assert [r.clip_id for r in others] == [r.clip_id for r in expected]
        np.testing.assert_allclose(
            [r.score for r in others], [r.score for r in expected], atol=1e-6
        )


def test_equal_vectors_tie_by_clip_id(push_dir):
    """Clips of one and the same vector have one score, wherever they lie, and come by id."""
    count, dim = 301, 100
    rng = np.random.default_rng(0)
    vector = rng.normal(size=dim)
    vector /= np.linalg.norm(vector)
    names = [f"clip{i:03d}" for i in rng.permutation(count)]
    embeddings = pa.ListArray.from_arrays(
        pa.array(np.arange(count + 1, dtype=np.int32) * dim),
        pa.array(np.tile(vector.astype(np.float32), count)),
    )
    columns = {"clip_id": names, "class_name": names, "group": names, "embedding": embeddings}
    table = pa.table(columns)
    pq.write_table(table, push_dir / "1" / "embeddings.parquet")
    live = published.open_published(push_dir)
    for query in rng.normal(size=(5, dim)):
        found = live.nearest(query, count)
        assert [r.clip_id for r in found] == sorted(names)
        assert len({r.score for r in found}) == 1


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.ones(9), r"vector: expected shape \(8,\); got \(9,\)"),
        (np.zeros(8), "vector: expected finite, not zero; got norm 0.0"),
        (np.full(8, np.nan), "vector: expected finite, not zero; got norm nan"),
    ],
)
def test_vectors_without_an_answer_are_refused(vector, message, push_dir):
    """Another length than the library's, and no direction, are errors."""
    with pytest.raises(ValueError, match=message):
        published.open_published(push_dir).nearest(vector, 3)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"k": 0}, "k: expected 1 or more; got 0"),
        ({"k": -1}, "k: expected 1 or more; got -1"),
        ({"k": 2.5}, "k: expected 1 or more; got 2.5"),
        ({"k": 3, "min_score": float("nan")}, "min_score: expected a number; got nan"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, message, push_dir):
    """With and without conditions, and for vectors, bad limits are errors that name them."""
    live = published.open_published(push_dir)
    for conditions in ({}, {"class_name": "Rise"}):
        with pytest.raises(ValueError, match=message):
            live.recommend("v_Rise_g01_c01", **limits, **conditions)
        with pytest.raises(ValueError, match=message):
            live.nearest(np.ones(8), **limits, **conditions)
    assert len(live.recommend("v_Rise_g01_c01", class_name="Fall")) == 3  # as the table


def test_embeddings_are_those_of_the_file(push_dir):
    """All clips, sorted by id, with their classes and vectors."""
    rows = pq.read_table(push_dir / "1" / "embeddings.parquet").to_pylist()
    rows.sort(key=lambda row: row["clip_id"])
    found = published.open_published(push_dir).embeddings()
    assert found.clip_ids == [row["clip_id"] for row in rows]
    assert found.class_names == [row["class_name"] for row in rows]
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, [row["embedding"] for row in rows])


def test_format_1_stays_readable():
    """A directory written long ago, by other code than today's, answers as it did."""
    live = published.open_published(GOLDEN)
    assert published.list_versions(GOLDEN) == [1]
    live.verify()
    assert live.manifest.config["image_size"] == 64 and live.manifest.parent is None
    assert published.STATISTICS_FILE not in live.manifest.files  # it is older than these
    assert live.manifest.metrics == {"accuracy": 0.75, "recall": {"1": 1.0}}
    found = live.recommend("v_Rise_g01_c01")
    assert [(r.rank, r.clip_id, r.class_name) for r in found] == [
        (1, "v_Rise_g02_c01", "Rise"),
        (2, "v_Fall_g02_c01", "Fall"),
    ]
    assert [r.score for r in found] == pytest.approx([0.8, 0.6])
    nearest = live.nearest(np.array([0.0, 2.0]), 4)
    assert [r.clip_id for r in nearest] == [
        "v_Rise_g01_c01",
        "v_Rise_g02_c01",
        "v_Fall_g02_c01",
        "v_Fall_g01_c01",
    ]
    assert [r.score for r in nearest] == pytest.approx([1, 0.8, 0.6, 0])


def test_unknown_clip_suggests_close_ones(push_dir):
    """The message names what was asked and what is there of a similar name."""
    live = published.open_published(push_dir)
    with pytest.raises(published.UnknownClipError, match=r"no 'v_Ries_g01_c01'; did you .*v_Rise"):
        live.recommend("v_Ries_g01_c01")
    with pytest.raises(published.UnknownClipError, match=r"has no 'zzz'$"):
        live.recommend("zzz")


def test_verify_sees_a_changed_and_a_missing_file(push_dir):
    """A byte that differs, and a file that is gone, are named."""
    live = published.open_published(push_dir)
    live.verify()
    model = push_dir / "1" / "model" / "saved_model.pb"
    content = bytearray(model.read_bytes())
    content[100] ^= 1
    model.write_bytes(content)
    with pytest.raises(published.PublishedError, match=r"saved_model.pb: expected .*sha256"):
        live.verify()
    model.unlink()
    with pytest.raises(published.PublishedError, match=r"saved_model.pb: .*missing"):
        live.verify()


def test_nothing_published(tmp_path):
    """An empty or missing folder is said to be one; a file is no folder."""
    assert published.current_version(tmp_path / "missing") is None
    assert published.list_versions(tmp_path) == []
    with pytest.raises(published.PublishedError, match="expected published versions; none in"):
        published.open_published(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(published.PublishedError, match="CURRENT: cannot be read: Not a directory"):
        published.open_published(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("CURRENT", "7\n", "there is no version 7"),
        ("CURRENT", "../1\n", "expected a version's number; got '../1'"),
        ("CURRENT", "\u00b2\n", "expected a version's number; got '\u00b2'"),
        ("CURRENT", "", "expected a version's number; got ''"),
        ("1/manifest.json", "{", "expected JSON"),
        ("1/manifest.json", "[]", "expected format 1; got None"),
        ("1/manifest.json", '{"format": 2}', "expected format 1; got 2"),
        ("1/manifest.json", '{"format": 1}', "expected version, parent"),
        pytest.param("1/manifest.json", "[" * 100_000, "expected JSON", id="deep"),
    ],
)
def test_broken_directories_are_told(name, content, message, push_dir):
    """Each way of being broken has a message of its own."""
    (push_dir / name).write_text(content)
    with pytest.raises(published.PublishedError, match=message):
        published.open_published(push_dir)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "expected version 1; got 3"),
        ({"files": ["model"]}, r"files: expected an object; got \['model'\]"),
        ({"config": None}, "config: expected an object; got None"),
        ({"parent": "1"}, "parent: expected a number or null; got '1'"),
        ({"created": None}, "created: expected a text; got None"),
        ({"files": {"a": None}}, "files: a: expected bytes and sha256; got None"),
        ({"files": {"a": {"bytes": "1", "sha256": ""}}}, "files: a: expected bytes and sha256"),
        ({"files": {"a": {"bytes": 1}}}, r"files: a: expected .* got {'bytes': 1}"),
    ],
)
def test_manifests_that_cannot_be_are_told(change, message, push_dir):
    """A manifest of another version, or with fields of another kind, is refused."""
    path = push_dir / "1" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(published.PublishedError, match=message):
        published.open_published(push_dir)


def test_broken_table_is_told(push_dir):
    """A table that is no Parquet is named."""
    (push_dir / "1" / "clips.parquet").write_bytes(b"no parquet")
    with pytest.raises(published.PublishedError, match=r"clips.parquet: cannot be read"):
        published.open_published(push_dir).clip_ids()


def test_later_manifests_may_say_more(push_dir):
    """A field that this reader does not know is passed over."""
    path = push_dir / "1" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"later": 1}))
    assert published.open_published(push_dir).version == 1
