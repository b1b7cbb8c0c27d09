"""Where Kubeflow Pipelines is and as whom to ask it, from options and the environment.

Secrets are known to `Connection` and to the requests it is for, and to nothing else: not to kfp's
own client, whose files in the home folder, browser and search for clusters stay out of it as well.
"""

import contextlib
import dataclasses
import urllib.parse
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kfp
import kfp.client
import kfp_server_api

from pipeline.kubeflow.transport import NO_API, KubeflowError, Transport, parse

_V2, _V1 = "/apis/v2beta1/healthz", "/apis/v1beta1/healthz"


@dataclasses.dataclass(frozen=True)
class Connection:
    """Where Kubeflow Pipelines is, and as whom to ask it.

    Attributes:
      host: the API's address, http:// or https://, with a path where a proxy has it so.
      namespace: the user's, where an installation has several users; "" elsewhere.
      token: sent as "Authorization: Bearer"; a secret.
      cookies: sent as they are, "name=value; name=value"; a secret.
      token_file: a file with the token, read for each request, because clusters renew it.
      ca_cert: a file of certificates to trust, instead of the system's.
      ui_host: the address for people, where it is not `host`.
      timeout: seconds that the server may be silent.
      attempts: how often a request is made that changes nothing, or was never sent.
      wait_sec: before the second attempt, at most; doubles each time.

    Raises:
      ValueError: names the field, what was expected and, if it is no secret, what came.
    """

    host: str
    namespace: str = ""
    token: str = dataclasses.field(default="", repr=False)
    cookies: str = dataclasses.field(default="", repr=False)
    token_file: str = ""
    ca_cert: str = ""
    ui_host: str = ""
    timeout: float = 30.0
    attempts: int = 4
    wait_sec: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", _check_address("host", self.host))
        ui_host = _check_address("ui_host", self.ui_host or self.host)
        object.__setattr__(self, "ui_host", ui_host)
        if not 0 < self.timeout <= 3600:
            raise ValueError(f"timeout: expected up to 3600 seconds; got {self.timeout}")
        if self.token and self.token_file:
            raise ValueError("token_file: expected no token beside it")
        if self.ca_cert and not Path(self.ca_cert).is_file():
            raise ValueError(f"ca_cert: expected a file; there is none at {self.ca_cert}")
        _check_secret("token", self.token)
        _check_secret("cookies", self.cookies)
        self.credentials()

    def credentials(self) -> dict[str, str]:
        """Returns the headers with the secrets; ValueError where the file has no token."""
        token = self.token or (_read_token(self.token_file) if self.token_file else "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return headers | ({"Cookie": self.cookies} if self.cookies else {})

    def link(self, page: str) -> str:
        """Returns the address of a page for people, such as "runs/details/ID"."""
        return f"{self.ui_host}/#/{page}"


def from_environment(environ: Mapping[str, str], **options: Any) -> Connection:
    """Makes a connection of options and, where these say nothing, of environment variables.

    Args:
      environ: KFP_HOST or KF_PIPELINES_ENDPOINT, KFP_NAMESPACE, KFP_TOKEN, KFP_COOKIES,
        KF_PIPELINES_SA_TOKEN_PATH, KF_PIPELINES_UI_ENDPOINT. The token that Kubernetes puts into
        a pod for Kubeflow Pipelines is taken where there are no other credentials.
      options: fields of `Connection`; those that are None or "" are passed over.

    Raises:
      ValueError: see `Connection`.
    """
    given = {name: value for name, value in options.items() if value not in (None, "")}
    found = {
        "host": environ.get("KFP_HOST") or environ.get("KF_PIPELINES_ENDPOINT", ""),
        "ui_host": environ.get("KF_PIPELINES_UI_ENDPOINT", ""),
        "namespace": environ.get("KFP_NAMESPACE", ""),
        "cookies": environ.get("KFP_COOKIES", "").strip(),
    }
    if not given.keys() & {"token", "token_file"}:
        in_pod = kfp.client.KF_PIPELINES_SA_TOKEN_PATH
        if token := environ.get("KFP_TOKEN", "").strip():
            found["token"] = token
        elif path := environ.get(kfp.client.KF_PIPELINES_SA_TOKEN_ENV):
            found["token_file"] = path
        elif not found["cookies"] and Path(in_pod).is_file():
            found["token_file"] = in_pod
    return Connection(**{**found, **given})


def connect(connection: Connection) -> kfp.Client:
    """Returns kfp's client of an installation that has answered.

    Raises:
      KubeflowError: it cannot be reached, refuses, is no Kubeflow Pipelines 2, or has several
        users and no namespace was given. The client's own requests raise it, too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "works with v2.0.0-beta.2 and later"
        client = _Client(connection)
    if client.get_kfp_healthz().multi_user and not client.get_user_namespace():
        raise KubeflowError(
            f"{connection.host}: this installation has several users: expected --namespace or "
            "KFP_NAMESPACE"
        )
    return client


class _Client(kfp.Client):
    """kfp's client, all of whose requests go through `Transport`.

    Attributes:
      api_client: the generated client below it, for what kfp's has no method for.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        transport = Transport(
            connection.host,
            connection.credentials,
            ca_cert=connection.ca_cert,
            timeout_sec=connection.timeout,
            attempts=connection.attempts,
            wait_sec=connection.wait_sec,
        )
        self._health = _ask_health(connection.host, transport)
        super().__init__(host=connection.host)
        self.api_client = self._run_api.api_client
        self.api_client.rest_client.pool_manager = transport
        self.api_client.deserialize = self._deserializer(self.api_client.deserialize)

    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
        """Returns what the server said at first; kfp's own asks five times, five seconds apart."""
        return self._health

    def set_user_namespace(self, namespace: str) -> None:
        """Sets the namespace; kfp's own writes it into the home folder."""
        self._context_setting["namespace"] = namespace.strip()

    def _deserializer(self, deserialize: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        """Returns one that raises KubeflowError alone."""

        def wrapped(response: Any, kind: str) -> Any:
            with contextlib.suppress(Exception):  # any, of generated code on any JSON
                return deserialize(response, kind)
            raise KubeflowError(
                f"{self._connection.host}: expected an answer that kfp {kfp.__version__} can read "
                f"as {kind}; got another: is the server of another version?"
            )

        return wrapped

    def _load_config(self, *unused: Any) -> Any:
        # kfp's own looks for clusters and for Google's credentials, and may open a browser.
        return kfp_server_api.Configuration(host=self._connection.host)

    def _load_context_setting_or_default(self) -> None:
        # kfp's own reads namespace, cookie and header from the home folder.
        self._context_setting = {"namespace": self._connection.namespace}


def _ask_health(host: str, transport: Transport) -> Any:
    """Returns kfp's GetHealthzResponse; KubeflowError where this is no Kubeflow Pipelines 2."""
    health = _get(transport, host + _V2)
    if health is None:
        health = _get(transport, host + _V1)
        if health is None:
            raise KubeflowError(f"{host}: GET {_V2}: 404: {NO_API}", 404)
        raise _other_version(host, health)
    if str(health.get("tag_name", "")).startswith(("0.", "1.")):
        raise _other_version(host, health)
    return kfp_server_api.V2beta1GetHealthzResponse(multi_user=bool(health.get("multi_user")))


def _get(transport: Transport, url: str) -> dict[str, Any] | None:
    """Returns the JSON at a URL, None where there is nothing."""
    try:
        found = parse(transport.request("GET", url))
    except KubeflowError as error:
        if error.status != 404:
            raise
        return None
    return found if isinstance(found, dict) else None


def _other_version(host: str, health: dict[str, Any]) -> KubeflowError:
    version = health.get("tag_name") or "of a version it does not tell"
    return KubeflowError(
        f"{host}: expected Kubeflow Pipelines 2, whose API is v2beta1; this one is {version}", 404
    )


def _check_address(name: str, address: str) -> str:
    """Returns an address without a slash at its end; what may be a secret is not shown."""
    if not address:
        raise ValueError(f"{name}: expected the address of Kubeflow Pipelines, http(s)://...")
    shown = address.split("?")[0]
    try:
        parts = urllib.parse.urlsplit(address)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets or port
        good = False
    if "@" in shown:
        raise ValueError(f"{name}: expected no user and password in it; use KFP_TOKEN")
    if not good or len(address.split()) != 1:
        raise ValueError(f"{name}: expected http://... or https://...; got {shown!r}")
    if "?" in address or "#" in address:
        raise ValueError(f"{name}: expected nothing after ? or #; got {shown!r}")
    return address.rstrip("/")


def _check_secret(name: str, secret: str) -> None:
    # http.client would quote it in its error.
    if not all(" " <= character <= "~" for character in secret):
        raise ValueError(f"{name}: expected printable ASCII in one line")


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text("utf-8").strip()
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError:
        reason = "it is not text"
    else:
        _check_secret("token_file", token)
        if token:
            return token
        reason = "it is empty"
    raise ValueError(f"token_file: expected a token in {path}: {reason}")
