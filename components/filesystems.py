"""Arrow's filesystems by path or URI: a folder, s3:// or gs://."""

import os
import urllib.parse

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
