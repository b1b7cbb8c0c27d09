"""How this project asks Kubeflow Pipelines over HTTP: credentials, time-outs, other tries, errors.

`Transport` stands for the `pool_manager` of kfp's generated client, and raises `KubeflowError`
where that would raise one of a dozen others.
"""

import json
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

import tenacity
import urllib3

_CONNECT_TIMEOUT_SEC = 10.0
_LONGEST_WAIT_SEC = 10.0
_LONGEST_REASON = 500
#: Shorter ones are no secrets, and would make holes in what the server says.
_SHORTEST_SECRET = 6
#: Answers to a GET after which another try may help.
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

_CREDENTIALS = "set KFP_TOKEN or KFP_COOKIES, or give --token-file"
NO_API = "it is gone, or the host is not the address of the API of Kubeflow Pipelines 2"
_ADVICE = {
    401: f"the credentials are missing, wrong or out of date: {_CREDENTIALS}",
    403: "these credentials may not do that here: check --namespace and the permissions in it",
    404: NO_API,
    409: "there is one already; if another made it just now, try again",
}

Headers = dict[str, str]


class KubeflowError(RuntimeError):
    """What Kubeflow refused or failed to do, in one line without secrets.

    Attributes:
      status: of the server's answer; 0 where there was none.
      may_pass: whether the same request may be made again, and may then be answered.
    """

    def __init__(self, message: str, status: int = 0, may_pass: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.may_pass = may_pass


class Transport:
    """Makes requests to one host.

    Args:
      host: named in errors.
      credentials: gives the headers with the secrets, anew for each request; ValueError where
        there are none, in which case nothing is sent.
      ca_cert: a file of certificates to trust; "": the system's.
      timeout_sec: how long the server may be silent.
      attempts: how often a request is made that changes nothing, or was never sent.
      wait_sec: before the second attempt, at most; doubles each time.
    """

    def __init__(
        self,
        host: str,
        credentials: Callable[[], Headers],
        *,
        ca_cert: str,
        timeout_sec: float,
        attempts: int,
        wait_sec: float,
    ) -> None:
        self._host = host
        self._credentials = credentials
        self._manager = urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=ca_cert or None)
        self._timeout_sec = timeout_sec
        self._timeout = urllib3.Timeout(
            connect=min(timeout_sec, _CONNECT_TIMEOUT_SEC), read=timeout_sec
        )
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_random_exponential(wait_sec, _LONGEST_WAIT_SEC),
            retry=tenacity.retry_if_exception(lambda error: getattr(error, "may_pass", False)),
            reraise=True,
        )

    def request(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Returns an answer that is good and JSON, or raises KubeflowError."""
        return self._retrying(self._once, method, url, options)

    def _once(self, method: str, url: str, options: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        asked = f"{method} {urllib.parse.urlsplit(url).path}"
        secrets: Headers = {}
        try:
            secrets = self._credentials()
            options = options | {
                "headers": {**options.get("headers", {}), **secrets},
                "timeout": self._timeout,
                "retries": False,
                # It would lead to a page for people to log in at; the secrets are for this host.
                "redirect": False,
            }
            response = self._manager.request(method, url, **options)
            failure = _refusal(method, response)
        except urllib3.exceptions.HTTPError as error:
            failure = self._unanswered(method, error)
        except ValueError as error:
            failure = KubeflowError(str(error))
        if failure is None:
            return response
        # A new one, out here: errors of other libraries, which may quote headers, stay behind.
        line = f"{self._host}: {asked}: {_censor(str(failure), secrets)}"
        raise KubeflowError(line, failure.status, failure.may_pass)

    def _unanswered(self, method: str, error: Exception) -> KubeflowError:
        errors = urllib3.exceptions
        never_sent = isinstance(error, (errors.NewConnectionError, errors.ConnectTimeoutError))
        what = str(error)
        if isinstance(error, errors.TimeoutError) and not isinstance(
            error, errors.NewConnectionError
        ):
            what = f"no answer within {self._timeout_sec:g} s"
        if isinstance(error, errors.SSLError):
            return KubeflowError(f"{what}; --ca-cert names certificates of your own to trust")
        if never_sent:
            what += "; check --host, and that its port is open or forwarded"
        elif method != "GET":
            what += "; whether it was done is unknown: look before you try again"
        return KubeflowError(what, may_pass=never_sent or method == "GET")


def parse(answer: urllib3.BaseHTTPResponse) -> Any:
    """Returns the JSON of an answer, None where it is none."""
    try:
        return json.loads(answer.data)
    except ValueError:
        return None


def _refusal(method: str, answer: urllib3.BaseHTTPResponse) -> KubeflowError | None:
    status, content = answer.status, parse(answer)
    if 200 <= status < 300 and content is not None:
        return None
    what = f"{status} {answer.reason or ''}".strip()
    if status < 400:
        got = answer.headers.get("Location") or answer.headers.get("Content-Type") or "no type"
        what += f": expected JSON; got {got}: the host is not the API's address, or wants a login"
        return KubeflowError(f"{what}: {_CREDENTIALS}", status)
    if reason := _reason(content, answer.data):
        what += f": {reason}"
    if advice := _ADVICE.get(status):
        what += f"; {advice}"
    return KubeflowError(what, status, method == "GET" and status in _PASSING_STATUS)


def _reason(content: Any, data: bytes) -> str:
    """Returns what the server says: gateways write `message`, uploads `error_message` or text."""
    if isinstance(content, dict):
        names = ("message", "error_message", "error")
        text = next((str(content[name]) for name in names if content.get(name)), "")
    else:
        text = data.decode("utf-8", "replace")
        if text.lstrip().startswith("<"):  # a proxy's page
            return ""
    return " ".join(text.split())[:_LONGEST_REASON]


def _censor(text: str, secrets: Headers) -> str:
    """Returns one line; some servers tell back what they were sent."""
    text = " ".join(text.split())
    for value in secrets.values():
        parts = re.split(r"[\s;=]+", value)
        for secret in sorted({value, *parts}, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET and secret != "Bearer":
                text = text.replace(secret, "***")
    return text
