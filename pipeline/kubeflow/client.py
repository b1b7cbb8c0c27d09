"""Submits a compiled pipeline to Kubeflow Pipelines 2 and waits for its run."""

import contextlib
import io
import json
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

import kfp_server_api

from pipeline.kubeflow.connection import Connection, connect
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.transport import KubeflowError

SUCCEEDED = "SUCCEEDED"
_FINAL = frozenset({SUCCEEDED, "FAILED", "SKIPPED", "CANCELED"})
_FAILED = frozenset({"FAILED", "SYSTEM_ERROR"})
#: Of a task that never starts, as one before it failed.
_OMITTED = "RUNTIME_STATE_UNSPECIFIED"
#: Parts of a run, and of a task, that fail with it and say no more.
_PARTS = re.compile(r"root|executor(\(\d+\))?")
#: Prepares a task; where it fails, the task itself never comes to be.
_DRIVER = re.compile(r".+-driver(\(\d+\))?")
_PAGE_SIZE = 100


class Version(NamedTuple):
    """A version of a pipeline on the server; `new` says whether it was uploaded just now."""

    pipeline_id: str
    version_id: str
    new: bool


class Run(NamedTuple):
    """A run, and the address of its page."""

    run_id: str
    link: str
    version: Version


class Outcome(NamedTuple):
    """How a run ended: its state and, where that is not SUCCEEDED, why."""

    state: str
    error: str


