"""The published directory as a whole: what is live, which versions there are, going back."""

import contextlib
import numbers
from pathlib import Path

from components.published.errors import PublishedError, UnknownVersionError
from components.published.local_store import LocalStore
from components.published.manifest import parse_manifest
from components.published.store import CURRENT_FILE, MANIFEST_FILE, Store
from components.published.version import Published

#: How many versions a message names; the newest.
_NAMED = 10


def open_store(push_dir: str | Path) -> Store:
    """Returns where versions lie: a folder, or a bucket where `push_dir` is a URL."""
    if str(push_dir) and "://" not in str(push_dir):
        return LocalStore(Path(push_dir))
    if str(push_dir).split("://")[0] not in ("s3", "gs"):
        got = str(push_dir) or "''"
        raise PublishedError(f"push_dir: expected a folder, s3:// or gs://; got {got}")
    from components.published.object_store import ObjectStore  # only where it is needed

    return ObjectStore(str(push_dir))


def current_version(push_dir: str | Path) -> int | None:
    """Returns the live version's number; None where nothing is published.

    Raises:
      PublishedError: CURRENT cannot be read or holds no number.
    """
    return open_store(push_dir).current()


def list_versions(push_dir: str | Path) -> list[int]:
    """Returns the numbers of all complete versions, rising.

    The newest need not be live: its writer may have been killed before it switched CURRENT.
    """
    return open_store(push_dir).versions()


def open_published(push_dir: str | Path, version: int | None = None) -> Published:
    """Opens a version.

    Args:
      push_dir: where versions are published: a folder, `s3://bucket/prefix` or
        `gs://bucket/prefix`.
      version: its number; None for the live one.

    Raises:
      UnknownVersionError: there is no such version.
      PublishedError: nothing is published there, or the version's manifest cannot be read.
    """
    store = open_store(push_dir)
    if version is not None:
        return _open_number(store, version)
    while True:
        if (number := store.current()) is None:
            if store.versions():
                raise PublishedError(f"push_dir: expected a live version in {_contents(store)}")
            raise PublishedError(f"push_dir: expected published versions; none in {push_dir}")
        try:
            return _open(store, number)
        except FileNotFoundError as error:
            # It may have been followed by another, and deleted, since CURRENT was read.
            if store.current() == number:
                raise UnknownVersionError(
                    f"{store.locate(CURRENT_FILE)}: there is no version {number} in "
                    f"{_contents(store)}"
                ) from error


def rollback(push_dir: str | Path, version: int | None = None) -> int:
    """Makes an older version live, after every file of it has been compared with its manifest.

    Args:
      push_dir: where versions are published.
      version: its number; None for the one that was live before the present one. With a number,
        it does not matter whether the present one, or CURRENT, can be read.

    Returns:
      The number of the version that is live now.

    Raises:
      ConflictError: another version went live meanwhile.
      PublishedError: there is no such version, or it is not whole.
    """
    store = open_store(push_dir)
    expected: int | bytes | None
    if version is not None:
        expected = store.read_current()  # before the check, which takes a while
        opened = _open_number(store, version)
    else:
        with open_published(push_dir) as live:
            expected, opened = live.version, _open_parent(store, live)
    with opened:
        opened.verify()
        store.switch(opened.version, expected)
        return opened.version


def _open_parent(store: Store, live: Published) -> Published:
    number, parent = live.version, live.manifest.parent
    if parent is None:
        reason = f"{number} was the first to be live"
    else:
        try:
            return _open(store, parent)
        except FileNotFoundError:
            reason = f"{parent}, which was live before {number}, is gone"
    raise UnknownVersionError(
        f"version: expected one to go back to; {reason} in {_contents(store)}"
    )


def _open_number(store: Store, number: int) -> Published:
    if not isinstance(number, numbers.Integral) or number < 1:
        raise PublishedError(f"version: expected a version's number; got {number!r}")
    try:
        return _open(store, number)
    except FileNotFoundError as error:
        raise UnknownVersionError(
            f"version: there is no version {number} in {_contents(store)}"
        ) from error


def _open(store: Store, number: int) -> Published:
    with contextlib.ExitStack() as handle:
        handle.enter_context(store.hold(number))
        name = f"{number}/{MANIFEST_FILE}"
        manifest = parse_manifest(store.read(name), store.locate(name))
        if manifest.version != number:
            raise PublishedError(
                f"{store.locate(name)}: expected version {number}; got {manifest.version}"
            )
        return Published(store, str(number), manifest, handle.pop_all())


def _contents(store: Store) -> str:
    """Returns where versions lie and which ones there are, for messages."""
    found = list(map(str, store.versions()))
    names = ", ".join(["..."] * (len(found) > _NAMED) + found[-_NAMED:])
    return f"{store.locate()}, which has {names}" if found else store.locate()
