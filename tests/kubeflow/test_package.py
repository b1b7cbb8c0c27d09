"""A compiled pipeline as a file, and the parameters that a run may set."""

import hashlib

import pytest

from pipeline.kubeflow.package import read_package
from tests.kubeflow.packages import NAME, write_package


@pytest.fixture
def package(tmp_path):
    return read_package(write_package(tmp_path))


def test_package_is_named_by_its_content(tmp_path):
    """Name and parameters are read from the file; another content is another version."""
    path = write_package(tmp_path)
    package = read_package(path)
    assert package.name == NAME
    assert package.version == f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    assert list(package.parameters) == ["source", "epochs", "rate", "fresh", "classes", "more"]
    path.write_text(path.read_text() + "# changed\n")
    assert read_package(path).version != package.version


def test_parameters_are_read_by_their_type(package):
    """Text becomes what the pipeline declares; defaults are left to the server."""
    texts = ["source=a=b", "epochs=3", "rate=1e-3", "fresh=True", 'classes=["a"]', 'more={"a": 1}']
    assert package.arguments(texts) == {
        "source": "a=b", "epochs": 3, "rate": 0.001, "fresh": True, "classes": ["a"],
        "more": {"a": 1},
    }  # fmt: skip
    assert package.arguments(["source="]) == {"source": ""}


@pytest.mark.parametrize(
    ("texts", "parts"),
    [
        ([], ["source", "no default"]),
        (["source"], ["NAME=VALUE", "'source'"]),
        (["sauce=a"], ["one of classes, epochs", "'sauce'"]),
        (["source=a", "source=b"], ["source once"]),
        (["source=a", "epochs=many"], ["NUMBER_INTEGER for epochs", "'many'"]),
        (["source=a", "rate=x"], ["NUMBER_DOUBLE for rate", "'x'"]),
        (["source=a", "fresh=perhaps"], ["BOOLEAN for fresh", "'perhaps'"]),
        (["source=a", 'classes={"a": 1}'], ["LIST for classes"]),
        (["source=a", "more=[1]"], ["STRUCT for more"]),
        (["source=a", "more={"], ["STRUCT for more", "'{'"]),
    ],
)
def test_bad_parameters_are_named(package, texts, parts):
    """Which one, what was expected and what came."""
    with pytest.raises(ValueError) as raised:
        package.arguments(texts)
    assert all(part in str(raised.value) for part in ["param: expected", *parts]), raised.value


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("none.yaml", None, "No such file"),
        ("pipeline.json", "{}", "ends in .yaml"),
        ("a.yaml", "", "none: TypeError"),
        ("a.yaml", "a: [", "none: ParserError"),
        ("a.yaml", "- a", "none: TypeError"),
        ("a.yaml", "pipelineSpec: {}", "none: KeyError: 'pipelineInfo'"),
        ("a.yaml", "\x00", "none: ReaderError"),
    ],
)
def test_files_that_are_no_packages_are_told(tmp_path, name, text, part):
    """A missing file, another format, and YAML that is no pipeline."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match="PACKAGE: expected") as raised:
        read_package(path)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)
