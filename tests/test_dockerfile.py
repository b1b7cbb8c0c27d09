"""The container image: what its Dockerfile says; where IMAGE_ROOT names a folder, built there."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.dockerfile import (
    ROOT,
    Builder,
    Step,
    commands,
    is_ignored,
    lineage,
    pairs,
    read_stages,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCKERFILE = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text()
STAGES = read_stages(DOCKERFILE)
FINAL = STAGES[-1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COPIED = [
    step
    for stage in STAGES
    for step in stage.steps
    if step.keyword == "COPY" and "from" not in step.flags
]
COMPILERS = re.compile(r"(.*-)?(gcc|g\+\+|cc|c\+\+|clang|as|ld)(-[\d.]+)?|cc1(plus)?|make")


def sources(step: Step):
    """Returns the files and folders of the checkout that a COPY takes."""
    *patterns, _ = step.value.split()
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    assert len(found) >= len(patterns), f"COPY {step.value}: not all of it exists"
    return found


def pins(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    found = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", text, re.MULTILINE)
    return {(canonicalize_name(name), version) for name, version in found}


def test_dockerfile_is_read():
    """The reader knows comments, folded lines, flags, and which stages make up the last one."""
    text = "# a\nFROM x AS one\nRUN a \\\n# b\n    && b 'c d'\nFROM y AS two\nFROM one\nUSER 7\n"
    stages = read_stages(f"{text}COPY --from=two --chown=7:0 a b c/\n")
    assert [(stage.base, stage.name) for stage in stages] == [
        ("x", "one"),
        ("y", "two"),
        ("one", ""),
    ]
    assert commands(stages[0]) == [["a"], ["b", "c d"]]
    assert stages[2].steps[1] == Step("COPY", {"from": "two", "chown": "7:0"}, "a b c/")
    assert lineage(stages) == [stages[0], stages[2]]


def test_image_is_of_line_b():
    """The image is Debian 13's slim one, whose Python, 3.13, is the one that its lock is for."""
    assert lineage(STAGES)[0].base == "debian:trixie-slim"
    lock = (ROOT / "tools" / "lock.sh").read_text().partition("requirements/image.txt")[2]
    assert "--python-version 3.13" in lock
    assert "--constraints requirements/line-b.txt" in lock


def test_image_runs_as_a_user():
    """Stages run as a numbered user, not root; the folders they write are their group's, root's."""
    (user,) = FINAL.values("USER")
    number, _, group = user.partition(":")
    assert int(number) >= 1000 and group == "0"
    (made,) = [words for words in commands(FINAL) if words[0] == "install"]
    (opened,) = [words for words in commands(FINAL) if words[:2] == ["chmod", "g=u"]]
    home = pairs(FINAL.values("ENV")[0])["HOME"]
    assert {"/minio", "/s3", "/gcs"} < {word for word in made if word.startswith("/")}
    assert {*opened[2:]} == {*made[-4:], home}
    assert f"--owner={number}" in made and "--group=0" in made


def test_image_holds_no_compiler():
    """Debian's packages in the image are Python and certificates; all else is built before."""
    installed = [
        word
        for stage in lineage(STAGES)
        for words in commands(stage)
        if words[:2] == ["apt-get", "install"]
        for word in words[2:]
        if not word.startswith("--")
    ]
    assert installed == ["ca-certificates", "python3"]
    cleaned = [words for stage in lineage(STAGES) for words in commands(stage) if "rm" in words]
    assert any("/var/lib/apt/lists/*" in words for words in cleaned)


def test_what_is_copied_is_there():
    """All that the Dockerfile copies exists, and .dockerignore lets it through."""
    for step in COPIED:
        for path in sources(step):
            files = [path] if path.is_file() else [*path.rglob("*")]
            names = {file.relative_to(ROOT).as_posix() for file in files if file.is_file()}
            names = {name for name in names if "__pycache__" not in name}
            assert names and not [name for name in names if is_ignored(name, IGNORED)]


