"""Reaching Kubeflow: where it is, as whom, and what is said when it fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.kubeflow.connection import Connection, connect, from_environment
from tests.kubeflow.asking import COOKIES, TOKEN, refusal, to
from tests.kubeflow.server import Fault

ROOT = Path(__file__).resolve().parents[2]


def test_options_win_over_the_environment():
    """What is given is taken; the rest comes from kfp's variables and this project's."""
    environ = {
        "KFP_HOST": "http://a",
        "KF_PIPELINES_ENDPOINT": "http://b/",
        "KFP_NAMESPACE": "ann",
        "KFP_TOKEN": f" {TOKEN}\n",
        "KFP_COOKIES": COOKIES,
        "KF_PIPELINES_UI_ENDPOINT": "http://ui/pipeline/",
    }
    found = from_environment(environ, host="http://c", namespace=None, ca_cert="")
    assert (found.host, found.namespace, found.ui_host) == ("http://c", "ann", "http://ui/pipeline")
    assert found.credentials() == {"Authorization": f"Bearer {TOKEN}", "Cookie": COOKIES}
    assert found.link("runs/details/1") == "http://ui/pipeline/#/runs/details/1"
    assert from_environment(environ).host == "http://a"
    del environ["KFP_HOST"]
    assert from_environment(environ).host == "http://b"


def test_token_of_a_file_is_read_for_each_request(tmp_path, server):
    """Clusters renew it: an option, or KF_PIPELINES_SA_TOKEN_PATH, names the file."""
    path = tmp_path / "token"
    path.write_text("first-token\n")
    environ = {"KFP_HOST": server.host, "KF_PIPELINES_SA_TOKEN_PATH": str(path)}
    client = connect(from_environment(environ))
    path.write_text("second-token\n")
    client.list_pipelines()
    sent = [request.headers["Authorization"] for request in server.requests]
    assert sent == ["Bearer first-token", "Bearer second-token"]
    assert from_environment(environ | {"KFP_TOKEN": TOKEN}).token_file == ""
    chosen = from_environment(environ | {"KFP_TOKEN": TOKEN}, token_file=str(path))
    assert (chosen.token, chosen.token_file) == ("", str(path))
    path.unlink()
    error = refusal(client.list_pipelines)
    assert "token_file: expected a token in" in str(error)
    assert len(server.requests) == 2


def test_secrets_are_not_shown():
    """A connection's text has neither token nor cookie."""
    shown = repr(Connection("http://a", token=TOKEN, cookies=COOKIES))
    assert "http://a" in shown
    assert "nobody" not in shown


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"host": ""}, ["host: expected the address"]),
        ({"host": "localhost:8080"}, ["host: expected http", "localhost:8080"]),
        ({"host": "ftp://a"}, ["host: expected http", "ftp://a"]),
        ({"host": "http://a b"}, ["host: expected http"]),
        ({"host": f"http://ann:{TOKEN}@a"}, ["host: expected no user and password"]),
        ({"host": f"http://a@b/{TOKEN}"}, ["host: expected no user and password"]),
        ({"host": "http://a/#/runs"}, ["host: expected nothing after", "#/runs"]),
        ({"host": f"http://a/?token={TOKEN}"}, ["host: expected nothing after", "http://a/'"]),
        ({"host": "http://a:port"}, ["host: expected http", "a:port"]),
        ({"host": "http://[a"}, ["host: expected http", "[a"]),
        ({"token": f"{TOKEN}\nX: y"}, ["token: expected printable ASCII"]),
        ({"cookies": f"a={TOKEN}ü"}, ["cookies: expected printable ASCII"]),
        ({"token": TOKEN, "token_file": "/none"}, ["token_file: expected no token"]),
        ({"token_file": "/none"}, ["token_file: expected a token in /none: No such file"]),
        ({"token_file": "/dev/null"}, ["token_file", "empty"]),
        ({"ca_cert": "/none"}, ["ca_cert: expected a file", "/none"]),
        ({"timeout": 0}, ["timeout: expected up to 3600", "0"]),
        ({"timeout": float("nan")}, ["timeout", "nan"]),
    ],
)
def test_bad_settings_are_named(options, parts):
    """Which one, what was expected and what came, if it is no secret."""
    with pytest.raises(ValueError) as raised:
        Connection(**{"host": "http://a", **options})
    assert all(part in str(raised.value) for part in parts), raised.value
    assert "nobody" not in str(raised.value)


def test_nothing_else_is_asked_or_left(tmp_path, server):
    """No file of kfp's is read or written, no cluster or browser looked for, nothing printed."""
    settings = tmp_path / ".config" / "kfp" / "context.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"namespace": "other", "client_authentication_cookie": "a=b"}')
    code = (
        "import os; from pipeline.kubeflow.connection import connect, from_environment\n"
        "client = connect(from_environment(os.environ))\n"
        "client.list_pipelines(); assert client.get_user_namespace() == ''"
    )
    environ = {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "KFP_HOST": server.host,
        "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID": "id",
        "KUBECONFIG": str(tmp_path / "none"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [settings]
    assert server.asked("GET") == ["/healthz", "/pipelines"]
    assert not any(
        {"Cookie", "Authorization"} & request.headers.keys() for request in server.requests
    )


def test_other_versions_are_told(server):
    """Kubeflow Pipelines 1 has no v2beta1, or an early one; other servers have nothing at all."""
    server.tag_name, server.v1_only = "1.8.5", True
    expected = (
        f"{server.host}: expected Kubeflow Pipelines 2, whose API is v2beta1; this one is 1.8.5"
    )
    assert str(refusal(lambda: connect(to(server)))) == expected
    server.v1_only = False
    assert str(refusal(lambda: connect(to(server)))) == expected
    server.faults = [Fault("GET", "healthz", 404)] * 2
    error = refusal(lambda: connect(to(server)))
    assert "404: it is gone, or the host is not the address of the API" in str(error)
    server.tag_name = "3.0.0"
    connect(to(server))


@pytest.mark.parametrize("body", [b'{"runs": 3}', b'{"runs": [{"created_at": "soon"}]}'])
def test_answers_of_another_version_are_told(server, body):
    """JSON that kfp's client cannot read becomes the same error as all else."""
    client = connect(to(server))
    server.faults = [Fault("GET", "/runs", 200, body)]
    assert "is the server of another version?" in str(refusal(client.list_runs))


def test_several_users_need_a_namespace(server):
    """Where there are several users, the namespace is the user's own choice."""
    server.multi_user = True
    assert "expected --namespace or KFP_NAMESPACE" in str(refusal(lambda: connect(to(server))))
    assert connect(to(server, namespace="ann")).get_user_namespace() == "ann"
