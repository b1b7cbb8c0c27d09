"""What the stages' containers run: repairs what Kubeflow hands over, then calls TFX's entrypoint.

TFX 1.16 to 1.21 expects what Vertex AI hands over. Open-source Kubeflow differs (its launcher,
backend/src/v2/component/launcher_v2.go, 2.0 to 2.17):

- it adds an output of its own, executor-logs, whose type TFX cannot import;
- input artifacts come without their type, which stands in the inputs' spec;
- artifacts have URIs of object stores, and lie in the container at /minio/, /s3/ and /gcs/, from
  where outputs are uploaded;
- of metadata, lists and structs come back wrapped, {"list": [...]} and {"struct": {...}};
- the folders of outputs are not there;
- in what it reads back, a null is an error.

Where Beam runs elsewhere, its workers cannot see the container's folders: stages that run on Beam
keep their gs:// URIs, for temporary files, too; TensorFlow has no filesystem for the others.
TensorFlow marks folders in a bucket by empty objects, "examples/". They are removed: the next
stage's launcher would make files of them, and then fail at what lies in these folders.
"""

import argparse
import contextlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components import progress
from pipeline import beam_options, leaving

_FOLDERS = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}
#: That of the launcher: TFX knows no such type.
_LOGS = "executor-logs"


def main(argv: list[str] | None = None) -> None:
    """Runs a stage; raises what its executor raises."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", type=json.loads, required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", type=json.loads, required=True)
    args, beam_args = parser.parse_known_args(argv)
    progress.logger.setLevel(logging.INFO)  # what stages find is to be in the task's log
    progress.logger.addHandler(logging.StreamHandler())
    progress.logger.propagate = False
    executor_input, spec = (
        args.json_serialized_invocation_args,
        args.json_serialized_inputs_spec_args,
    )
    remote = beam_options.runs_elsewhere(beam_args) and _runs_on_beam(args.executor_class_path)
    repair_input(executor_input, spec, check_remote if remote else to_path)
    output_file = Path(executor_input["outputs"]["outputFile"])
    places = [
        found["artifacts"][0]["uri"] for found in executor_input["outputs"]["artifacts"].values()
    ]
    if remote:
        # TFX puts temporary files beside this one.
        executor_input["outputs"]["outputFile"] = f"{os.path.dirname(places[0])}/{output_file.name}"
    else:
        for place in places:
            os.makedirs(place, exist_ok=True)

    # Bring TFX: not before the input is good.
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    args.json_serialized_invocation_args = json.dumps(executor_input)
    args.json_serialized_inputs_spec_args = json.dumps(spec)
    kubeflow_v2_run_executor.main((args, beam_args))
    if remote:
        for place in places:
            remove_folder_marks(place)
    with fileio.open(executor_input["outputs"]["outputFile"]) as file:
        said = json.load(file)
    output_file.parent.mkdir(parents=True, exist_ok=True)
    output_file.write_text(json.dumps(repair_output(said)))


def repair_input(
    executor_input: dict[str, Any], spec: dict[str, Any], locate: Callable[[str], str]
) -> None:
    """Makes of what the launcher hands over what TFX expects, in place.

    Args:
      executor_input: a `pipeline_spec.ExecutorInput` as JSON.
      spec: a `pipeline_spec.ComponentInputsSpec` as JSON.
      locate: gives the place of an artifact by its URI.

    Raises:
      ValueError: a URI that cannot be mapped; names the artifact.
    """
    inputs = executor_input.get("inputs", {}).get("artifacts", {})
    outputs = executor_input["outputs"].get("artifacts", {})
    outputs.pop(_LOGS, None)
    for name, found in inputs.items():
        for artifact in found["artifacts"]:
            artifact["type"] = spec["artifacts"][name]["artifactType"]
    for name, found in (inputs | outputs).items():
        for artifact in found["artifacts"]:
            try:
                artifact["uri"] = locate(artifact["uri"])
            except ValueError as error:
                raise ValueError(f"artifact {name}: {error}") from error
            metadata = {key: _unwrap(value) for key, value in artifact.get("metadata", {}).items()}
            artifact["metadata"] = _map_strings(metadata, _if_uri(locate))


def repair_output(executor_output: dict[str, Any]) -> dict[str, Any]:
    """Returns a `pipeline_spec.ExecutorOutput` as JSON, as the launcher reads it back."""
    return _without_nulls(_map_strings(executor_output, to_uri))


def to_path(uri: str) -> str:
    """Returns where the launcher puts an artifact; ValueError where it has no place for it."""
    for scheme, folder in _FOLDERS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    raise ValueError(f"expected a URI of {', '.join(_FOLDERS)}; got {uri!r}")


def to_uri(path: str) -> str:
    """Returns the URI of a path that `to_path` made; other texts as they are."""
    for scheme, folder in _FOLDERS.items():
        if path.startswith(folder):
            return scheme + path.removeprefix(folder)
    return path


def check_remote(uri: str) -> str:
    """Returns the URI; ValueError where Beam's workers elsewhere cannot see it."""
    if not uri.startswith("gs://"):
        raise ValueError(f"expected a URI of gs:// for Beam's workers elsewhere; got {uri!r}")
    return uri


def remove_folder_marks(uri: str) -> None:
    """Removes the empty objects that stand for folders of an artifact, if it has any."""
    from tfx.dsl.io import fileio

    for folder in [folder for folder, _, _ in fileio.walk(uri)]:
        with contextlib.suppress(fileio.NotFoundError):
            fileio.remove(f"{folder.rstrip('/')}/")


def _if_uri(locate: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: locate(text) if text.startswith(tuple(_FOLDERS)) else text


def _unwrap(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        return value.get("list", value.get("struct", value))
    return value


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_strings(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _map_strings(item, change) for key, item in value.items()}
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _runs_on_beam(executor_class_path: str) -> bool:
    from tfx.dsl.components.base import base_beam_executor
    from tfx.utils import import_utils

    executor = import_utils.import_class_by_path(executor_class_path)
    return issubclass(executor, base_beam_executor.BaseBeamExecutor)


if __name__ == "__main__":
    main()
    leaving.leave(0)
