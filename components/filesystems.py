"""Arrow's filesystems by path or URI: a folder, s3:// or gs://."""

import contextlib
import os
import urllib.parse
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.fs


def s3_endpoint() -> str | None:
    """Returns the address of an S3 server of one's own, as boto3 finds it; None for Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def open_filesystem(place: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Returns the filesystem of a path or URI, and the path in it.

    A server of one's own is found by `s3_endpoint`, whose variables Arrow passes over.

    Raises:
      ValueError, OSError: no such filesystem, or it cannot be reached.
    """
    endpoint = s3_endpoint()
    if endpoint and place.startswith("s3://"):
        parts = urllib.parse.urlsplit(endpoint)
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        filesystem = pyarrow.fs.S3FileSystem(
            endpoint_override=parts.netloc, scheme=parts.scheme, region=region or "us-east-1"
        )
        return filesystem, place.removeprefix("s3://").rstrip("/")
    return pyarrow.fs.FileSystem.from_uri(place if "://" in place else os.path.abspath(place))


def open_input(path: str) -> pa.NativeFile:
    """Opens a file to read, at any place of it; FileNotFoundError where there is none."""
    filesystem, inner = open_filesystem(path)
    return filesystem.open_input_file(inner)


def open_output(path: str) -> contextlib.AbstractContextManager[pa.NativeFile]:
    """Opens a file to write, which appears under `path` when all is written, or not at all."""
    return open_output_in(*open_filesystem(path))


@contextlib.contextmanager
def open_output_in(filesystem: pyarrow.fs.FileSystem, path: str) -> Iterator[pa.NativeFile]:
    """As `open_output`; the path is one in the filesystem."""
    folder, name = os.path.split(path)
    partial = f"{folder}/.{name}-{uuid.uuid4().hex}"
    make_folder(filesystem, folder)
    try:
        with filesystem.open_output_stream(partial) as file:
            yield file
        filesystem.move(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            filesystem.delete_file(partial)
        raise


def make_folder(filesystem: pyarrow.fs.FileSystem, path: str) -> None:
    """Makes a folder, and those above it; buckets have none, and may not be asked for any."""
    if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        filesystem.create_dir(path, recursive=True)


def list_files(folder: str, suffix: str) -> list[str]:
    """Returns the paths of a folder's visible files of this suffix, sorted, for `open_input`."""
    filesystem, inner = open_filesystem(folder)
    infos = filesystem.get_file_info(pyarrow.fs.FileSelector(inner))
    names = sorted(info.base_name for info in infos)
    return [
        f"{folder.rstrip('/')}/{name}"
        for name in names
        if name.endswith(suffix) and not name.startswith(".")
    ]