def test_whole_project_is_copied():
    """The image holds the packages, the modules and the data that the wheel holds."""
    tools = PROJECT["tool"]["setuptools"]
    packages = {name.rstrip("*") for name in tools["packages"]["find"]["include"]}
    copied = {path.relative_to(ROOT).as_posix() for step in COPIED for path in sources(step)}
    assert packages | {f"{path.name}" for path in ROOT.glob("*.py")} < copied
    assert {f"{name}.py" for name in ("local_runner", "recommend")} < copied


@pytest.mark.parametrize(
    "name",
    [
        *(".git/config", ".venv/bin/python", ".cache/uv/x", "output/published/1/manifest.json"),
        *("components/__pycache__/features.cpython-310.pyc", "schema/__pycache__/x.pyc"),
        *("requirements/line-b.txt", "tests/dockerfile.py", "docs/pictures.py", ".env"),
    ],
)
def test_nothing_else_is_sent(name):
    """Caches, outputs, tests and whatever else lies in the folder stay out of the build."""
    assert is_ignored(name, IGNORED)


def test_installs_are_hashed():
    """Whatever is installed comes from a lock that is copied, by its hashes."""
    copied = {path.relative_to(ROOT).as_posix() for step in COPIED for path in sources(step)}
    installs = [
        words
        for stage in STAGES
        for words in commands(stage)
        if {"pip", "uv"} & {*words} and {"install", "sync"} & {*words}
    ]
    assert len(installs) == 2
    for words in installs:
        assert "--require-hashes" in words
        locks = {word for word in words if word.startswith("requirements/")}
        assert len(locks) == 1 and locks < copied
    assert "--compile-bytecode" in installs[1]
    (compiled,) = [words for stage in STAGES for words in commands(stage) if "compileall" in words]
    assert compiled[-1] == "/app"


def test_image_has_the_versions_of_line_b():
    """The image's lock pins what running needs, at line B's versions, and no tools."""
    locked = pins("image")
    assert locked <= pins("line-b"), "run `make lock`"
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    names = {name for name, _ in locked}
    wanted = [
        item
        for text in project["dependencies"] + extras["openvino"]
        if (item := Requirement(text)).marker is None
        or item.marker.evaluate({"python_version": "3.13"})
    ]
    assert {canonicalize_name(item.name) for item in wanted} <= names
    assert not {"pytest", "mypy", "ruff", "moto", "playwright", "duckdb"} & names


def test_image_is_labeled():
    """Labels tell title, description, license and version; the version is the project's own."""
    (text,) = FINAL.values("LABEL")
    labels = {name.rpartition(".")[2]: value for name, value in pairs(text).items()}
    project = PROJECT["project"]
    assert labels["title"] == project["name"]
    assert labels["description"].startswith("A TFX pipeline")
    assert labels["licenses"] == project["license"]
    assert labels["version"] == "$VERSION"
    assert pairs(FINAL.values("ARG")[0]) == {"VERSION": project["version"]}


def test_no_place_is_named():
    """No registry, index or other host is named: the builder's own settings choose it."""
    for text in (DOCKERFILE, IGNORED):
        assert not re.search(r"://|\b[\w-]+\.(io|org|com|net|dev)\b(?!\.opencontainers)", text)
    named = {stage.name for stage in STAGES if stage.name}
    assert all("/" not in stage.base for stage in STAGES if stage.base not in named)


