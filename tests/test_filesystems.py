"""Arrow's filesystems by path or URI."""

import pyarrow.fs
import pytest

from components import filesystems
from tests.s3_server import BUCKET, S3Server


def test_a_path_is_of_this_machine(tmp_path, monkeypatch):
    """A relative path is taken from the working folder."""
    monkeypatch.chdir(tmp_path)
    filesystem, path = filesystems.open_filesystem("some/folder")
    assert isinstance(filesystem, pyarrow.fs.LocalFileSystem)
    assert path == str(tmp_path / "some/folder")


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_bucket_of_ones_own_server(variable, monkeypatch):
    """The server that the environment names is asked, and what is written there is read back."""
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        monkeypatch.setenv(variable, server.environment["AWS_ENDPOINT_URL"])
        filesystem, path = filesystems.open_filesystem(f"s3://{BUCKET}/some/folder/")
        assert path == f"{BUCKET}/some/folder"
        with filesystem.open_output_stream(f"{path}/file") as file:
            file.write(b"content")
        selector = pyarrow.fs.FileSelector(path)
        assert [info.path for info in filesystem.get_file_info(selector)] == [f"{path}/file"]
        with filesystem.open_input_stream(f"{path}/file") as file:
            assert file.read() == b"content"


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path, monkeypatch):
    """A folder of this machine that is not there yet, or a prefix in a bucket."""
    if request.param == "folder":
        yield str(tmp_path / "some" / "folder")
        return
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield f"s3://{BUCKET}/some/folder"


def test_files_appear_whole(place):
    """A file is there when all is written, and takes the place of the one before."""
    for content in (b"first", b"second"):
        with filesystems.open_output(f"{place}/a.txt") as file:
            file.write(content)
    with filesystems.open_output(f"{place}/b.bin") as file:
        file.write(b"other")
        assert filesystems.list_files(place, "bin") == []
    assert filesystems.list_files(place, ".txt") == [f"{place}/a.txt"]
    with filesystems.open_input(f"{place}/a.txt") as file:
        file.seek(3)
        assert file.read() == b"ond"


def test_what_is_not_written_whole_is_not_there(place):
    """A writer that fails leaves what was there before, and nothing else."""
    with filesystems.open_output(f"{place}/a.txt") as file:
        file.write(b"first")
    with pytest.raises(RuntimeError), filesystems.open_output(f"{place}/a.txt") as file:
        file.write(b"second")
        raise RuntimeError
    with filesystems.open_input(f"{place}/a.txt") as file:
        assert file.read() == b"first"
    filesystem, path = filesystems.open_filesystem(place)
    infos = filesystem.get_file_info(pyarrow.fs.FileSelector(path))
    assert [info.base_name for info in infos] == ["a.txt"]


def test_files_that_are_not_there(place):
    """A missing file is an error that names it."""
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        filesystems.open_input(f"{place}/a.txt")


def test_unknown_schemes_are_refused():
    """What Arrow does not know is an error that names it."""
    with pytest.raises(ValueError, match="ftp"):
        filesystems.open_filesystem("ftp://server/folder")
