"""Bad input to `local_runner.py`: exit code 2, one line, no traceback, before any work."""

import pytest

from tests.e2e.runs import run_locally


@pytest.fixture
def odd_sources(tmp_path):
    """Sources that cannot be used."""
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 this is no zip")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("no clips")
    (tmp_path / "file").write_text("in the way")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--source", "{}/missing.zip"], ["source", "missing.zip"]),
        (["--source", "{}/broken.zip"], ["source", "broken.zip"]),
        (["--source", "{}/empty"], ["source", "no clips", "empty"]),
        (["--source", "{library}", "--classes", "Rise,Surf"], ["classes", "Surf"]),
        (["--source", "{library}", "--classes", "11"], ["classes", "1 to 3", "11"]),
        (["--source", "{library}", "--k", "0"], ["--k", "1 to 1000", "0"]),
        (["--source", "{library}", "--image-size", "10"], ["--image-size", "32 to 512", "10"]),
        (["--source", "{library}", "--push-dir", "{}/file"], ["--push-dir", "folder", "file"]),
        (["--source", "{library}", "--store-dir", "{}/file"], ["--store-dir", "folder", "file"]),
        (["--output-dir", "s3://bucket/out"], ["--output-dir", "s3://bucket/out"]),
        (["--source", "{library}", "--classes", "3", "--refresh"], ["--refresh", "none in"]),
        (["--on-finish", "/no/such/program"], ["--on-finish", "/no/such/program"]),
    ],
)
def test_one_line_and_exit_code_2(arguments, parts, odd_sources, library):
    """The line names the argument, what was expected and what came."""
    filled = [text.format(odd_sources, library=library) for text in arguments]
    run = run_locally(odd_sources / "output", *filled)
    assert run.code == 2
    assert run.stderr.count("\n") == 1
    for part in parts:
        assert part in run.stderr
    assert not (odd_sources / "output" / "pipeline").exists()
