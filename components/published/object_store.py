"""Versions in an object store: S3, whatever speaks its protocol, or Google Cloud Storage.

Objects cannot be renamed together, and no lock is sure. What is sure (and tested against moto):
a PUT is whole or not at all; `If-None-Match: *` creates an object only where there is none; and
`If-Match: <ETag>` replaces an object only if it is the one that was read.

- A writer takes a number by creating `<version>/claim`. Nobody else ever writes below it.
- The manifest is written last; without one a version is not there for readers.
- CURRENT is replaced only if it still is what the writer read, so of two writers one wins.
- Readers leave no trace, so that a version is deleted only an hour after it ceased to be live.
"""

import contextlib
import datetime
import json
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from components import filesystems
from components.published.errors import PublishedError
from components.published.store import CURRENT_FILE, MANIFEST_FILE, Store, is_version_name

#: Made by the writer before anything else of a version, and never deleted before the rest.
_CLAIM = "claim"
#: Made when a version ceases to be live.
_SUPERSEDED = "superseded"
#: For how long a version may still be read after it ceased to be live, and after which time
#: without a new object a version that is not complete belongs to a writer that was killed.
_GRACE = datetime.timedelta(hours=1)

_RETRIES: Any = {"max_retries": 5, "retry_timeout": datetime.timedelta(seconds=60)}


