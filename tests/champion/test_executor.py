"""The whole node: a published version becomes an artifact."""

from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components import published
from components.champion import executor
from tests.published_library import make_inputs, publish_next

#: A version of a time when statistics were not published.
GOLDEN = Path(__file__).parents[1] / "testdata" / "published_v1"


def champion_of(push_dir, live_version, folder):
    """Runs the node; returns the files of its artifact, by their paths in it."""
    champion = standard_artifacts.Model()
    champion.uri = str(folder)
    folder.mkdir()
    executor.Executor().Do(
        {}, {"champion": [champion]}, {"push_dir": str(push_dir), "live_version": live_version}
    )
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def published_files(push_dir, version):
    """Returns what a champion has of a version: model, and what lies beside it."""
    folder = push_dir / version
    model = {
        f"Format-Serving/{path.relative_to(folder / 'model').as_posix()}": path.read_bytes()
        for path in (folder / "model").rglob("*")
        if path.is_file()
    }
    beside = ("manifest.json", "embeddings.parquet")
    return model | {name: (folder / name).read_bytes() for name in beside}


def test_statistics_travel_with_the_champion(tmp_path):
    """Model, manifest, embeddings and statistics of the version asked for, byte for byte."""
    for number in (1, 2):
        publish_next(tmp_path / "out", **make_inputs(tmp_path / str(number), seed=number))
    for number in (1, 2):
        found = champion_of(tmp_path / "out", str(number), tmp_path / f"champion{number}")
        expected = published_files(tmp_path / "out", str(number))
        assert found == expected | {"statistics.pb": b"statistics of %d" % number}


def test_version_without_statistics(tmp_path):
    """A version that is older than statistics is a champion as before."""
    found = champion_of(GOLDEN, "1", tmp_path / "champion")
    assert found == published_files(GOLDEN, "1")
    assert "statistics.pb" not in found


def test_nothing_published_is_an_empty_artifact(tmp_path):
    """Before the first version there is no file."""
    assert champion_of(tmp_path / "out", "", tmp_path / "champion") == {}


def test_version_that_is_gone_is_an_error(tmp_path):
    """A live version that was deleted meanwhile is named."""
    with pytest.raises(published.PublishedError, match="there is no version 4 in"):
        champion_of(tmp_path / "out", "4", tmp_path / "champion")


def test_statistics_that_the_manifest_names_must_be_there(tmp_path):
    """A version that lost its statistics is no champion without them."""
    publish_next(tmp_path / "out", **make_inputs(tmp_path / "in"))
    (tmp_path / "out" / "1" / "statistics.pb").unlink()
    with pytest.raises(published.PublishedError, match=r"statistics.pb: .*missing"):
        champion_of(tmp_path / "out", "1", tmp_path / "champion")
