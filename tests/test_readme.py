"""README.md and docs/ say what the code does."""

import argparse
import re
from pathlib import Path

import pytest

from pipeline import options
from pipeline.config import PipelineConfig
from pipeline.kubeflow.settings import KubeflowConfig

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    ("page", "settings"), [("README.md", PipelineConfig), ("docs/kubeflow.md", KubeflowConfig)]
)
def test_options_are_all_there_with_their_defaults(page, settings):
    """A table lists every option, in order, as --help explains it."""
    text = (ROOT / page).read_text()
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    parser = argparse.ArgumentParser(add_help=False)
    options.add_options(parser, settings)
    expected = []
    for action in parser._actions:
        text, _, default = action.help.partition(" (default: ")
        expected.append((action.option_strings[0], default.rstrip(")"), text))
    assert rows == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    """Pictures and links inside the project lead somewhere."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    ("pattern", "package"),
    [
        (r"apache/beam_python[\d.]+_sdk:(\S+)", "apache-beam"),
        (r"tensorflow\[and-cuda\]==([\d.]+)", "tensorflow"),
    ],
)
def test_images_on_top_have_the_versions_of_the_image(pattern, package):
    """What docs/kubeflow.md builds on the image is of the versions that are locked for it."""
    named = re.findall(pattern, (ROOT / "docs" / "kubeflow.md").read_text())
    lock = (ROOT / "requirements" / "image.txt").read_text()
    locked = re.findall(rf"^{package}==(\S+)", lock, re.MULTILINE)
    assert len(locked) == 1
    assert set(named) == set(locked)
