"""Publishing: what a version holds, what is not published, what is kept."""

import hashlib
import json
import shutil
import threading

import filelock
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import published
from components.published import local_store
from tests.published_library import make_inputs, publish_next


def test_layout_and_manifest(tmp_path):
    """The version holds what the contract says, and the manifest names every file as it is."""
    inputs = make_inputs(tmp_path / "in")
    assert publish_next(tmp_path / "out", **inputs) == 1
    version = tmp_path / "out" / "1"
    assert (tmp_path / "out" / "CURRENT").read_text() == "1\n"
    names = {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()}
    manifest = json.loads((version / "manifest.json").read_text())
    assert names == {*manifest["files"], "manifest.json"}
    assert {"model/saved_model.pb", "embeddings.parquet", "clips.parquet"} <= names
    for name, facts in manifest["files"].items():
        content = (version / name).read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert manifest["version"] == 1 and manifest["parent"] is None
    assert manifest["model_id"] == "model0" and manifest["run_fingerprint"] == "run0"
    embedded = pq.read_table(version / "embeddings.parquet")["clip_id"].to_pylist()
    assert embedded == sorted(embedded) and len(embedded) == 12
    assert not list((tmp_path / "out").glob(".staging-*"))


def test_statistics_are_published_as_they_are(tmp_path):
    """Statistics are a file of the version, named in the manifest."""
    out = tmp_path / "out"
    publish_next(out, **make_inputs(tmp_path / "in", seed=4))
    assert (out / "1" / "statistics.pb").read_bytes() == b"statistics of 4"
    version = published.open_published(out)
    version.verify()
    (out / "1" / "statistics.pb").write_bytes(b"statistics of 5")
    with pytest.raises(published.PublishedError, match=r"statistics.pb: expected"):
        version.verify()


def test_versions_rise_and_stay(tmp_path):
    """A second version is live, knows its parent, and leaves the first untouched."""
    out = str(tmp_path / "out")
    publish_next(out, **make_inputs(tmp_path / "a", seed=1))
    before = (tmp_path / "out" / "1" / "manifest.json").read_bytes()
    assert publish_next(out, **make_inputs(tmp_path / "b", seed=2)) == 2
    assert published.list_versions(out) == [1, 2]
    live = published.open_published(out)
    assert (live.version, live.manifest.parent, live.manifest.model_id) == (2, 1, "model2")
    assert (tmp_path / "out" / "1" / "manifest.json").read_bytes() == before
    for version in (1, 2):
        published.open_published(out, version).verify()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_id": "other"}, "model_id: expected other in embeddings and neighbors; got 'mod"),
        ({"embeddings_dir": "empty"}, "embeddings_dir: expected Parquet shards; none in"),
        ({"neighbors_dir": "empty"}, "neighbors_dir: expected Parquet shards; none in"),
        ({"clips_path": "twice"}, "clips: expected each clip once; got v_Fall_g01_c01 again"),
        ({"neighbors_dir": "more/neighbors"}, r"the same clips .*; 2 differ, v_\w+ among them"),
        ({"neighbors_dir": "half"}, r"the same clips .*; 6 differ, v_\w+ among them"),
        ({"neighbors_dir": "wrong"}, r"expected cosines .*; 1 of 36 rows are not, .*'score': 0.99"),
        ({"neighbors_dir": "rising"}, r"expected cosines .*, falling by rank; 12 of 36 rows"),
        ({"neighbors_dir": "itself"}, r"expected cosines .*; 1 of 36 rows are not"),
    ],
)
def test_parts_that_do_not_belong_together_are_not_published(change, message, tmp_path):
    """Nothing appears where a part is missing, of another model, or not true of the vectors."""
    inputs = make_inputs(tmp_path / "in")
    make_inputs(tmp_path / "more", count=14)
    (tmp_path / "empty").mkdir()
    clips = pq.read_table(inputs["parts"].clips_path)
    pq.write_table(clips.take([0, *range(clips.num_rows)]), tmp_path / "twice")
    _write_bad_neighbors(tmp_path, pq.read_table(tmp_path / "in" / "neighbors" / "0.parquet"))
    paths = {name: str(tmp_path / value) for name, value in change.items() if name != "model_id"}
    facts = inputs["facts"]._replace(**{k: v for k, v in change.items() if k == "model_id"})
    with pytest.raises(published.PublishedError, match=message):
        publish_next(tmp_path / "out", inputs["parts"]._replace(**paths), facts)
    assert published.list_versions(tmp_path / "out") == []
    assert published.current_version(tmp_path / "out") is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def _write_bad_neighbors(folder, table):
    """Writes tables that lack queries, or hold a score, an order or a neighbor that cannot be."""
    score, ranks = table["score"].to_pylist(), table["rank"].to_pylist()
    query, neighbor = table["query_id"].to_pylist(), table["neighbor_id"].to_pylist()
    tables = {
        "half": table.slice(0, 18),
        "wrong": table.set_column(3, "score", pa.array([0.99, *score[1:]], pa.float32())),
        "rising": table.set_column(1, "rank", pa.array([(2, 1, 3)[r - 1] for r in ranks])),
        "itself": table.set_column(2, "neighbor_id", pa.array([query[0], *neighbor[1:]])),
    }
    for name, bad in tables.items():
        (folder / name).mkdir()
        pq.write_table(
            bad.replace_schema_metadata(table.schema.metadata), folder / name / "0.parquet"
        )


