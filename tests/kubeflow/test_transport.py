"""Requests: what is tried again, what is not, and what is said when they fail."""

import datetime
import ipaddress
import logging
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.kubeflow.connection import Connection, connect
from tests.kubeflow.asking import COOKIES, TOKEN, refusal, to
from tests.kubeflow.server import Fault, KubeflowServer


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "body": b"upstream connect error"},
        {"status": 500, "headers": {"Retry-After": "3600"}},
        {"status": 429},
        {},
        {"status": 200, "stall_sec": 5},
    ],
)
def test_questions_are_asked_again(server, fault):
    """A GET changes nothing: after 5xx, 429, silence or a broken connection it is made again."""
    client = connect(to(server, timeout=0.5))
    server.faults = [Fault("GET", "/pipelines", **fault)] * 3
    started = time.monotonic()
    assert client.list_pipelines().pipelines is None
    assert server.asked("GET")[1:] == ["/pipelines"] * 4
    assert time.monotonic() - started < 10


def test_questions_are_not_asked_for_ever(server):
    """After four attempts the last error is told."""
    client = connect(to(server))
    server.faults = [Fault("GET", "/pipelines", 503, b'{"message": "busy"}')] * 9
    error = refusal(client.list_pipelines)
    assert (
        str(error) == f"{server.host}: GET /apis/v2beta1/pipelines: 503 Service Unavailable: busy"
    )
    assert (error.status, error.may_pass, len(server.faults)) == (503, True, 5)


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        ({"status": 503}, "503"),
        ({"stall_sec": 5}, "no answer within 0.2 s; whether it was done is unknown"),
        ({}, "whether it was done is unknown"),
    ],
)
def test_changes_are_asked_for_once(server, fault, part):
    """What a POST did is not known after an error, so it is not made again."""
    client = connect(to(server, timeout=0.2))
    server.faults = [Fault("POST", "/experiments", after=True, **fault)]
    error = refusal(lambda: client.create_experiment("e"))
    assert part in str(error)
    assert not error.may_pass
    assert server.asked("POST") == ["/experiments"]


def test_refusals_say_what_to_do(server):
    """Who, what was asked, what the server says, and what may help, for each status."""
    client = connect(to(server))
    server.forbidden = "/experiments"
    error = refusal(lambda: client.create_experiment("e"))
    assert str(error) == (
        f"{server.host}: GET /apis/v2beta1/experiments: 403 Forbidden: PermissionDenied: "
        "User 'ann' is not authorized with reason: none; these credentials may not do that here: "
        "check --namespace and the permissions in it"
    )
    assert error.status == 403
    error = refusal(lambda: client.get_run("none"))
    assert "404 Not Found: Run none not found; it is gone, or the host is not" in str(error)
    server.required = {"Authorization": "Bearer x"}
    error = refusal(lambda: client.get_run("none"))
    assert "401 Unauthorized: Unauthenticated: there is no" in str(error)
    assert "set KFP_TOKEN or KFP_COOKIES, or give --token-file" in str(error)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html><h1>Bad Gateway</h1></html>", "400 Bad Request"),
        (b"namespace is\ntoo long", "400 Bad Request: namespace is too long"),
        (b'{"error_message": "no file"}', "400 Bad Request: no file"),
        (b'{"error": {"code": 3}}', "400 Bad Request: {'code': 3}"),
        (b"\xff\xfe", "400 Bad Request: \ufffd\ufffd"),
        (b"x" * 100_000, "400 Bad Request: " + "x" * 500),
        (b"", "400 Bad Request"),
    ],
)
def test_reasons_of_all_kinds_are_one_line(server, body, reason):
    """Gateways, uploads and proxies each have a form of their own."""
    client = connect(to(server))
    server.faults = [Fault("GET", "/runs", 400, body)]
    assert str(refusal(lambda: client.get_run("r"))).endswith(f"/runs/r: {reason}")


@pytest.mark.parametrize("credentials", [{"token": TOKEN}, {"cookies": COOKIES}])
def test_no_secret_comes_back(server, credentials, caplog):
    """Neither in an error nor in the log, even if the server tells back what it was sent."""
    client = connect(to(server, **credentials))
    for name in ("", "urllib3", "kfp_server_api"):
        caplog.set_level(logging.DEBUG, name)
    server.required, server.repeats_headers = {"Authorization": "Bearer other"}, True
    error = refusal(client.list_pipelines)
    assert error.status == 401
    assert "***" in str(error)
    assert "nobody" not in f"{error} {error!r} {vars(error)} {caplog.text}"
    assert "/apis/v2beta1/pipelines" in caplog.text


def test_credentials_are_sent_with_every_request(server):
    """Token and cookies alike."""
    server.required = {"Authorization": f"Bearer {TOKEN}", "Cookie": COOKIES}
    client = connect(to(server, token=TOKEN, cookies=COOKIES))
    client.create_experiment("e")
    assert [request.status for request in server.requests] == [200] * 3


def test_credentials_do_not_follow_a_redirect(server):
    """It leads to a page to log in at; nothing is sent there, and the error says so."""
    with KubeflowServer() as other:
        headers = {"Location": f"{other.host}/login"}
        server.faults = [Fault("GET", "/healthz", 302, b"", headers)]
        error = refusal(lambda: connect(to(server, token=TOKEN)))
        assert other.requests == []
    assert f"302 Found: expected JSON; got {other.host}/login: the host is not" in str(error)
    assert "KFP_TOKEN" in str(error)


def test_a_page_for_people_is_no_api(server):
    """Some proxies answer 200 and HTML to whatever is asked."""
    page = Fault("GET", "/", 200, b"<html></html>", {"Content-Type": "text/html"})
    server.faults = [page]
    assert "200 OK: expected JSON; got text/html" in str(refusal(lambda: connect(to(server))))


def test_nobody_there():
    """A port that is closed, and a name that there is not."""
    with KubeflowServer() as gone:
        pass
    error = refusal(lambda: connect(to(gone)))
    assert "Connection refused; check --host, and that its port is open or forwarded" in str(error)
    assert str(error).startswith(f"{gone.host}: GET /apis/v2beta1/healthz: ")
    error = refusal(lambda: connect(Connection("http://no.such.host.invalid", attempts=1)))
    assert "check --host" in str(error)


def test_certificates_of_ones_own(tmp_path):
    """A server whose certificate nobody knows is refused, unless --ca-cert names it."""
    cert, key = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with KubeflowServer(context) as server:
        error = refusal(lambda: connect(to(server)))
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)
        assert "--ca-cert" in str(error)
        connect(to(server, ca_cert=str(cert))).list_pipelines()
        assert server.asked("GET") == ["/healthz", "/pipelines"]


def _certificate(folder):
    """Makes a certificate for 127.0.0.1; returns the files of it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(made.public_bytes(encoding))
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, *private))
    return folder / "cert.pem", folder / "key.pem"
