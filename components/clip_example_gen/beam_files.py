"""Sources on the filesystems that Beam knows: s3://, gs://, hdfs:// and others."""

import io
import threading
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from components.clip_example_gen.archive import (
    Archive,
    Entry,
    Fetched,
    MemberError,
    SourceError,
    copy,
    one_line,
    temporary_file,
)
from components.clip_example_gen.zips import Member, ZipArchive, ZipBytes, locate

_MAX_PIECE = 8 << 20


def open_uri(uri: str, beam_args: Sequence[str]) -> Archive:
    """Opens a zip, whose name ends in .zip, or a folder.

    Args:
      uri: such as s3://bucket/clips.
      beam_args: options for the filesystem.

    Raises:
      SourceError: there is nothing, or no filesystem for it.
    """
    options = PipelineOptions(list(beam_args))
    FileSystems.set_options(options)
    try:
        if uri.lower().endswith(".zip"):
            return ZipArchive(uri, _BeamZip(uri, options))
        return _BeamFolder(uri.rstrip("/"), options)
    except SourceError:
        raise
    except Exception as error:  # every filesystem has its own
        raise SourceError(f"source: cannot read {uri!r}: {_describe(error)}") from error


class _BeamFolder(Archive):
    """A folder, or a prefix in a bucket."""

    def __init__(self, uri: str, options: PipelineOptions) -> None:
        super().__init__(uri)
        self._opener = _Opener(options)
        self._prefix = f"{uri}/"
        found = FileSystems.match([f"{self._prefix}**"])[0].metadata_list
        # Object stores mark folders by empty objects.
        self._files = [metadata for metadata in found if not metadata.path.endswith("/")]
        if not self._files:
            raise SourceError(f"source: found nothing at {uri!r}")

    def entries(self) -> list[Entry]:
        """Returns every file as it was when the folder was opened."""
        return [
            Entry(
                file.path.removeprefix(self._prefix),
                file.size_in_bytes,
                None,
                int((file.last_updated_in_seconds or 0) * 1e9),
                None,
            )
            for file in self._files
        ]

    def fetch(self, entry: Entry) -> Fetched:
        """Copies a file into a temporary one."""
        path = self._prefix + entry.member
        try:
            with self._opener.open(path) as source, temporary_file() as file:
                size, crc32 = copy(source, file)
                if size != entry.size:
                    raise MemberError(f"{path!r}: expected {entry.size} bytes, got {size}")
        except MemberError:
            raise
        except Exception as error:
            if _is_gone(path):
                raise MemberError(f"{path!r}: no longer there") from error
            raise SourceError(f"source: cannot read {path!r}: {_describe(error)}") from error
        return Fetched(file.name, crc32, wire_bytes=size, temporary=True)


class _BeamZip(ZipBytes):
    """A zip; every thread opens it once."""

    failures = (Exception,)  # every filesystem has its own

    def __init__(self, uri: str, options: PipelineOptions) -> None:
        self._uri = uri
        self._options = options
        self._local = threading.local()
        self._files: list[BinaryIO] = []

    def members(self) -> list[Member]:
        with _open(self._uri) as file, zipfile.ZipFile(file) as opened:
            return locate(opened)

    def open(self, start: int, stop: int, started: float) -> BinaryIO:
        if not hasattr(self._local, "file"):
            self._local.file = _open_exact(self._uri, self._options)
            self._files.append(self._local.file)
        part = _Part(self._local.file, start, stop)
        return io.BufferedReader(part, min(stop - start, _MAX_PIECE))

    def describe(self, error: Exception) -> str:
        return _describe(error)

    def received(self, file: BinaryIO) -> int:
        return file.raw.received if isinstance(file, io.BufferedReader) else 0

    def close(self) -> None:
        for file in self._files:
            file.close()


class _Opener(threading.local):
    """Opens files, for each thread by itself."""

    def __init__(self, options: PipelineOptions) -> None:
        super().__init__()
        self._options = options
        self._s3: Any = None

    def open(self, path: str) -> BinaryIO:
        """Opens a file; its client on S3 is kept, for Beam takes 0.2 s to make one for each."""
        if not path.startswith("s3://"):
            return _open(path)
        if self._s3 is None:
            from apache_beam.io.aws.s3io import S3IO

            self._s3 = S3IO(options=self._options)
        return self._s3.open(path)


class _Part(io.RawIOBase):
    """The bytes of a file from `start` to before `stop`.

    Attributes:
      received: bytes so far.
    """

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        super().__init__()
        file.seek(start)
        self._file = file
        self._left = stop - start
        self.received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer, or less at the end."""
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        self.received += len(data)
        return len(data)


def _open(path: str) -> BinaryIO:
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _open_exact(uri: str, options: PipelineOptions) -> BinaryIO:
    """Opens a file that reads what it is asked for; Beam's own read 16 MB ahead."""
    if uri.startswith("gs://"):
        from apache_beam.io.gcp.gcsio import GcsIO

        return GcsIO(pipeline_options=options).open(uri, read_buffer_size=1)
    file = _open(uri)
    return cast(BinaryIO, file.detach()) if isinstance(file, io.BufferedReader) else file


def _is_gone(path: str) -> bool:
    try:
        return not FileSystems.exists(path)
    except Exception:  # it cannot be known
        return False


def _describe(error: Exception) -> str:
    """Returns what went wrong, in one line; Beam has it in a dictionary, by path."""
    causes = error.exception_details if isinstance(error, BeamIOError) else None
    return "; ".join(map(one_line, causes.values())) if causes else one_line(error)
