"""What tests that ask the server share."""

import pytest

from pipeline.kubeflow.client import Kubeflow
from pipeline.kubeflow.connection import Connection
from pipeline.kubeflow.transport import KubeflowError

TOKEN = "token-that-nobody-may-see"
COOKIES = "session=cookie-that-nobody-may-see; other=1"


def to(server, **options):
    """Returns a connection that waits for little."""
    return Connection(server.host, **{"timeout": 5.0, "wait_sec": 0.01, **options})


def reach(server, **options):
    """Connects."""
    return Kubeflow(to(server, **options))


def only(found):
    """Returns the one thing that there is, by id."""
    (one,) = found.values()
    return one


def refusal(ask):
    """Returns the error, which carries no other one along."""
    with pytest.raises(KubeflowError) as raised:
        ask()
    error = raised.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "\n" not in str(error)
    return error
