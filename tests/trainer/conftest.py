"""What the tests of the Trainer share."""

import pytest
import tensorflow_transform as tft

from tests.tiny_examples import analyze, make_example

CLASSES = ("Rise", "Fall", "Fall", "Rise", "Grow", "Fall")


@pytest.fixture(scope="session")
def examples() -> list[bytes]:
    """Six clips of three classes."""
    return [make_example(index, name) for index, name in enumerate(CLASSES)]


@pytest.fixture(scope="session")
def transform(examples, tmp_path_factory) -> tft.TFTransformOutput:
    """The transform graph over them; its vocabulary is Fall, Rise, Grow."""
    return analyze(examples, tmp_path_factory.mktemp("transform"))
