"""The dependencies' locks, the wheel, and the search for an interpreter and a compiler."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINE_OF_PYTHON = {"3.10": "line-a", "3.11": "line-b", "3.12": "line-b", "3.13": "line-b"}
LOCKS = ("bootstrap", "compiler", "image", "line-a", "line-b")
PACKAGES = ("components", "pipeline", "sample_library")
THIS_PYTHON = "{}.{}".format(*sys.version_info[:2])


class Pin(NamedTuple):
    """One entry of a lock."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def version(self):
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "==", self.requirement
        return specifier.version


def read_lock(name):
    """Returns the pins of a lock; anything in it but pins, hashes and comments is an error."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    lines = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", "").splitlines()
    pins = []
    for line in lines:
        entry, *hashes = line.split(" --hash=")
        pins.append(Pin(Requirement(entry), tuple(digest.strip() for digest in hashes)))
    return pins


def pins_for(python):
    """Returns canonical name -> version of what a Python on x86-64 Linux gets from its lock."""
    environment = target(python)
    found = {}
    for pin in read_lock(LINE_OF_PYTHON[python]):
        if pin.requirement.marker is None or pin.requirement.marker.evaluate(environment):
            name = canonicalize_name(pin.requirement.name)
            assert name not in found, f"{name} is pinned twice for Python {python}"
            found[name] = pin.version
    return found


def target(python):
    return default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }


@pytest.mark.parametrize("python", LINE_OF_PYTHON)
def test_direct_dependencies_are_locked(python):
    """Each Python's lock pins every direct dependency at a version that pyproject.toml takes."""
    wanted = [
        requirement
        for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
        if (requirement := Requirement(text)).marker is None
        or requirement.marker.evaluate(target(python))
    ]
    pins = pins_for(python)
    assert {"tfx", "tensorflow", "numpy", "pytest"} <= {item.name for item in wanted}
    for item in wanted:
        version = pins.get(canonicalize_name(item.name))
        assert version, f"{item.name} is not locked for Python {python}: run `make lock`"
        assert item.specifier.contains(version), f"{item} is locked as {version}: run `make lock`"


def test_supported_pythons_are_those_with_a_lock():
    """requires-python and the classifiers name the Pythons that have a lock, and no others."""
    supported = Requirement(f"x{PROJECT['requires-python']}").specifier
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}" in supported] == [*LINE_OF_PYTHON]
    named = [item.rpartition(" ")[2] for item in PROJECT["classifiers"] if ":: 3." in item]
    assert named == [*LINE_OF_PYTHON]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(name):
    """Every entry of a lock is one exact version with at least one sha256."""
    pins = read_lock(name)
    assert pins
    for pin in pins:
        assert pin.version and pin.requirement.url is None
        assert pin.hashes, f"{pin.requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in pin.hashes)


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_place(name):
    """A lock holds no index, address or path, and says how to make it anew."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    places = re.compile(
        r"://|file:|^-|--index|--extra-index|--find-links|\s/|\\\S|~/", re.MULTILINE
    )
    assert places.findall(text) == []
    assert "make lock\n" in text[:200]


@pytest.mark.parametrize("python", LINE_OF_PYTHON)
def test_bootstrap_agrees_with_the_locks(python):
    """Set-up starts with the same setuptools that the lock then asks for."""
    bootstrap = {pin.requirement.name: pin.version for pin in read_lock("bootstrap")}
    assert bootstrap.keys() == {"setuptools", "uv"}
    assert bootstrap["setuptools"] == pins_for(python)["setuptools"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built offline from a copy of the tree with the setuptools of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "tree"
    copy.mkdir()
    for name in (*PACKAGES, "schema", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc"))
    extra = [ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")]
    for path in [*ROOT.glob("*.py"), *extra]:
        shutil.copy(path, copy)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", build, folder]
    subprocess.run(command, cwd=copy, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_wheel_holds_code_and_data(wheel):
    """The wheel holds all modules, the commands, the schema and the gallery, and no tests."""
    expected = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.py", *(f"{package}/**/*.py" for package in PACKAGES))
        for path in ROOT.glob(pattern)
    }
    assert {"components/features.py", "pipeline/config.py", "local_runner.py"} <= expected
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    page = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("components/pusher/page/*")}
    assert "components/pusher/page/index.html" in page
    assert held == expected | page | {"schema/schema.pbtxt"}


def test_wheel_is_private_and_licensed(wheel):
    """No index would take the wheel, and it brings its license."""
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert "Private :: Do Not Upload" in metadata.get_all("Classifier")
    assert metadata["License-Expression"] == "Apache-2.0"
    assert b"Apache License" in wheel.read(f"{info}/licenses/LICENSE")


class Machine:
    """A PATH, a home and a pyenv of which only what the test puts there exists."""

    def __init__(self, folder, glibc):
        self.bin, self.pyenv = folder / "bin", folder / "pyenv"
        self.bin.mkdir()
        for tool in ("sed", "uname"):
            if found := shutil.which(tool):
                (self.bin / tool).symlink_to(found)
        self.script(self.bin / "getconf", f"echo glibc {glibc}" if glibc else "exit 1")

    def script(self, path, body):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def find_python(self, **variables):
        environment = {"PATH": str(self.bin), "HOME": "/nonexistent", "PYENV_ROOT": str(self.pyenv)}
        return subprocess.run(
            [shutil.which("sh"), ROOT / "tools" / "find_python.sh"],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def machine(tmp_path):
    """Makes a machine with a glibc on which this very Python fits."""
    return Machine(tmp_path, "2.36" if THIS_PYTHON == "3.10" else "2.41")


def test_python_that_only_pyenv_has_is_found(machine):
    """A shim that fails is passed over for the interpreter among pyenv's versions."""
    machine.script(
        machine.bin / f"python{THIS_PYTHON}", "echo pyenv: no version is set >&2; exit 127"
    )
    versions = machine.pyenv / "versions" / f"{THIS_PYTHON}.99" / "bin"
    machine.script(versions / f"python{THIS_PYTHON}", f'exec "{sys.executable}" "$@"')
    done = machine.find_python()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == os.path.realpath(sys._base_executable)


