"""Where the tests publish: a folder, and a bucket on a real S3 server."""

import datetime

import pytest

from components.published import object_store
from tests.s3_server import BUCKET, S3Server


@pytest.fixture
def server(monkeypatch):
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def url(server):
    return f"s3://{BUCKET}/some/folder"


@pytest.fixture
def no_grace(monkeypatch):
    """Time flies: what ceased to be live did so long ago."""
    monkeypatch.setattr(object_store, "_GRACE", datetime.timedelta(seconds=-1))


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    return tmp_path / "out" if request.param == "folder" else request.getfixturevalue("url")
