"""A container's stand-in: a process that sees a root, temporary folders and a store of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SCRIPT = Path(__file__).with_name("pod.sh")
#: Where Kubeflow's launcher keeps artifacts, by the scheme of their URIs.
FOLDERS = {"minio": "minio", "s3": "s3", "gs": "gcs"}


def can_run() -> bool:
    """Tells whether this machine lets a process have mounts of its own."""
    return not subprocess.run(_unshare("true"), capture_output=True).returncode


def run(
    command: list[str], folder: Path, environment: dict[str, str], log: Path, timeout_sec: float
) -> int:
    """Runs a command in a pod of its own; returns its exit code.

    Args:
      command: of the container; `python` is this project's.
      folder: new; its `files` hold what the pod sees at /minio, /s3, /gcs, /scratch and /tmp.
      environment: more variables than PATH, PYTHONPATH and HOME.
      log: what the command prints is appended.
      timeout_sec: after which it is killed.
    """
    (folder / "root").mkdir()
    arguments = [str(folder / "root"), str(folder / "files"), str(ROOT), *command]
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),  # as the image sets it
        "HOME": "/tmp",
    }
    with open(log, "ab") as output:
        done = subprocess.run(
            _unshare("sh", str(_SCRIPT), *arguments),
            env=variables | environment,
            cwd="/",
            stdout=output,
            stderr=output,
            timeout=timeout_sec,
        )
    return done.returncode


def _unshare(*command: str) -> list[str]:
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return [shutil.which("unshare") or "unshare", *user, "--mount", "--pid", "--fork",
            "--kill-child", *command]  # fmt: skip


def local_path(files: Path, uri: str) -> Path:
    """Returns where below a pod's `files` an artifact lies."""
    scheme, _, rest = uri.partition("://")
    return files / FOLDERS[scheme] / rest