def test_python_that_is_named_is_taken(machine):
    """PYTHON= needs no PATH; a virtual environment's Python stands for the one beneath it."""
    done = machine.find_python(PYTHON=sys.executable)
    assert done.stdout.strip() == os.path.realpath(sys._base_executable)


@pytest.mark.parametrize(
    ("glibc", "version", "advice"),
    [("2.36", "3.10", "pyenv install 3.10"), ("2.41", "3.13", "python3-venv python3-dev")],
)
def test_no_python_fits(tmp_path, glibc, version, advice):
    """The error lists what was looked at and why each was passed over, and says what to install."""
    machine = Machine(tmp_path, glibc)
    shim = machine.script(
        machine.bin / f"python{version}", "echo pyenv: no version is set >&2; exit 127"
    )
    other = machine.script(machine.bin / "python3", "echo is Python 3.8, not that >&2; exit 1")
    done = machine.find_python()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"  {shim}: pyenv: no version is set\n" in done.stderr
    assert f"  {other}: is Python 3.8, not that\n" in done.stderr
    assert advice in done.stderr


@pytest.mark.parametrize(
    ("body", "reason"),
    [(None, "not found"), ("exit 1", "does not run"), ("echo 3.13", "is no Python")],
)
def test_python_that_is_named_but_unfit(machine, tmp_path, body, reason):
    """A PYTHON= that does not fit is an error that names it, not a reason to search on."""
    path = tmp_path / "some-python"
    if body:
        machine.script(path, body)
    done = machine.find_python(PYTHON=str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"PYTHON={path} cannot be used:\n  {path}: {reason}\n" in done.stderr


def test_python_of_the_other_line(tmp_path):
    """Each line has its own Pythons: one of the other line is passed over, and its version told."""
    glibc, wanted = ("2.41", "3.13 or 3.12 or 3.11") if THIS_PYTHON == "3.10" else ("2.36", "3.10")
    machine = Machine(tmp_path, glibc)
    other = machine.script(machine.bin / "python3", f'exec "{sys.executable}" "$@"')
    done = machine.find_python()
    assert done.returncode == 1
    assert f"  {other}: is Python {THIS_PYTHON}, not {wanted}\n" in done.stderr


def test_system_without_glibc(tmp_path):
    """A system that the locks have no packages for is told so first of all."""
    done = Machine(tmp_path, None).find_python(PYTHON=sys.executable)
    assert done.returncode == 1
    assert "no glibc" in done.stderr


def prepare_compiler(folder, cxx):
    """Sources tools/compiler.sh with `echo` for Python; returns what it says and CXX."""
    (folder / ".venv").mkdir()
    shell = ["sh", "-euc", '. "$0"; echo "CXX=$CXX"', ROOT / "tools" / "compiler.sh"]
    env = os.environ | {"CXX": cxx, "python": "echo"}
    return subprocess.check_output(shell, cwd=folder, env=env, text=True, timeout=60)


def test_compiler_that_works_is_left_alone(tmp_path):
    """Where C++ can be compiled nothing is fetched, said or changed, and nothing is left behind."""
    compiler = shutil.which("c++") or pytest.skip("there is no C++ compiler here")
    assert prepare_compiler(tmp_path, f"{compiler} -O0") == f"CXX={compiler} -O0\n"
    assert list((tmp_path / ".venv").iterdir()) == []


@pytest.mark.parametrize("broken", ["/nonexistent/c++", "false"])
def test_compiler_that_does_not_work_is_replaced(tmp_path, broken):
    """Where none works, by name or by deed, the locked one is fetched and named to the builds."""
    said, asked, found = prepare_compiler(tmp_path, broken).splitlines()
    assert f"No C++ compiler works here ({broken})" in said
    assert "--require-hashes" in asked
    assert asked.endswith(f"--target {tmp_path}/.cache/zig --requirement requirements/compiler.txt")
    assert found.startswith("CXX=zig c++ -target x86_64-linux-gnu.")
    assert [pin.requirement.name for pin in read_lock("compiler")] == ["ziglang"]
