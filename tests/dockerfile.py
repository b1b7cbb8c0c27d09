"""Reads the Dockerfile and .dockerignore, and builds the image without Docker, by buildah."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent

#: What Debian's slim images leave out.
_SLIM = ("doc/*", "groff/*", "info/*", "linda/*", "lintian/*", "locale/*", "man/*")
_CERTIFICATES = "/etc/builder.crt"


class Step(NamedTuple):
    """An instruction of a stage: RUN, COPY and the like, its --flags, and what follows them."""

    keyword: str
    flags: dict[str, str]
    value: str


class Stage(NamedTuple):
    """A stage: what it is built on, an image or an earlier stage, its name, and its steps."""

    base: str
    name: str
    steps: list[Step]

    def values(self, keyword: str) -> list[str]:
        """Returns what the stage's steps of one kind say."""
        return [step.value for step in self.steps if step.keyword == keyword]


def read_stages(text: str) -> list[Stage]:
    """Returns a Dockerfile's stages, in order."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[Stage] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        keyword, _, rest = line.partition(" ")
        flags = {}
        while found := re.match(r"\s*--([a-z]+)=(\S+)", rest):
            flags[found[1]] = found[2]
            rest = rest[found.end() :]
        value = " ".join(rest.split())
        if keyword == "FROM":
            base, _, name = value.partition(" AS ")
            stages.append(Stage(base, name, []))
        else:
            stages[-1].steps.append(Step(keyword, flags, value))
    return stages


def lineage(stages: list[Stage]) -> list[Stage]:
    """Returns the last stage and the stages it is built on: what is in the image, first to last."""
    named = {stage.name: stage for stage in stages if stage.name}
    found = [stages[-1]]
    while found[0].base in named:
        found.insert(0, named[found[0].base])
    return found


def commands(stage: Stage) -> list[list[str]]:
    """Returns the commands of a stage's RUN steps, each as its words."""
    texts = " && ".join(stage.values("RUN")).split(" && ")
    return [shlex.split(text) for text in texts if text]


def pairs(text: str) -> dict[str, str]:
    """Returns the names and values of an ENV, a LABEL or an ARG."""
    return dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)


def is_ignored(path: str, patterns: str) -> bool:
    """Returns whether a .dockerignore keeps a path out: of its lines the last that fits decides."""
    ignored = False
    folders = [*map(str, reversed(Path(path).parents)), path]
    for line in patterns.splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.lstrip("!").strip("/"))
        pattern = pattern.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, folder) for folder in folders if folder != "."):
            ignored = not line.startswith("!")
    return ignored


class Builder:
    """Builds the image in a folder, and runs commands in a container of it.

    Needs root, mmdebstrap and buildah. The image that the Dockerfile starts from is made of
    Debian's packages, as no registry is asked for one.
    """

    NAME = "clip-recommender"

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)

    def build(self) -> None:
        """Builds the image anew, and makes a container of it.

        Raises:
          subprocess.CalledProcessError: a step failed; what it said was printed.
        """
        (base,) = {stage.base for stage in lineage(read_stages(_dockerfile()))[:1]}
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")
        self._make_base(base)
        options = ["--isolation=chroot", "--network=host", "--pull=never", f"--tag={self.NAME}"]
        self._buildah("build", *options, *_index_options(), str(ROOT))
        self._buildah("from", "--pull=never", f"--name={self.NAME}", self.NAME)
        link = self.folder / "root"
        link.unlink(missing_ok=True)
        link.symlink_to(self._buildah("mount", self.NAME).strip())

    @property
    def root(self) -> Path:
        """The container's file system."""
        return (self.folder / "root").resolve()

    def config(self) -> dict[str, Any]:
        """Returns the image's settings: User, Env, Labels and so on."""
        return json.loads(self._buildah("inspect", "--type=image", self.NAME))["Docker"]["config"]

    def run(self, *command: str, **options: str) -> str:
        """Runs a command in the container; returns its output.

        Args:
          command: its words.
          options: buildah's, such as user; otherwise those of the image hold.

        Raises:
          subprocess.CalledProcessError: it failed; what it said was printed.
        """
        given = [f"--{name}={value}" for name, value in options.items()]
        return self._buildah("run", "--isolation=chroot", *given, self.NAME, "--", *command)

    def _make_base(self, image: str) -> None:
        suite = re.fullmatch(r"debian:(\w+)-slim", image)
        assert suite, image
        archive = str(self.folder / "base.tar")
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{pattern}" for pattern in _SLIM]
        if not Path(archive).exists():
            _run("mmdebstrap", "--variant=minbase", *excluded, suite[1], archive)
        container = self._buildah("from", "scratch").split()[-1]
        self._buildah("add", "--quiet", container, archive, "/")
        self._buildah("commit", "--quiet", "--rm", container, image)

    def _buildah(self, *args: str) -> str:
        places = [f"--root={self.folder / 'storage'}", f"--runroot={self.folder / 'state'}"]
        # This driver keeps an image's files in a plain folder, and works on any file system.
        return _run("buildah", *places, "--storage-driver=vfs", *args)


def _dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def _index_options() -> list[str]:
    """Returns buildah's options for the package index and the certificates of this machine."""
    options = []
    if index := os.environ.get("PIP_INDEX_URL"):
        options.append(f"--build-arg=PIP_INDEX_URL={index}")
    if certificates := os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"):
        options.append(f"--volume={Path(certificates).resolve()}:{_CERTIFICATES}:ro")
        options.append(f"--build-arg=PIP_CERT={_CERTIFICATES}")
    return options


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=3600, check=False
    )
    if done.returncode:
        print(done.stdout[-5000:], done.stderr[-5000:], sep="\n")
        raise subprocess.CalledProcessError(done.returncode, command)
    return done.stdout