class ObjectStore(Store):
    """A prefix of a bucket. Credentials come from where boto3 and Google's libraries find them."""

    def __init__(self, url: str):
        """Connects with nothing yet.

        Args:
          url: `s3://bucket/prefix` or `gs://bucket/prefix`.

        Raises:
          PublishedError: it is no such URL, or there are no credentials.
        """
        self._url = url.rstrip("/")
        options: dict[str, Any] = {"client_options": {"timeout": "300s"}, "retry_config": _RETRIES}
        try:
            if url.startswith("s3://"):
                options |= _s3_options()
            self._objects = from_url(self._url, **options)
        except (BaseError, ValueError) as error:
            raise PublishedError(f"push_dir: cannot open {url}: {_reason(error)}") from error

    def locate(self, name: str = "") -> str:
        """Returns a file's URL."""
        return f"{self._url}/{name}" if name else self._url

    def open(self, name: str) -> BinaryIO:
        """Reads a file as a whole."""
        return cast(BinaryIO, pa.BufferReader(self.read(name)))

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yields a file's content as it arrives."""
        with self._told(name):
            for block in obstore.get(self._objects, name):
                yield bytes(block)

    @contextlib.contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Copies to a temporary folder, which is removed in the end."""
        with tempfile.TemporaryDirectory(prefix="published-") as folder:
            for path in [item["path"] for item in self._list(f"{name}/")] or [name]:
                target = Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "wb") as file:
                    for block in self.blocks(path):
                        file.write(block)
            yield Path(folder, name)

    def versions(self) -> list[int]:
        """Returns the numbers of those that have a manifest."""
        return [number for number in self._numbers() if self._is_there(f"{number}/{MANIFEST_FILE}")]

    def hold(self, version: int) -> contextlib.AbstractContextManager[object]:
        """Holds nothing: whatever was live in the last hour stays."""
        if not self._is_there(name := f"{version}/{MANIFEST_FILE}"):
            raise FileNotFoundError(self.locate(name))
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """Gives a folder of this machine; what is complete in it is uploaded by `install`."""
        complete, now = self.versions(), _now()
        for number in set(self._numbers()) - set(complete):
            objects = self._list(f"{number}/")
            if all(now - item["last_modified"] > _GRACE for item in objects):
                self._delete([item["path"] for item in objects])
        with tempfile.TemporaryDirectory(prefix="staging-") as staging:
            yield Path(staging)

    def reserve(self) -> int:
        """Claims the number after the newest and the live one's that nobody has claimed."""
        number = max([*self._numbers(), self.current() or 0]) + 1
        claim = {"host": platform.node(), "pid": os.getpid(), "time": _now().isoformat()}
        while not self._create(f"{number}/{_CLAIM}", json.dumps(claim).encode()):
            number += 1
        return number

    def install(self, staging: Path, version: int) -> None:
        """Uploads the files, the manifest last."""
        names = [
            path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file()
        ]
        for name in sorted(names, key=lambda name: (name == MANIFEST_FILE, name)):
            with self._told(target := f"{version}/{name}"):
                obstore.put(self._objects, target, staging / name)

    def switch(self, version: int, expected: int | bytes | None) -> None:
        """Replaces CURRENT if it is the one that was read; notes what ceased to be live."""
        content, mode = self._read_current()
        self._compare(content, expected)
        self._delete([f"{version}/{_SUPERSEDED}"])
        try:
            with self._told(CURRENT_FILE):
                obstore.put(self._objects, CURRENT_FILE, f"{version}\n".encode(), mode=mode)
        except (AlreadyExistsError, PreconditionError):
            # Also where the answer to a first attempt, which went through, was lost.
            if (found := self.current()) != version:
                raise self._conflict(found, expected) from None
        for number in self.versions():
            if number != version:
                self._create(f"{number}/{_SUPERSEDED}", b"")

    def remove(self, version: int) -> bool:
        """Deletes the manifest first, the claim last, an hour after the version was live."""
        objects = self._list(f"{version}/")
        marked = [item for item in objects if item["path"] == f"{version}/{_SUPERSEDED}"]
        if not marked or _now() - marked[0]["last_modified"] <= _GRACE:
            return False
        self._delete([item["path"] for item in objects])
        return True

    def _read_current(self) -> tuple[bytes | None, Any]:
        """Returns what CURRENT holds, and the mode of a PUT that replaces this and no other."""
        try:
            with self._told(CURRENT_FILE):
                read = obstore.get(self._objects, CURRENT_FILE)
                return bytes(read.bytes()), _if_still(read.meta)
        except FileNotFoundError:
            return None, "create"

    def _numbers(self) -> list[int]:
        """Returns all numbers in use, complete or not, rising."""
        with self._told(""):
            prefixes = obstore.list_with_delimiter(self._objects)["common_prefixes"]
        return sorted(int(name) for name in prefixes if is_version_name(name))

    def _list(self, prefix: str) -> list[Any]:
        with self._told(prefix):
            return [item for batch in obstore.list(self._objects, prefix) for item in batch]

    def _is_there(self, name: str) -> bool:
        try:
            with self._told(name):
                obstore.head(self._objects, name)
        except FileNotFoundError:
            return False
        return True

    def _create(self, name: str, content: bytes) -> bool:
        """Makes an object where there is none; returns whether it did."""
        try:
            with self._told(name):
                obstore.put(self._objects, name, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def _delete(self, names: list[str]) -> None:
        def order(name: str) -> int:
            return -name.endswith(f"/{MANIFEST_FILE}") + name.endswith(f"/{_CLAIM}")

        for name in sorted(names, key=order):
            with self._told(name), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._objects, name)

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turns the store's errors into ours, all but those that callers ask for."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except BaseError as error:
            raise PublishedError(f"{self.locate(name)}: {_reason(error)}") from error


def _s3_options() -> dict[str, Any]:
    """Returns what Beam's s3:// goes by, too: boto3's credentials, a server of one's own."""
    from obstore.auth.boto3 import Boto3CredentialProvider  # boto3 is slow to import

    endpoint = filesystems.s3_endpoint()
    own_server = {"endpoint": endpoint} if endpoint else {}
    plain = bool(endpoint and endpoint.startswith("http://"))
    return {
        **own_server,
        "credential_provider": Boto3CredentialProvider(),
        "client_options": {"timeout": "300s", "allow_http": plain},
    }


def _if_still(meta: Any) -> Any:
    """Returns the mode of a PUT that replaces the object of this metadata and no other."""
    return {key: meta[key] for key in ("e_tag", "version") if meta[key] is not None}


def _reason(error: Exception) -> str:
    """Returns what the server said, or else the first line."""
    text = str(error).strip()
    said = re.search(r"<Code>(.+?)</Code>\s*<Message>(.+?)</Message>", text)
    return f"{said[1]}: {said[2]}" if said else text.splitlines()[0][:300]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
