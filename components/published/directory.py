"""The published directory as a whole: what is live, which versions there are, going back."""

from pathlib import Path

from components.published.errors import PublishedError
from components.published.local_store import LocalStore
from components.published.manifest import parse_manifest
from components.published.store import MANIFEST_FILE, Store
from components.published.version import Published


def open_store(push_dir: str | Path) -> Store:
    """Returns where versions lie: a folder, or a bucket where `push_dir` is a URL."""
    if "://" not in str(push_dir):
        return LocalStore(Path(push_dir))
    if str(push_dir).split("://")[0] not in ("s3", "gs"):
        raise PublishedError(f"push_dir: expected a folder, s3:// or gs://; got {push_dir}")
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
      PublishedError: nothing is published there, there is no such version, or its manifest
        cannot be read.
    """
    store = open_store(push_dir)
    while True:
        number = store.current() if version is None else version
        if number is None:
            raise PublishedError(f"push_dir: expected published versions; none in {push_dir}")
        try:
            return _open(store, number)
        except FileNotFoundError as error:
            # What was live may have been followed by another, and deleted, since CURRENT was read.
            if version is not None or store.current() == number:
                raise PublishedError(
                    f"push_dir: there is no version {number} in {push_dir}"
                ) from error


def rollback(push_dir: str | Path, version: int | None = None) -> int:
    """Makes an older version live, after every file of it has been compared with its manifest.

    Args:
      push_dir: where versions are published.
      version: its number; None for the one that was live before the present one.

    Returns:
      The number of the version that is live now.

    Raises:
      ConflictError: another version went live meanwhile.
      PublishedError: there is no such version, or it is not whole.
    """
    store = open_store(push_dir)
    with open_published(push_dir) as live:
        if version is None:
            version = live.manifest.parent
        if version is None:
            raise PublishedError(
                f"version: expected one to go back to; {live.version} was the first to be live "
                f"in {push_dir}"
            )
        with open_published(push_dir, version) as other:
            other.verify()
            store.switch(version, expected=live.version)
    return version


def _open(store: Store, number: int) -> Published:
    handle = store.hold(number)
    name = f"{number}/{MANIFEST_FILE}"
    manifest = parse_manifest(store.read(name), store.locate(name))
    if manifest.version != number:
        raise PublishedError(
            f"{store.locate(name)}: expected version {number}; got {manifest.version}"
        )
    return Published(store, str(number), manifest, handle)
