"""README.md says what the code does."""

import argparse
import re
from pathlib import Path

from pipeline import options

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def test_options_are_all_there_with_their_defaults():
    """The table lists every option of local_runner.py, in order, as --help explains it."""
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    expected = []
    for action in options.make_parser("")._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        text, _, default = action.help.partition(" (default: ")
        expected.append((action.option_strings[0], default.rstrip(")"), text))
    assert rows == expected


def test_files_that_are_named_exist():
    """Pictures and links inside the project lead somewhere."""
    root = Path(__file__).resolve().parent.parent
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (root / target).exists(), target
