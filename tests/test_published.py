"""Reading the published directory."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from published_library import make_inputs

from components import published
from components.pusher import publish


@pytest.fixture
def push_dir(tmp_path):
    publish.publish(str(tmp_path / "out"), **make_inputs(tmp_path / "in"))
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
    """An empty or missing folder is said to be one."""
    assert published.current_version(tmp_path / "missing") is None
    assert published.list_versions(tmp_path) == []
    with pytest.raises(published.PublishedError, match="expected published versions; none in"):
        published.open_published(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("CURRENT", "7\n", "there is no version 7"),
        ("CURRENT", "../1\n", "expected a version's number; got '../1'"),
        ("1/manifest.json", "{", "expected JSON"),
        ("1/manifest.json", "[]", "expected format 1; got None"),
        ("1/manifest.json", '{"format": 2}', "expected format 1; got 2"),
        ("1/manifest.json", '{"format": 1}', "expected version, parent"),
    ],
)
def test_broken_directories_are_told(name, content, message, push_dir):
    """Each way of being broken has a message of its own."""
    (push_dir / name).write_text(content)
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
