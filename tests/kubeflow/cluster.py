"""Kubeflow's driver and launcher, as far as a compiled pipeline can tell (KFP 2.0 to 2.17).

Walks the YAML: parameters and artifacts flow as the driver resolves them, every task's command runs
as a process in a pod of its own, and what it leaves is uploaded and read back as by the launcher.
What Kubeflow rejects raises `Rejected`. No task gets anything but what Kubeflow would give it.
"""

import json
import shutil
import threading
import uuid
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kubeflow import checks, pod

PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
OUTPUT_FILE = "/tmp/kfp_outputs/output_metadata.json"

Spec = dict[str, Any]


class Quirks(NamedTuple):
    """In what open-source Kubeflow differs from what TFX expects.

    Attributes:
      executor_logs: an output artifact of the launcher's own.
      empty_schemas: input artifacts come without their type.
      plain_metadata: of what MLMD keeps, booleans come back as numbers, lists and structs wrapped.
      no_folders: output folders do not exist.
    """

    executor_logs: bool = True
    empty_schemas: bool = True
    plain_metadata: bool = True
    no_folders: bool = True


KUBEFLOW = Quirks()


class Run(NamedTuple):
    """A finished run.

    Attributes:
      succeeded: whether no task failed.
      states: by task: SUCCEEDED, CACHED, SKIPPED or FAILED; those that never started are not in it.
      attempts: how often each was started.
      outputs: parameters and artifacts by task.
      logs: a file for each task.
    """

    succeeded: bool
    states: dict[str, str]
    attempts: dict[str, int]
    outputs: dict[str, Spec]
    logs: Path

    def log(self, task: str) -> str:
        """Returns what a task printed."""
        return (self.logs / task).read_text()

    @property
    def failures(self) -> str:
        """The last that the failed tasks printed."""
        failed = (path for path in self.logs.iterdir() if self.states.get(path.name) == "FAILED")
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in failed)