CHECK = """
import os, tempfile
import cv2, faiss, kfp, matplotlib.pyplot, numpy as np, obstore, openvino, tensorflow as tf, tfx
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
import components, pipeline.pipeline
for folder in ("/minio", "/s3", "/gcs", "/app/output", os.environ["HOME"], tempfile.gettempdir()):
    os.makedirs(f"{folder}/{os.getuid()}/made", exist_ok=True)
assert not os.access("/app", os.W_OK) and not os.access("/opt/venv", os.W_OK)
x, y = np.eye(8, dtype="float32"), tf.Variable(1.0)
_, found = faiss.knn(x, x, 1, metric=faiss.METRIC_INNER_PRODUCT)
assert found.ravel().tolist() == list(range(8))
frame = np.full((16, 16, 3), 90, "uint8")
jpeg = tf.io.decode_jpeg(cv2.imencode(".jpg", frame)[1].tobytes())
assert np.abs(jpeg.numpy().astype(int) - frame).max() < 3
with tf.GradientTape() as tape:
    z = y * y
assert tape.gradient(z, y).numpy() == 2.0
print("fine", tfx.__version__)
"""
CHECK_BYTECODE = """
import importlib.util, pathlib, site
packages = [pathlib.Path(site.getsitepackages()[0], name) for name in ("keras", "kfp", "tfx")]
modules = [file for folder in (pathlib.Path("/app"), *packages) for file in folder.rglob("*.py")]
for module in modules:
    bytecode = pathlib.Path(importlib.util.cache_from_source(module)).read_bytes()
    digest = importlib.util.source_hash(module.read_bytes())
    assert bytecode[4:16] == bytes([3, 0, 0, 0]) + digest, module
print(len(modules))
"""


@pytest.fixture(scope="module")
def image():
    """The image, built where IMAGE_ROOT says: 8 minutes, and 8 GB, which stay for a look."""
    folder = os.environ.get("IMAGE_ROOT") or pytest.skip("IMAGE_ROOT names no folder to build in")
    for tool in ("mmdebstrap", "buildah"):
        shutil.which(tool) or pytest.skip(f"there is no {tool} here")
    os.geteuid() == 0 or pytest.skip("building needs root")
    builder = Builder(Path(folder))
    builder.build()
    return builder


@pytest.mark.parametrize(
    "command",
    [
        ("python", "-m", "pipeline.kubeflow.entrypoint", "--help"),
        ("python", "-m", "pipeline.kubeflow.plan", "--help"),
        ("python", "/app/recommend.py", "--help"),
    ],
)
def test_commands_answer(image, command):
    """What the stages' containers run, and the commands, answer from any folder."""
    assert "usage:" in image.run(*command, workingdir="/tmp")


@pytest.mark.parametrize("user", ["", "12345:0"])
def test_libraries_work(image, user):
    """The image's user, and any other of group 0, can compute, and write where stages write."""
    options = {"user": user} if user else {}
    assert "fine 1.21" in image.run("python", "-c", CHECK, **options)


def test_settings_of_the_image(image):
    """The built image has the user, the labels and the path that the Dockerfile gives."""
    config = image.config()
    assert config["User"] == FINAL.values("USER")[0]
    assert config["Labels"]["org.opencontainers.image.version"] == PROJECT["project"]["version"]
    assert "PATH=/opt/venv/bin:/usr/local/sbin" in "\n".join(config["Env"])


def test_no_compiler_is_left(image):
    """Neither a compiler nor an installer of packages is in the image."""
    found = [
        path
        for folder in ("usr/bin", "usr/local/bin", "usr/libexec", "usr/lib/gcc", "opt/venv/bin")
        for path in (image.root / folder).rglob("*")
        if COMPILERS.fullmatch(path.name) or path.name in ("pip", "pip3", "uv")
    ]
    assert found == []


def test_bytecode_is_compiled(image):
    """Every module of the code and of the large packages has bytecode that fits its source."""
    assert int(image.run("python", "-c", CHECK_BYTECODE)) > 1000


def test_size_is_healthy(image, capsys):
    """All in all the image takes less than 3.5 GB, TensorFlow nearly half of it."""
    packages = next(image.root.glob("opt/venv/lib/python3.*/site-packages"))
    sizes = sorted(((size_of(path), path.name) for path in packages.iterdir()), reverse=True)
    whole = size_of(image.root)
    largest = ", ".join(f"{name} {size / 1e6:.0f}" for size, name in sizes[:5])
    with capsys.disabled():
        print(f"\n{image.root}: {whole / 1e6:.0f} MB, of which {largest}")
    assert whole < 3.5e9


def size_of(path):
    """Returns the bytes of a file or a folder."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
