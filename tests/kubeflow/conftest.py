"""A server, who asks it, and what is submitted."""

import pytest

from pipeline.kubeflow.package import read_package
from tests.kubeflow.asking import reach
from tests.kubeflow.packages import write_package
from tests.kubeflow.server import KubeflowServer


@pytest.fixture
def server():
    with KubeflowServer() as running:
        yield running


@pytest.fixture
def kubeflow(server):
    return reach(server)


@pytest.fixture
def package(tmp_path):
    return read_package(write_package(tmp_path))