class Cluster:
    """Runs pipelines; keeps artifacts, metadata and the cache from run to run.

    Attributes:
      store: the object stores' files, `<scheme>/<bucket>/<key>`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secrets: dict[str, dict[str, str]] | None = None,
        quirks: Quirks = KUBEFLOW,
        workers: int = 2,
    ):
        self.store = folder / "store"
        self._folder = folder
        self._secrets = secrets or {}
        self._quirks = quirks
        self._workers = workers
        self._cache: dict[str, Spec] = {}

    def run(self, package: str, parameters: Spec | None = None) -> Run:
        """Runs a compiled pipeline; Rejected where the API server would not start it."""
        return _Execution(self, package).run(parameters or {})


class _Execution:
    """One run of one package."""

    def __init__(self, cluster: Cluster, package: str):
        self._cluster = cluster
        self._spec, self._kubernetes = checks.parse(package)
        self._id = uuid.uuid4().hex
        self._folder = cluster._folder / "runs" / self._id
        self._logs = self._folder / "logs"
        self._logs.mkdir(parents=True)
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}
        self._attempts: dict[str, int] = {}
        self._outputs: dict[str, Spec] = {}

    def run(self, parameters: Spec) -> Run:
        declared = self._spec["root"].get("inputDefinitions", {}).get("parameters", {})
        if unknown := parameters.keys() - declared.keys():
            raise checks.Rejected(f"unknown parameters {unknown}")
        values = {
            name: item["defaultValue"] for name, item in declared.items() if "defaultValue" in item
        }
        values |= parameters
        if missing := declared.keys() - values.keys():
            raise checks.Rejected(f"parameters without a value: {missing}")
        succeeded = self._run_dag(self._spec["root"]["dag"]["tasks"], values)
        return Run(succeeded, self._states, self._attempts, self._outputs, self._logs)

    def _run_dag(self, tasks: Spec, values: Spec) -> bool:
        """Runs tasks whose upstream tasks succeeded; tells whether none failed."""
        waiting, running, good = dict(tasks), {}, set()
        with ThreadPoolExecutor(self._cluster._workers) as threads:
            while True:
                for name, task in list(waiting.items()):
                    if good.issuperset(task.get("dependentTasks", ())):
                        running[threads.submit(self._run_task, name, waiting.pop(name), values)] = (
                            name
                        )
                if not running:
                    break
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(done)
                    self._states[name] = done.result()
                    if self._states[name] in ("SUCCEEDED", "CACHED"):
                        good.add(name)
        return not any(self._states.get(name) == "FAILED" for name in tasks)

    def _run_task(self, name: str, task: Spec, values: Spec) -> str:
        component = self._spec["components"][task["componentRef"]["name"]]
        inputs = self._inputs(task, values)
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition and not checks.holds(condition, inputs["parameterValues"]):
            return "SKIPPED"
        if "dag" in component:
            done = self._run_dag(component["dag"]["tasks"], inputs["parameterValues"])
            return "SUCCEEDED" if done else "FAILED"
        label = component["executorLabel"]
        container = self._spec["deploymentSpec"]["executors"][label]["container"]
        key = checks.fingerprint(inputs, component, container)
        if task.get("cachingOptions", {}).get("enableCache") and key in self._cluster._cache:
            self._outputs[name] = self._cluster._cache[key]
            return "CACHED"
        for attempt in checks.attempts(task.get("retryPolicy", {})):
            self._attempts[name] = attempt
            found = self._launch(name, attempt, inputs, component, container)
            if found is not None:
                self._outputs[name] = self._cluster._cache[key] = found
                return "SUCCEEDED"
        return "FAILED"

    def _inputs(self, task: Spec, values: Spec) -> Spec:
        """Resolves as the driver does."""
        parameters, artifacts = {}, {}
        for name, given in task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in given:
                parameters[name] = values[given["componentInputParameter"]]
            elif output := given.get("taskOutputParameter"):
                produced = self._outputs[output["producerTask"]]["parameterValues"]
                parameters[name] = produced[output["outputParameterKey"]]
            else:
                parameters[name] = given["runtimeValue"]["constant"]
        for name, given in task.get("inputs", {}).get("artifacts", {}).items():
            output = given["taskOutputArtifact"]
            produced = self._outputs[output["producerTask"]]["artifacts"]
            artifact = dict(produced[output["outputArtifactKey"]])
            if self._cluster._quirks.empty_schemas:
                artifact["type"] = {"instanceSchema": ""}
            artifacts[name] = {"artifacts": [artifact]}
        return {"parameterValues": parameters, "artifacts": artifacts}

    def _launch(
        self, name: str, attempt: int, inputs: Spec, component: Spec, container: Spec
    ) -> Spec | None:
        """Runs a task once in a pod of its own; returns its outputs, None where it failed."""
        executor_input = {"inputs": inputs, "outputs": self._provide(name, component)}
        json_format.ParseDict(executor_input, pipeline_spec_pb2.ExecutorInput())
        folder = self._folder / f"{name}-{attempt}"
        files = folder / "files"
        for found in inputs["artifacts"].values():
            self._download(found["artifacts"][0]["uri"], files)
        for found in executor_input["outputs"].get("artifacts", {}).values():
            place = pod.local_path(files, found["artifacts"][0]["uri"])
            place = place.parent if self._cluster._quirks.no_folders else place
            place.mkdir(parents=True, exist_ok=True)
        kubernetes = self._kubernetes.get(component["executorLabel"], {})
        text, parts = json.dumps(executor_input), [*container["command"], *container["args"]]
        command = [part.replace("{{$}}", text) for part in parts]
        code = pod.run(
            command,
            folder,
            self._environment(container, kubernetes),
            self._logs / name,
            float(kubernetes.get("activeDeadlineSeconds", 600)),
        )
        if code:
            return None
        outputs = self._collect(executor_input["outputs"], component, files)
        shutil.rmtree(folder)
        return outputs

    def _provide(self, name: str, component: Spec) -> Spec:
        """Returns where outputs are to go."""
        declared = component.get("outputDefinitions", {})
        types = {key: item["artifactType"] for key, item in declared.get("artifacts", {}).items()}
        if self._cluster._quirks.executor_logs:
            types["executor-logs"] = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
        place = (
            f"{PIPELINE_ROOT}/{self._spec['pipelineInfo']['name']}/{self._id}/{name}/{uuid.uuid4()}"
        )
        return {
            "parameters": {
                key: {"outputFile": f"/tmp/kfp/outputs/{key}"}
                for key in declared.get("parameters", {})
            },
            "artifacts": {
                key: {
                    "artifacts": [
                        {"name": key, "uri": f"{place}/{key}", "type": kind, "metadata": {}}
                    ]
                }
                for key, kind in types.items()
            },
            "outputFile": OUTPUT_FILE,
        }

    def _environment(self, container: Spec, kubernetes: Spec) -> dict[str, str]:
        variables = {item["name"]: item["value"] for item in container.get("env", ())}
        for secret in kubernetes.get("secretAsEnv", ()):
            for item in secret["keyToEnv"]:
                values = self._cluster._secrets[secret["secretName"]]
                variables[item["envVar"]] = values[item["secretKey"]]
        return variables

    def _collect(self, expected: Spec, component: Spec, files: Path) -> Spec:
        """Uploads artifacts, reads back what the task says of its outputs."""
        said = checks.read_output(files / OUTPUT_FILE.removeprefix("/"))
        parameters = dict(said.get("parameterValues", {}))
        for key in component.get("outputDefinitions", {}).get("parameters", {}):
            if key not in parameters:
                parameters[key] = (files / f"tmp/kfp/outputs/{key}").read_text()
        artifacts = {}
        for key, found in expected["artifacts"].items():
            artifact = dict(found["artifacts"][0])
            if told := said.get("artifacts", {}).get(key, {}).get("artifacts"):
                artifact["uri"] = told[0].get("uri") or artifact["uri"]
                artifact["metadata"] = told[0].get("metadata", {})
            self._upload(artifact["uri"], files)
            artifact["name"] = uuid.uuid4().hex  # MLMD's id
            artifact["metadata"] = {
                **{name: self._kept(value) for name, value in artifact["metadata"].items()},
                "display_name": key,
                "store_session_info": '{"Provider":"minio","Params":{"fromEnv":"true"}}',
            }
            artifacts[key] = artifact
        return {"parameterValues": parameters, "artifacts": artifacts}

    def _kept(self, value: Any) -> Any:
        """Returns a value as MLMD gives it back."""
        if not self._cluster._quirks.plain_metadata:
            return value
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, list):
            return {"list": value}
        return {"struct": value} if isinstance(value, dict) else value

    def _stored(self, uri: str) -> Path:
        return self._cluster.store / uri.replace("://", "/", 1)

    def _upload(self, uri: str, files: Path) -> None:
        path = pod.local_path(files, uri)
        for source in [path, *path.rglob("*")]:
            if source.is_file():  # a bucket has no folders
                target = self._stored(uri) / source.relative_to(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)

    def _download(self, uri: str, files: Path) -> None:
        if self._stored(uri).exists():
            shutil.copytree(self._stored(uri), pod.local_path(files, uri), dirs_exist_ok=True)
