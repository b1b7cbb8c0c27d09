"""A cluster's settings as a compiled pipeline has them: of containers, tasks and Kubernetes."""

from collections.abc import Iterable
from typing import Any

from pipeline.kubeflow.settings import KubeflowConfig

#: By the stages' labels of executors: those that run the network.
_ON_GPU = frozenset({"Trainer_executor", "BulkInferrer_executor"})
_TRAINER = "Trainer_executor"
_SCRATCH = "/scratch"

Spec = dict[str, Any]


def container(platform: KubeflowConfig, label: str) -> Spec:
    """Returns resources and environment of the container of an executor."""
    # Not the newer fields of the same, which are strings: older servers do not know them.
    resources: Spec = {
        "cpuRequest": platform.cpu,
        "cpuLimit": platform.cpu_limit,
        "memoryRequest": platform.memory,
        "memoryLimit": platform.memory_limit,
    }
    if platform.gpus and label in _ON_GPU:
        resources["accelerator"] = {"type": platform.gpu_resource, "count": str(platform.gpus)}
    variables = dict(variable.split("=", 1) for variable in platform.env_vars)
    if platform.scratch:
        variables["TMPDIR"] = _SCRATCH
    found: Spec = {"resources": resources}
    if variables:
        found["env"] = [{"name": name, "value": value} for name, value in variables.items()]
    return found


def retry_policy(platform: KubeflowConfig) -> Spec:
    """Returns how a task is tried again."""
    return {
        "maxRetryCount": platform.retries,
        "backoffDuration": f"{platform.retry_wait:g}s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "3600s",
    }


def document(platform: KubeflowConfig, labels: Iterable[str]) -> Spec:
    """Returns the second document of a compiled pipeline: what Kubernetes is to know."""
    executors = {label: _executor(platform, label) for label in labels}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _executor(platform: KubeflowConfig, label: str) -> Spec:
    found: Spec = {}
    if platform.deadline:
        found["activeDeadlineSeconds"] = str(platform.deadline)
    if platform.secrets:
        found["secretAsEnv"] = [_secret(secret) for secret in platform.secrets]
    if platform.scratch:
        found["emptyDirMounts"] = [
            {
                "volumeName": "scratch",
                "mountPath": _SCRATCH,
                "sizeLimit": f"{platform.scratch}Gi",
            }
        ]
    if platform.shm and label == _TRAINER:
        found["enabledSharedMemory"] = {"volumeName": "shm", "size": f"{platform.shm}Gi"}
    if platform.gpus and label in _ON_GPU:
        if platform.gpu_node_labels:
            labels = dict(pair.split("=", 1) for pair in platform.gpu_node_labels)
            found["nodeSelector"] = {"labels": labels}
        if platform.gpu_tolerations:
            found["tolerations"] = [_toleration(taint) for taint in platform.gpu_tolerations]
    return found


def _secret(text: str) -> Spec:
    """Reads SECRET:KEY=NAME."""
    name, _, rest = text.partition(":")
    key, _, variable = rest.partition("=")
    return {"secretName": name, "keyToEnv": [{"secretKey": key, "envVar": variable}]}


def _toleration(text: str) -> Spec:
    """Reads KEY[=VALUE]:EFFECT."""
    taint, _, effect = text.rpartition(":")
    key, equals, value = taint.partition("=")
    if equals:
        return {"key": key, "operator": "Equal", "value": value, "effect": effect}
    return {"key": key, "operator": "Exists", "effect": effect}
