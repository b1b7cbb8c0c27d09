"""What the tests of the Trainer share."""

import pytest
import tensorflow_transform as tft

from tests.tiny_examples import analyze, make_example, write_records
from tests.trainings import bright_or_dark

CLASSES = ("Rise", "Fall", "Fall", "Rise", "Grow", "Fall")


@pytest.fixture(scope="session")
def examples() -> list[bytes]:
    """Six clips of three classes."""
    return [make_example(index, name) for index, name in enumerate(CLASSES)]


@pytest.fixture(scope="session")
def transform(examples, tmp_path_factory) -> tft.TFTransformOutput:
    """The transform graph over them; its vocabulary is Fall, Rise, Grow."""
    return analyze(examples, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> dict[str, str]:
    """Folders and files.

    Train has 13 clips of two classes, eval 6, swapped the same 6 with each other's names, unknown
    6 of another class.
    """
    folder = tmp_path_factory.mktemp("data")
    clips = [bright_or_dark(index) for index in range(13)]
    analyze(clips, folder)
    others = [make_example(index, "Gray") for index in range(6)]
    return {
        "transform": str(folder / "out"),
        "train": write_records(folder / "train", clips),
        "eval": write_records(folder / "eval", [bright_or_dark(i) for i in range(20, 26)]),
        "swapped": write_records(
            folder / "swapped", [bright_or_dark(i, swapped=True) for i in range(20, 26)]
        ),
        "unknown": write_records(folder / "unknown", others),
    }
