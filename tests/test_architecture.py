"""The direction of imports, and who may use which library, read from the source."""

import ast
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.py", "pipeline/**/*.py", "components/**/*.py", "sample_library/**/*.py")
    for path in ROOT.glob(pattern)
)
#: What stages share, though it is more than a file.
SHARED = {"published"}
STAGES = {
    path.split("/")[1] for path in SOURCES if path.startswith("components/") and path.count("/") > 1
} - SHARED

RUNNERS = {"local_runner", "kubeflow_runner", "recommend"}

#: Library -> the only files that may import it.
HOMES = {
    "tfx": (
        "pipeline/*.py",
        "pipeline/kubeflow/compile.py",
        "pipeline/kubeflow/entrypoint.py",
        "components/artifacts.py",
        "components/*/component.py",
        "components/*/executor.py",
        "components/trainer/train.py",
    ),
    "apache_beam": ("components/*/executor.py", "components/clip_example_gen/beam_files.py"),
    "kfp": ("pipeline/kubeflow/*.py",),
    "cv2": (
        "components/clip_example_gen/clips.py",
        "components/clip_example_gen/previews.py",
        "sample_library/*.py",
    ),
    "keras": ("components/trainer/*.py",),
    "faiss": (
        "components/bulk_inferrer/index.py",
        "components/bulk_inferrer/neighbors.py",
        "components/clip_example_gen/duplicates.py",
    ),
    "obstore": ("components/published/object_store.py",),
    "matplotlib": ("components/plots.py",),
    "openvino": ("components/bulk_inferrer/openvino_engine.py",),
    "remotezip": ("components/clip_example_gen/remote.py",),
    "requests": (
        "components/clip_example_gen/download.py",
        "components/clip_example_gen/remote.py",
        "components/clip_example_gen/transport.py",
    ),
    "sklearn": ("components/plots.py",),
    "rich": ("pipeline/console.py",),
}


def imported(path):
    """Yields the full name of every module that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_module(name, module):
    return name == module or name.startswith(f"{module}.")


def test_the_tree_is_seen():
    """The tests below look at what is there."""
    assert {"clip_example_gen", "trainer", "bulk_inferrer", "pusher"} <= STAGES
    assert any(name == "tfx" or name.startswith("tfx.") for name in imported("pipeline/local.py"))


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_stay_at_home(library):
    """A library is imported only where the architecture gives it a home."""
    strangers = [
        path
        for path in SOURCES
        if any(is_module(name, library) for name in imported(path))
        and not any(PurePosixPath(path).match(home) for home in HOMES[library])
    ]
    assert strangers == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path.startswith("components/")])
def test_components_look_down_only(path):
    """A stage knows no other stage, no runner and no pipeline; its pure modules no executor."""
    parts = path.split("/")
    stage = parts[1] if len(parts) > 2 else None
    for name in imported(path):
        assert name.split(".")[0] not in {"pipeline", *RUNNERS}, f"{path} imports {name}"
        other = name.split(".")[1] if name.startswith("components.") else None
        assert other not in STAGES - {stage}, f"{path} imports {name}"
        if parts[-1] not in ("component.py", "__init__.py"):
            assert not is_module(name, f"components.{stage}.executor"), f"{path} imports {name}"
        if parts[-1] != "__init__.py":
            assert not is_module(name, f"components.{stage}.component"), f"{path} imports {name}"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.startswith("pipeline/")])
def test_pipeline_does_not_know_its_runners(path):
    """Runners import the pipeline, never the other way round."""
    for name in imported(path):
        assert name.split(".")[0] not in RUNNERS, f"{path} imports {name}"


def test_network_needs_no_tensorflow():
    """Layers and model are written with keras, keras.ops and einops alone."""
    for path in ("components/trainer/layers.py", "components/trainer/model.py"):
        assert not any(is_module(name, "tensorflow") for name in imported(path)), path


def test_files_and_functions_stay_readable():
    """No file has more than 300 lines, no function more than 60."""
    for path in SOURCES:
        text = (ROOT / path).read_text()
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name}"