class Kubeflow:
    """An installation of Kubeflow Pipelines; its methods raise KubeflowError where it refuses.

    Attributes:
      connection: where it is, and as whom to ask it.
      client: kfp's.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.client = connect(connection)
        self._namespace = self.client.get_user_namespace() or None

    def upload(self, package: Package, pipeline_name: str = "") -> Version:
        """Makes a package a version of a pipeline, and makes the pipeline if need be.

        Versions are named by their content, so that the same package is uploaded once.
        """
        name = pipeline_name or package.name
        pipeline_id, _ = _find_or_make(
            lambda: self._find_pipeline(name), lambda: self._make_pipeline(name)
        )
        version_id, new = _find_or_make(
            lambda: self._find_version(pipeline_id, package.version),
            lambda: self._upload(pipeline_id, package),
        )
        return Version(pipeline_id, version_id, new)

    def submit(
        self,
        package: Package,
        parameters: Mapping[str, Any],
        *,
        pipeline_name: str = "",
        pipeline_root: str = "",
        experiment: str = "",
    ) -> Run:
        """Uploads a package if need be and starts a run of it.

        Args:
          package: what to run.
          parameters: of the run, see `Package.arguments`.
          pipeline_name: what the pipeline is called there; "": as in the package.
          pipeline_root: where artifacts are written; "": as in the package.
          experiment: the run's; made if need be; "": the pipeline's name.
        """
        name = pipeline_name or package.name
        version = self.upload(package, name)
        experiment_id = self.experiment(experiment or name)
        with _no_prints():
            run = self.client.run_pipeline(
                experiment_id=experiment_id,
                job_name=f"{name} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S}",
                params=dict(parameters),
                pipeline_id=version.pipeline_id,
                version_id=version.version_id,
                pipeline_root=pipeline_root or package.pipeline_root or None,
            )
        run_id = self.id_of(run, "run_id")
        return Run(run_id, self.connection.link(f"runs/details/{run_id}"), version)

    def wait(
        self,
        run_id: str,
        on_progress: Callable[[str, str], None],
        *,
        poll_sec: float = 5.0,
        patience_sec: float = 300.0,
    ) -> Outcome:
        """Waits for the end of a run.

        Args:
          run_id: of `submit`.
          on_progress: told the name and the new state of each task whose state changed.
          poll_sec: between two questions.
          patience_sec: how long the server may be out of reach meanwhile.
        """
        states: dict[str, str] = {}
        answered = time.monotonic()
        while True:
            try:
                run = self.client.get_run(run_id)
            except KubeflowError as error:
                if not error.may_pass or time.monotonic() - answered > patience_sec:
                    raise
            else:
                answered = time.monotonic()
                for key, name, state, _ in _tasks(run):
                    if states.get(key) != state:
                        states[key] = state
                        on_progress(name, state)
                if run.state in _FINAL:
                    return Outcome(run.state, "" if run.state == SUCCEEDED else _why(run))
            time.sleep(poll_sec)

    def experiment(self, name: str) -> str:
        """Returns the id of an experiment; makes it if need be."""
        with _no_prints():
            try:
                found = self.client.create_experiment(name, namespace=self._namespace)
            except KubeflowError as error:
                if error.status != 409:
                    raise
                # kfp's looks first; another one made it in between.
                found = self.client.create_experiment(name, namespace=self._namespace)
        return self.id_of(found, "experiment_id")

    def recurring_runs(self, name: str) -> Iterator[Any]:
        """Yields kfp's RecurringRuns of a name."""
        return self._named("recurring_runs", name, self.client.list_recurring_runs)

    def id_of(self, answer: Any, field: str) -> str:
        """Returns an id out of an answer."""
        if value := getattr(answer, field, None):
            return value
        raise KubeflowError(
            f"{self.connection.host}: expected {field} in the answer; there is none: is the "
            "server of another version?"
        )

    def _find_pipeline(self, name: str) -> str | None:
        found = self._named("pipelines", name, self.client.list_pipelines)
        return next((pipeline.pipeline_id for pipeline in found), None)

    def _make_pipeline(self, name: str) -> str:
        api = self.client.pipelines
        # kfp's client makes pipelines with a version only, which it names as the pipeline.
        create = getattr(api, "pipeline_service_create_pipeline", None) or api.create_pipeline
        made = create(kfp_server_api.V2beta1Pipeline(display_name=name, namespace=self._namespace))
        return self.id_of(made, "pipeline_id")

    def _find_version(self, pipeline_id: str, name: str) -> str | None:
        found = self._named(
            "pipeline_versions", name, self.client.list_pipeline_versions, pipeline_id=pipeline_id
        )
        return next((version.pipeline_version_id for version in found), None)

    def _upload(self, pipeline_id: str, package: Package) -> str:
        with _no_prints():
            version = self.client.upload_pipeline_version(
                str(package.path), package.version, pipeline_id=pipeline_id
            )
        return self.id_of(version, "pipeline_version_id")

    def _named(
        self, field: str, name: str, ask: Callable[..., Any], **arguments: Any
    ) -> Iterator[Any]:
        """Yields what has a name, over all pages of a list."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        # Quoted: the server decodes it once more than the rest of the URL.
        arguments["filter"] = urllib.parse.quote(json.dumps({"predicates": [predicate]}))
        if "pipeline_id" not in arguments:
            arguments["namespace"] = self._namespace
        token, seen = "", {""}
        while True:
            page = ask(page_token=token, page_size=_PAGE_SIZE, **arguments)
            # Databases compare without regard to case.
            yield from (item for item in getattr(page, field) or [] if item.display_name == name)
            token = page.next_page_token or ""
            if token in seen:
                return
            seen.add(token)


@contextlib.contextmanager
def _no_prints() -> Iterator[None]:
    """Keeps to itself what kfp prints: links of its own making."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _find_or_make(find: Callable[[], str | None], make: Callable[[], str]) -> tuple[str, bool]:
    """Returns the id of what there is, or else is made, and whether it was made."""
    if found := find():
        return found, False
    try:
        return make(), True
    except KubeflowError as error:
        if error.status != 409 or not (found := find()):
            raise
        return found, False  # another one made it in between


def _tasks(run: Any) -> Iterator[tuple[str, str, str, str]]:
    """Yields key, name, state and error of a run's tasks."""
    for task in (run.run_details and run.run_details.task_details) or []:
        name, state = task.display_name or "", task.state or _OMITTED
        if (
            state == _OMITTED
            or _PARTS.fullmatch(name)
            or (_DRIVER.fullmatch(name) and state not in _FAILED)
        ):
            continue
        error = task.error.message if task.error else ""
        yield task.task_id or name, name, state, error or ""


def _why(run: Any) -> str:
    """Returns why a run failed, in one line."""
    failed = [
        f"{name} ({error})" if error else name
        for _, name, state, error in _tasks(run)
        if state in _FAILED
    ]
    parts = [
        run.error.message if run.error else "",
        f"in {', '.join(failed)}" if failed else "",
    ]
    return " ".join("; ".join(filter(None, parts)).split())
