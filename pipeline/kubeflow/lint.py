"""Holds a compiled pipeline against what Kubeflow takes: mistakes are told before anything runs.

What Kubeflow's API server, driver and launcher reject is scattered over them, and some of it shows
only when a task starts. Here it is in one place.
"""

import importlib
import re
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import yaml

from pipeline.kubeflow.settings import PIPELINE_NAME, is_image

SCHEMA_VERSION = "2.1.0"

_TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_TYPE_NAME = re.compile(r"[a-z][a-z0-9-_]{2,20}[.][A-Z]\w*")
#: TFX's own types, which its entrypoint finds by this name.
_TFX_TYPES = "tfx."
_CONDITION = re.compile(r"inputs\.parameter_values\['([\w-]+)'\] == '[^']*'")
#: The launcher fills this in as JSON. It would put others into JSON as they are, quotes and all.
_PLACEHOLDER = "{{$}}"
#: What becomes a container; others are Vertex AI's, or need a server that has them.
_CONTAINER = "container"

Spec = dict[str, Any]


class _Dag(NamedTuple):
    """Tasks, and what stands around them."""

    name: str
    tasks: Spec
    inputs: Spec
    components: Spec


def check(package: str) -> None:
    """Checks a compiled pipeline, YAML.

    Raises:
      ValueError: says all that is wrong, each with its place.
    """
    found = list(problems(package))
    if found:
        raise ValueError("package: " + "; ".join(found))


def problems(package: str) -> Iterator[str]:
    """Yields what is wrong, a sentence each."""
    documents = list(yaml.safe_load_all(package))
    if not 1 <= len(documents) <= 2:
        yield f"expected one or two documents; got {len(documents)}"
        return
    spec, platform = documents[0], documents[1] if len(documents) == 2 else {}
    if unparsable := list(_parse(spec, platform, package)):
        yield from unparsable
        return
    yield from _info(spec)
    executors = spec["deploymentSpec"]["executors"]
    for label, executor in executors.items():
        yield from _executor(label, executor)
    for name, component in spec["components"].items():
        if (label := component.get("executorLabel")) and label not in executors:
            yield f"component {name}: no executor {label}"
        yield from _types(name, component)
    for dag in _dags(spec):
        yield from _dag(dag)
    for name, parameter in _parameters(spec["root"], "inputDefinitions").items():
        if "defaultValue" not in parameter:
            yield f"parameter {name}: expected a default; a run that omits it is rejected"
    of_platform = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    for label in of_platform.get("executors", {}).keys() - executors.keys():
        yield f"kubernetes: no executor {label}"


def _parse(spec: Spec, platform: Spec, package: str) -> Iterator[str]:
    """Parses both documents strictly, then as the SDK does before it uploads."""
    from google.protobuf import json_format
    from kfp import components
    from kfp.pipeline_spec import pipeline_spec_pb2

    for document, message in (
        (spec, pipeline_spec_pb2.PipelineSpec()),
        (platform, pipeline_spec_pb2.PlatformSpec()),
    ):
        try:
            json_format.ParseDict(document, message)
        except json_format.ParseError as error:
            yield f"{type(message).__name__}: {error}"
            return
    try:
        components.load_component_from_text(package)
    except Exception as error:
        yield f"the SDK cannot load it: {error}"


def _info(spec: Spec) -> Iterator[str]:
    if spec.get("schemaVersion") != SCHEMA_VERSION:
        yield f"schemaVersion: expected {SCHEMA_VERSION}; got {spec.get('schemaVersion')}"
    name = spec.get("pipelineInfo", {}).get("name", "")
    if not PIPELINE_NAME.fullmatch(name):
        yield f"pipelineInfo: expected a name of lowercase letters, digits and -; got {name!r}"


def _executor(label: str, executor: Spec) -> Iterator[str]:
    if set(executor) != {_CONTAINER}:
        yield f"executor {label}: expected a container; got {', '.join(executor)}"
        return
    container = executor[_CONTAINER]
    if "lifecycle" in container:
        yield f"executor {label}: expected no lifecycle, which is ignored"
    if not is_image(container.get("image", "")):
        yield f"executor {label}: expected an image with a tag; got {container.get('image')!r}"
    for text in [*container.get("command", ()), *container.get("args", ())]:
        if "{{$" in text.replace(_PLACEHOLDER, ""):
            yield f"executor {label}: expected no placeholder but {_PLACEHOLDER} in {text[:60]!r}"


def _types(name: str, component: Spec) -> Iterator[str]:
    """Checks the artifacts' type names, by which the entrypoint imports them."""
    for side in ("inputDefinitions", "outputDefinitions"):
        for key, artifact in component.get(side, {}).get("artifacts", {}).items():
            schema = yaml.safe_load(artifact["artifactType"].get("instanceSchema", "")) or {}
            title = schema.get("title", "")
            package, _, kind = title.rpartition(".")
            if not _TYPE_NAME.fullmatch(title):
                yield f"{name}, {key}: expected a type <package>.<Class>; got {title!r}"
            elif not title.startswith(_TFX_TYPES) and not _importable(package, kind):
                yield f"{name}, {key}: type {title} cannot be imported"


