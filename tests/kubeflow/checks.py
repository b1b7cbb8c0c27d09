"""What Kubeflow's API server, driver and launcher check of a pipeline and of what tasks leave."""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import duration_pb2, json_format
from kfp.pipeline_spec import pipeline_spec_pb2

_CONDITION = re.compile(r"inputs\.parameter_values\['([\w-]+)'\] == '([^']*)'")
#: Of kfp_kubernetes.KubernetesExecutorConfig: those that this project uses.
_KUBERNETES = {
    "activeDeadlineSeconds", "emptyDirMounts", "nodeSelector", "secretAsEnv", "tolerations",
}  # fmt: skip

Spec = dict[str, Any]


class Rejected(Exception):
    """Kubeflow would not take this."""


def parse(package: str) -> tuple[Spec, Spec]:
    """Returns the pipeline and Kubernetes' part of its executors, both parsed strictly."""
    documents = list(yaml.safe_load_all(package))
    if not 1 <= len(documents) <= 2:
        raise Rejected(f"{len(documents)} documents")
    spec, platform = documents[0], documents[1] if len(documents) == 2 else {}
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        raise Rejected(str(error)) from error
    if spec["schemaVersion"] != "2.1.0":
        raise Rejected(f"schemaVersion {spec['schemaVersion']}")
    for label, executor in spec["deploymentSpec"]["executors"].items():
        if set(executor) != {"container"}:
            raise Rejected(f"{label}: {', '.join(executor)} not implemented")
    kubernetes = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    executors = kubernetes.get("executors", {})
    for label, config in executors.items():
        if unknown := config.keys() - _KUBERNETES:
            raise Rejected(f"{label}: unknown fields {unknown}")
    return spec, executors


def holds(condition: str, parameters: Spec) -> bool:
    found = _CONDITION.fullmatch(condition)
    if not found or found[1] not in parameters:
        raise Rejected(f"condition {condition}")
    return parameters[found[1]] == found[2]


def attempts(policy: Spec) -> Iterator[int]:
    """Yields 1, 2 and so on, as long as Argo tries a task again."""
    yield 1
    duration = duration_pb2.Duration()
    duration.FromJsonString(policy.get("backoffMaxDuration", "0s"))
    until = time.monotonic() + duration.seconds
    for attempt in range(2, policy.get("maxRetryCount", 0) + 2):
        if time.monotonic() < until:
            yield attempt


def fingerprint(inputs: Spec, component: Spec, container: Spec) -> str:
    """Returns what the driver looks a task up by: no metadata, no contents, artifacts by name."""
    named = {key: found["artifacts"][0]["name"] for key, found in inputs["artifacts"].items()}
    facts = [inputs["parameterValues"], named, component, container]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def read_output(path: Path) -> Spec:
    """Returns what a task says of its outputs, parsed strictly; nothing where it says nothing."""
    said = json.loads(path.read_text()) if path.exists() else {}
    if "null" in re.findall(r'"(?:[^"\\]|\\.)*"|null', json.dumps(said)):
        raise Rejected("output_metadata.json: null")
    try:
        json_format.ParseDict(said, pipeline_spec_pb2.ExecutorOutput())
    except json_format.ParseError as error:
        raise Rejected(f"output_metadata.json: {error}") from error
    return said
