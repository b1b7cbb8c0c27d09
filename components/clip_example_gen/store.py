"""Decoded clips that are kept from run to run, so that no clip is fetched or decoded twice.

```
<root>/<name>.parquet   one part: the clips of one shard, sorted by clip_id; see `StoredClip`
```
A part is written whole and renamed, is named by its clips, and is never changed.
"""

import contextlib
import hashlib
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from components import filesystems

_SUFFIX = ".parquet"
#: Rows are held until they come to this, then written as a row group: what a reader holds.
_ROW_GROUP_BYTES = 16 << 20

_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("clip_id", pa.string()),
        ("crc32", pa.int64()),
        ("num_frames", pa.int64()),
        ("fps", pa.float64()),
        ("duration_sec", pa.float64()),
        ("look", pa.binary()),
        ("preview", pa.binary()),
        ("reason", pa.string()),
        ("example", pa.binary()),
    ]
)


class StoredClip(NamedTuple):
    """A clip that was fetched and decoded.

    Attributes:
      key: `ClipRef.key` of what was fetched.
      clip_id: parts are sorted by it.
      crc32: of the file.
      num_frames, fps, duration_sec: as in `clips.Clip`.
      look: perceptual hash, 24 bytes; empty where `reason` is set.
      preview: of `previews.strip`; empty where `reason` is set.
      reason: why it does not decode; "" where it does.
      example: the serialized Example; empty where `reason` is set.
    """

    key: str
    clip_id: str
    crc32: int
    num_frames: int
    fps: float
    duration_sec: float
    look: bytes
    preview: bytes
    reason: str
    example: bytes


class ClipStore:
    """The parts in a folder."""

    def __init__(self, root: str) -> None:
        """Takes a local path, s3:// or gs://."""
        self._uri = root if "://" in root else os.path.abspath(root)
        self._filesystem, self._root = filesystems.open_filesystem(self._uri)

    def __reduce__(self) -> tuple:
        """Pickles the place, not the connection."""
        return ClipStore, (self._uri,)

    def index(self) -> dict[str, str]:
        """Returns the part that holds each clip, by the clip's key.

        A part that cannot be read counts as absent.
        """
        places = {}
        for name in self._names():
            try:
                with self._open(name) as file:
                    keys = pq.ParquetFile(file).read(columns=["key"])["key"].to_pylist()
            except pa.ArrowInvalid as error:  # a disk that was full, a machine that lost power
                logging.warning("%s is passed over: %s", self._path(name), error)
                continue
            places.update(dict.fromkeys(keys, name))
        return places

    def write(self, clips: Iterable[StoredClip]) -> Iterator[StoredClip]:
        """Yields `clips`, sorted by clip_id; they are a part when the last one is yielded."""
        filesystems.make_folder(self._filesystem, self._root)
        partial = f"{self._root}/.{uuid.uuid4().hex}"
        keys = []
        try:
            with (
                self._filesystem.open_output_stream(partial) as file,
                # JPEGs do not get smaller.
                pq.ParquetWriter(
                    file, _SCHEMA, compression="none", use_dictionary=False, write_statistics=False
                ) as writer,
            ):
                for rows in _row_groups(clips):
                    columns = [row._asdict() for row in rows]
                    writer.write_table(pa.Table.from_pylist(columns, schema=_SCHEMA))
                    keys += [row.key for row in rows]
                    yield from rows
            self._filesystem.move(partial, self._path(part_name(keys)))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                self._filesystem.delete_file(partial)
            raise

    def read(self, name: str) -> Iterator[StoredClip]:
        """Yields the clips of a part, holding one row group at a time."""
        with self._open(name) as file:
            part = pq.ParquetFile(file)
            for index in range(part.num_row_groups):
                for row in part.read_row_group(index).to_pylist():
                    yield StoredClip(**row)

    def keep(self, names: Set[str]) -> None:
        """Removes all parts but these, and what killed writers left."""
        for info in self._files():
            if info.base_name.removesuffix(_SUFFIX) not in names:
                self._filesystem.delete_file(info.path)

    def _files(self) -> list[pyarrow.fs.FileInfo]:
        selector = pyarrow.fs.FileSelector(self._root, allow_not_found=True)
        return self._filesystem.get_file_info(selector)

    def _names(self) -> list[str]:
        return sorted(
            info.base_name.removesuffix(_SUFFIX)
            for info in self._files()
            if info.base_name.endswith(_SUFFIX)
        )

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}{_SUFFIX}"

    def _open(self, name: str) -> pa.NativeFile:
        return self._filesystem.open_input_file(self._path(name))


def part_name(keys: Iterable[str]) -> str:
    """Returns the name of the part that holds the clips of these keys, in this order."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]


def _row_groups(clips: Iterable[StoredClip]) -> Iterator[list[StoredClip]]:
    rows: list[StoredClip] = []
    held = 0
    for clip in clips:
        rows.append(clip)
        held += len(clip.example)
        if held >= _ROW_GROUP_BYTES:
            yield rows
            rows, held = [], 0
    if rows:
        yield rows