def _importable(package: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(package), name)
    except ImportError:
        return False


def _dags(spec: Spec) -> Iterator[_Dag]:
    for name, component in {"root": spec["root"], **spec["components"]}.items():
        if "dag" in component:
            tasks = component["dag"]["tasks"]
            inputs = _parameters(component, "inputDefinitions")
            yield _Dag(name, tasks, inputs, spec["components"])


def _dag(dag: _Dag) -> Iterator[str]:
    for name, task in dag.tasks.items():
        where = f"task {name}"
        if not _TASK_NAME.fullmatch(name):
            yield f"{where}: expected letters, digits and - in its name"
        if task["componentRef"]["name"] not in dag.components:
            yield f"{where}: no component {task['componentRef']['name']}"
            continue
        for upstream in task.get("dependentTasks", ()):
            if upstream not in dag.tasks:
                yield f"{where}: depends on {upstream}, which is not in {dag.name}"
        yield from _condition(where, task)
        yield from _inputs(where, task, dag)
    if cycle := _cycle(dag.tasks):
        yield f"{dag.name}: tasks wait for each other: {', '.join(sorted(cycle))}"


def _condition(where: str, task: Spec) -> Iterator[str]:
    condition = task.get("triggerPolicy", {}).get("condition")
    if condition is None:
        return
    found = _CONDITION.fullmatch(condition)
    if not found or found[1] not in task.get("inputs", {}).get("parameters", {}):
        yield f"{where}: expected a condition on one of its own inputs; got {condition!r}"


def _inputs(where: str, task: Spec, dag: _Dag) -> Iterator[str]:
    component = dag.components[task["componentRef"]["name"]]
    for kind in ("parameters", "artifacts"):
        declared = component.get("inputDefinitions", {}).get(kind, {})
        given = task.get("inputs", {}).get(kind, {})
        for name in given.keys() - declared.keys():
            yield f"{where}: input {name} is not declared"
        for name in declared.keys() - given.keys():
            if "defaultValue" not in declared[name] and not declared[name].get("isOptional"):
                yield f"{where}: input {name} is missing"
        for name in given.keys() & declared.keys():
            yield from _input(f"{where}, input {name}", given[name], declared[name], task, dag)


def _input(where: str, given: Spec, declared: Spec, task: Spec, dag: _Dag) -> Iterator[str]:
    """Checks that what an input is given is there, in time, and of its type."""
    source: Spec | None
    if (name := given.get("componentInputParameter")) is not None:
        source = dag.inputs.get(name)
        if source is None:
            yield f"{where}: {dag.name} has no parameter {name}"
    elif (output := given.get("taskOutputParameter")) is not None:
        source = yield from _output(where, output, "parameters", "outputParameterKey", task, dag)
    elif (output := given.get("taskOutputArtifact")) is not None:
        source = yield from _output(where, output, "artifacts", "outputArtifactKey", task, dag)
    elif "{{$" in str(given["runtimeValue"]["constant"]):
        yield f"{where}: expected no placeholder; got {given['runtimeValue']['constant']!r}"
        return
    else:
        return
    for key in ("parameterType", "artifactType"):
        if source is not None and source.get(key) != declared.get(key):
            yield f"{where}: expected {declared.get(key)}; got {source.get(key)}"


def _output(
    where: str, output: Spec, kind: str, key: str, task: Spec, dag: _Dag
) -> Generator[str, None, Spec | None]:
    """Returns the declaration of another task's output; yields why there is none."""
    producer = output["producerTask"]
    if producer not in dag.tasks:
        yield f"{where}: no task {producer} in {dag.name}"
        return None
    if producer not in task.get("dependentTasks", ()):
        yield f"{where}: expected {producer} among the tasks that it waits for"
    component = dag.components.get(dag.tasks[producer]["componentRef"]["name"], {})
    found = component.get("outputDefinitions", {}).get(kind, {}).get(output[key])
    if found is None:
        yield f"{where}: task {producer} has no output {output[key]}"
    return found


def _parameters(component: Spec, side: str) -> Spec:
    return component.get(side, {}).get("parameters", {})


def _cycle(tasks: Spec) -> set[str]:
    """Returns the tasks that can never start."""
    waiting = {
        name: set(task.get("dependentTasks", ())) & tasks.keys() for name, task in tasks.items()
    }
    while ready := [name for name, upstream in waiting.items() if not upstream]:
        for name in ready:
            del waiting[name]
        for upstream in waiting.values():
            upstream.difference_update(ready)
    return set(waiting)
