"""A cluster's settings as a compiled pipeline has them: of containers, tasks and Kubernetes."""

from collections.abc import Iterable
from typing import Any

from pipeline.kubeflow.settings import KubeflowConfig

#: By the stages' labels of executors: those that run the network.
_ON_GPU = frozenset({"Trainer_executor", "BulkInferrer_executor"})
_TRAINER = "Trainer_executor"
_SCRATCH, _SHM = "/scratch", "/dev/shm"
#: A year. Kubeflow has Argo end all attempts so long after the first began, whatever they are at;
#: the specification, which calls it a limit of waiting, allows an hour.
_NO_DEADLINE = "31536000s"

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
        "backoffMaxDuration": _NO_DEADLINE,
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
    volumes = []
    if platform.scratch:
        volumes.append(_volume("scratch", _SCRATCH, platform.scratch))
    if platform.shm and label == _TRAINER:
        # Servers know no `enabledSharedMemory`, which the specification has for this.
        volumes.append(_volume("shm", _SHM, platform.shm) | {"medium": "Memory"})
    if volumes:
        found["emptyDirMounts"] = volumes
    if platform.gpus and label in _ON_GPU:
        if platform.gpu_node_labels:
            labels = dict(pair.split("=", 1) for pair in platform.gpu_node_labels)
            found["nodeSelector"] = {"labels": labels}
        if platform.gpu_tolerations:
            found["tolerations"] = [_toleration(taint) for taint in platform.gpu_tolerations]
    return found


def _volume(name: str, path: str, size: int) -> Spec:
    return {"volumeName": name, "mountPath": path, "sizeLimit": f"{size}Gi"}


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
