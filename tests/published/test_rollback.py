"""Going back to an older version, and which ones are kept for it, in a folder and in a bucket."""

import contextlib
from pathlib import Path

import obstore
import pytest

from components import published
from tests.published_library import make_inputs, publish_next


def publish(place, tmp_path, count, **more):
    """Publishes versions with models of their own; returns the last one's number."""
    first = len(list(tmp_path.glob("in*")))
    for seed in range(first, first + count):
        number = publish_next(place, **make_inputs(tmp_path / f"in{seed}", seed=seed), **more)
    return number


def replace(place, name, content):
    """Writes a file of a published directory; None deletes it."""
    if isinstance(place, Path):
        (place / name).unlink(missing_ok=True)
        if content is not None:
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(content)
        return
    objects = published.open_store(place)._objects
    with contextlib.suppress(FileNotFoundError):
        obstore.delete(objects, name)
    if content is not None:
        obstore.put(objects, name, content)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("2/manifest.json", b'{"format": 1, "ver', "2/manifest.json: expected JSON"),
        ("2/manifest.json", None, "CURRENT: there is no version 2 in .*, which has 1$"),
        ("CURRENT", b"two\n", "CURRENT: expected a version's number; got 'two'"),
        ("CURRENT", b"", "CURRENT: expected a version's number; got ''"),
        ("CURRENT", b"9" * 5000, "CURRENT: expected a version's number; got '999"),
        ("CURRENT", b"9\n", "CURRENT: there is no version 9 in .*, which has 1, 2$"),
        ("CURRENT", None, "push_dir: expected a live version in .*, which has 1, 2$"),
    ],
)
def test_a_broken_live_version_can_be_left(name, content, reason, place, tmp_path):
    """By its number an older version goes live, whatever is wrong with the live one or CURRENT."""
    publish(place, tmp_path, 2)
    replace(place, name, content)
    with pytest.raises(published.PublishedError, match=reason):
        published.rollback(place)  # to the one before which?
    assert published.rollback(place, 1) == published.current_version(place) == 1
    published.open_published(place).verify()


def test_a_damaged_version_does_not_go_live(place, tmp_path):
    """Nor does a broken CURRENT make it, and it stays as it was."""
    publish(place, tmp_path, 2)
    replace(place, "1/clips.parquet", b"damaged")
    replace(place, "CURRENT", b"two\n")
    with pytest.raises(published.PublishedError, match=r"1/clips.parquet: expected"):
        published.rollback(place, 1)
    assert published.open_store(place).read_current() == b"two\n"


@pytest.mark.parametrize(
    ("content", "held"), [(b"3\n", "version 3"), (b"two\n", "'two'"), (None, "no version")]
)
def test_another_that_goes_live_meanwhile_stays(content, held, place, tmp_path, monkeypatch):
    """Whatever CURRENT held when a rollback began, it is replaced only if it still holds it."""
    publish(place, tmp_path, 3)
    replace(place, "CURRENT", content)
    verify = published.Published.verify

    def meanwhile(version):
        monkeypatch.setattr(published.Published, "verify", verify)
        published.rollback(place, 2)
        verify(version)

    monkeypatch.setattr(published.Published, "verify", meanwhile)
    message = f"CURRENT: expected {held} to be live; got version 2: another run has published"
    with pytest.raises(published.ConflictError, match=message):
        published.rollback(place, 1)
    assert published.current_version(place) == 2


def test_the_way_back_is_kept(place, tmp_path, no_grace):
    """The version before the live one stays, however old it is, beside the newest of the others."""
    publish(place, tmp_path, 4)
    published.rollback(place, 1)
    assert publish(place, tmp_path, 1, keep_versions=1) == 5
    assert published.list_versions(place) == [1, 4, 5]
    assert published.rollback(place) == published.current_version(place) == 1
    message = "version: expected one to go back to; 1 was the first to be live in .*has 1, 4, 5$"
    with pytest.raises(published.UnknownVersionError, match=message):
        published.rollback(place)
    assert publish(place, tmp_path, 3, keep_versions=1) == 8
    assert published.list_versions(place) == [6, 7, 8]


def test_a_way_back_that_is_gone_is_told(place, tmp_path, no_grace):
    """Where the version before the live one was deleted, those that are left are named."""
    publish(place, tmp_path, 3)
    assert published.open_store(place).remove(2)
    message = "version: expected one to go back to; 2, which was live before 3, is gone in .* 1, 3$"
    with pytest.raises(published.UnknownVersionError, match=message):
        published.rollback(place)
    assert published.current_version(place) == 3


def test_nothing_is_deleted_while_the_way_back_is_unknown(place, tmp_path, no_grace):
    """With a live version or a CURRENT that cannot be read all stay; else two are the least."""
    publish(place, tmp_path, 4)
    store = published.open_store(place)
    manifest = store.read("4/manifest.json")
    for name, content, whole in (("4/manifest.json", b"{", manifest), ("CURRENT", b"", b"4\n")):
        replace(place, name, content)
        assert store.prune(0) == []
        replace(place, name, whole)
    assert store.prune(1) == [1]
    assert store.prune(0) == [2]
    assert store.versions() == [3, 4]


@pytest.mark.parametrize("number", ["1", 0, -1, 1.0])
def test_what_is_no_number_of_a_version_is_told(number, place, tmp_path):
    """A text, and numbers that no version can have, are errors of the argument."""
    publish(place, tmp_path, 1)
    for act in (published.open_published, published.rollback):
        with pytest.raises(
            ValueError, match=f"version: expected a version's number; got .?{number}"
        ):
            act(place, number)


def test_versions_that_are_not_there_are_told(place, tmp_path):
    """The message names those that are, the newest of many."""
    publish(place, tmp_path, 1)
    for act in (published.open_published, published.rollback):
        with pytest.raises(
            published.UnknownVersionError, match=r"no version 7 in .*, which has 1$"
        ):
            act(place, 7)
    for number in range(2, 13):
        replace(place, f"{number}/manifest.json", b"")
    with pytest.raises(published.UnknownVersionError, match=r"has \.\.\., 3, 4, .*, 11, 12$"):
        published.open_published(place, 13)
