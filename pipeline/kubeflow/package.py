"""A compiled pipeline as a file: its name, its version, and the parameters that a run may set."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

_DIGITS = 16
_TRUTH = {"true": True, "false": False}


@dataclasses.dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
      path: of the YAML file.
      name: of the pipeline.
      version: "sha256-" and the first digits of the file's digest: the same file has the same one.
      pipeline_root: where artifacts are written, as compiled; "": as the installation has it.
      parameters: of the root, as PipelineSpec declares them, by name.
    """

    path: Path
    name: str
    version: str
    pipeline_root: str
    parameters: dict[str, dict[str, Any]]

    def arguments(self, texts: Iterable[str]) -> dict[str, Any]:
        """Returns the parameters of a run.

        Args:
          texts: "NAME=VALUE" each; lists and structs as JSON.

        Raises:
          ValueError: one that the package does not have, that is given twice, that is not of its
            type, or that has no default and is not given.
        """
        found: dict[str, Any] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise ValueError(f"param: expected NAME=VALUE; got {text!r}")
            if name not in self.parameters:
                known = ", ".join(sorted(self.parameters)) or "none"
                raise ValueError(f"param: expected one of {known}; got {name!r}")
            if name in found:
                raise ValueError(f"param: expected {name} once; it is given again")
            found[name] = _read(name, self.parameters[name].get("parameterType", "STRING"), value)
        missing = [
            name
            for name, declared in self.parameters.items()
            if not (name in found or "defaultValue" in declared or declared.get("isOptional"))
        ]
        if missing:
            raise ValueError(f"param: expected {', '.join(missing)}, which have no default")
        return found


def read_package(path: str | Path) -> Package:
    """Reads a compiled pipeline; ValueError where the file is none."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror
        raise ValueError(f"PACKAGE: expected a compiled pipeline at {path}: {reason}") from None
    if path.suffix not in (".yaml", ".yml"):
        raise ValueError(f"PACKAGE: expected a name that ends in .yaml; got {path}")
    try:
        # The C parser is ten times as fast, where it is built.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        spec: Any = next(yaml.load_all(data, Loader=loader), None)
        name = spec["pipelineInfo"]["name"]
        # The server passes over it: each run must be given its root.
        root = spec.get("defaultPipelineRoot", "")
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"PACKAGE: expected a compiled pipeline (PipelineSpec); {path} is none: "
            f"{type(error).__name__}: {reason}"
        ) from None
    version = f"sha256-{hashlib.sha256(data).hexdigest()[:_DIGITS]}"
    return Package(path, name, version, root, declared)


def _read(name: str, kind: str, text: str) -> Any:
    """Reads a value of one of PipelineSpec's types of parameters."""
    try:
        if kind == "NUMBER_INTEGER":
            return int(text)
        if kind == "NUMBER_DOUBLE":
            return float(text)
        if kind == "BOOLEAN":
            return _TRUTH[text.lower()]
        if kind in ("LIST", "STRUCT"):
            value = json.loads(text)
            if isinstance(value, list if kind == "LIST" else dict):
                return value
            raise ValueError
    except (ValueError, KeyError):
        raise ValueError(f"param: expected {kind} for {name}; got {text!r}") from None
    return text
