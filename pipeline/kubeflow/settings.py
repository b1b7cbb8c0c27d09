"""`KubeflowConfig`: what a compiled pipeline needs of a cluster."""

import dataclasses
import re

from pipeline.knobs import check, knob, number, whole

#: Of a container image: registry and path, then a tag or a digest.
_PATH = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[\w.-]+(?::\d+)?/)?{_PATH}(?:/{_PATH})*"
    r"(?P<tag>:\w[\w.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
PIPELINE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[\w.-]+=[A-Za-z_]\w*")
_TOLERATION = re.compile(r"[\w./-]+(=[\w.-]+)?:(NoSchedule|PreferNoSchedule|NoExecute)")


@dataclasses.dataclass(frozen=True)
class KubeflowConfig:
    """How the pipeline runs on a cluster. Raises ValueError that names the field and the value.

    Memory is in GB, 10**9 bytes, as Kubeflow counts it; volumes are in GiB.
    """

    image: str = knob("", "this project's container image, with a tag or a digest", metavar="IMAGE")
    pipeline_name: str = knob("clip-recommender", "name of the pipeline", metavar="NAME")
    pipeline_root: str = knob(
        "",
        "where artifacts are written: minio://, s3:// or gs://; default: the installation's own",
        metavar="URI",
    )
    retries: int = whole(2, "how often a failed task is tried again", 0, 100)
    retry_wait: float = number(30.0, "seconds before the first retry; doubles each time", 0, 3600)
    deadline: int = whole(86_400, "seconds after which a task is ended; 0: never", 0, 30 * 86_400)
    cpu: float = number(1.0, "cores that each task asks for", 0.1, 256)
    cpu_limit: float = number(4.0, "cores that each task may use", 0.1, 256)
    memory: float = number(4.0, "GB of memory that each task asks for", 0.5, 4096)
    memory_limit: float = number(8.0, "GB of memory above which a task is ended", 0.5, 4096)
    shm: int = whole(2, "GiB of /dev/shm for Trainer; 0: the node's default", 0, 1024)
    scratch: int = whole(
        0, "GiB of a temporary volume at /scratch for each task; 0: the container's own", 0, 65_536
    )
    gpus: int = whole(0, "GPUs for Trainer and for BulkInferrer", 0, 64)
    gpu_resource: str = knob("nvidia.com/gpu", "what the cluster calls a GPU", metavar="RESOURCE")
    gpu_node_labels: tuple[str, ...] = knob(
        (), "label of the nodes with GPUs, KEY=VALUE; repeatable", metavar="LABEL", repeatable=True
    )
    gpu_tolerations: tuple[str, ...] = knob(
        (),
        "taint of those nodes, KEY[=VALUE]:EFFECT; repeatable",
        metavar="TAINT",
        repeatable=True,
    )
    secrets: tuple[str, ...] = knob(
        (),
        "a secret's key as an environment variable, SECRET:KEY=NAME; repeatable",
        metavar="SECRET",
        repeatable=True,
    )
    env_vars: tuple[str, ...] = knob(
        (), "an environment variable, NAME=VALUE; repeatable", metavar="ENV", repeatable=True
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check(field, getattr(self, field.name))
        _match("pipeline_name", PIPELINE_NAME, self.pipeline_name, "lowercase letters, digits, -")
        if not is_image(self.image):
            raise ValueError(
                "image: expected registry/name:tag or registry/name@sha256:digest; "
                f"got {self.image!r}"
            )
        if self.pipeline_root and not re.match(r"(minio|s3|gs)://[^/]+", self.pipeline_root):
            raise ValueError(
                f"pipeline_root: expected minio://, s3:// or gs://; got {self.pipeline_root!r}"
            )
        for low, high in (("cpu", "cpu_limit"), ("memory", "memory_limit")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"{high}: expected at least {low}, {getattr(self, low)}; "
                    f"got {getattr(self, high)}"
                )
        for label in self.gpu_node_labels:
            _match("gpu_node_labels", re.compile(r"[\w./-]+=[\w.-]*"), label, "KEY=VALUE")
        for toleration in self.gpu_tolerations:
            _match(
                "gpu_tolerations",
                _TOLERATION,
                toleration,
                "KEY[=VALUE]:NoSchedule, :PreferNoSchedule or :NoExecute",
            )
        for secret in self.secrets:
            _match("secrets", _SECRET, secret, "SECRET:KEY=NAME")
        for variable in self.env_vars:
            name, equals, _ = variable.partition("=")
            if not equals or not _ENV_NAME.fullmatch(name):
                raise ValueError(f"env_vars: expected NAME=VALUE; got {variable!r}")


def check_places(source: str, push_dir: str) -> None:
    """Raises ValueError where a container finds no clips, or loses what it publishes."""
    if not source:
        raise ValueError("source: expected one, as the sample library is for local runs; got none")
    if not push_dir.startswith(("s3://", "gs://")):
        raise ValueError(
            "push_dir: expected s3:// or gs://, as a container's folders end with it; "
            f"got {push_dir}"
        )


def is_image(text: str) -> bool:
    """Tells whether a text names a container image, with a tag or a digest."""
    found = _IMAGE.fullmatch(text)
    return found is not None and bool(found["tag"] or found["digest"])


def _match(name: str, pattern: re.Pattern, value: str, expected: str) -> None:
    if not pattern.fullmatch(value):
        raise ValueError(f"{name}: expected {expected}; got {value!r}")