def test_numbers_are_not_used_again(tmp_path):
    """Where the live version was deleted, the next one has a number of its own."""
    inputs = make_inputs(tmp_path / "in")
    out = tmp_path / "out"
    for _ in range(2):
        publish_next(out, **inputs)
    shutil.rmtree(out / "2")
    assert publish_next(out, **inputs) == 3
    assert published.open_published(out).manifest.parent == 2


def test_of_two_writers_one_wins(tmp_path):
    """Two at once, held against the same version: one is published, the other says so."""
    out = tmp_path / "out"
    publish_next(out, **make_inputs(tmp_path / "first"))
    inputs = [make_inputs(tmp_path / str(seed), seed=seed) for seed in range(1, 5)]
    outcomes = []

    def write(each):
        try:
            outcomes.append(publish_next(out, live_version=1, **each))
        except published.ConflictError as error:
            outcomes.append(str(error))

    writers = [threading.Thread(target=write, args=(each,)) for each in inputs]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (won,) = [outcome for outcome in outcomes if outcome == 2]
    lost = [outcome for outcome in outcomes if outcome != won]
    assert len(lost) == 3
    for message in lost:
        assert "expected version 1 to be live; got version 2: another run has publish" in message
    assert published.list_versions(out) == [1, 2]
    published.open_published(out).verify()


def test_writer_that_does_not_get_its_turn_says_so(tmp_path, monkeypatch):
    """A lock that is held too long ends in an error that names the folder."""
    monkeypatch.setattr(local_store, "_LOCK_TIMEOUT", 0.1)
    inputs = make_inputs(tmp_path / "in")
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(published.PublishedError, match="another run is publishing in"),
    ):
        publish_next(tmp_path, **inputs)


def test_old_versions_go_but_those_that_are_read(tmp_path):
    """The newest stay, the live one and the one before; one that is read goes once it is closed."""
    out = tmp_path / "out"
    inputs = make_inputs(tmp_path / "in")
    for _ in range(5):
        publish_next(out, **inputs)
    with published.open_published(out, 2) as read:
        assert publish_next(out, keep_versions=1, **inputs) == 6
        assert published.list_versions(out) == [2, 4, 5, 6]
        read.verify()
    published.rollback(out, 2)
    publish_next(out, keep_versions=1, **inputs)
    assert published.list_versions(out) == [2, 6, 7]
    publish_next(out, keep_versions=1, **inputs)
    assert published.list_versions(out) == [6, 7, 8]
    with pytest.raises(published.UnknownVersionError, match="there is no version 2 in"):
        published.open_published(out, 2)


@pytest.mark.parametrize("callback", ["add_pages", "ask"])
def test_version_that_does_not_answer_is_not_published(callback, tmp_path):
    """What the staged version is asked before it goes live may stop it; nothing is left."""
    out = tmp_path / "out"

    def refuse(staged, *folder):
        assert staged.recommend("v_Rise_g02_c01")
        raise ValueError("not good enough")

    with pytest.raises(ValueError, match="not good enough"):
        publish_next(out, **make_inputs(tmp_path / "in"), **{callback: refuse})
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_pages_are_part_of_the_version(tmp_path):
    """What is added is in the manifest, with its hash."""
    out = tmp_path / "out"

    def add(staged, folder):
        (folder / "gallery").mkdir()
        (folder / "gallery" / "index.html").write_text(f"version {staged.version}")

    publish_next(out, **make_inputs(tmp_path / "in"), add_pages=add)
    assert "gallery/index.html" in published.open_published(out).manifest.files
    assert (out / "1" / "gallery" / "index.html").read_text() == "version 1"


def test_a_writer_that_is_tried_again_says_what_it_published(tmp_path):
    """A task that was killed after the switch finds its own version live, not a rival's."""
    out, inputs = tmp_path / "out", make_inputs(tmp_path / "in")
    for live_version in (None, 1):
        first = publish_next(out, live_version=live_version, **inputs)
        assert publish_next(out, live_version=live_version, **inputs) == first
        assert published.list_versions(out)[-1] == published.current_version(out) == first
    other = make_inputs(tmp_path / "other", seed=1)
    with pytest.raises(published.ConflictError, match="expected version 1 to be live; got"):
        publish_next(out, live_version=1, **other)
