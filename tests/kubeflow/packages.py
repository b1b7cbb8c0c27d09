"""A compiled pipeline, as small as it can be."""

from pathlib import Path

NAME = "clips"
PARAMETERS = """
    source: {parameterType: STRING}
    epochs: {parameterType: NUMBER_INTEGER, defaultValue: 30}
    rate: {parameterType: NUMBER_DOUBLE, defaultValue: 0.5}
    fresh: {parameterType: BOOLEAN, defaultValue: false}
    classes: {parameterType: LIST, isOptional: true}
    more: {parameterType: STRUCT, defaultValue: {}}
"""


def write_package(
    folder: Path, name: str = NAME, parameters: str = PARAMETERS, root: str = ""
) -> Path:
    """Writes a pipeline; returns its path."""
    path = folder / "pipeline.yaml"
    path.write_text(
        f"pipelineInfo: {{name: {name}}}\n"
        + (f"defaultPipelineRoot: {root}\n" if root else "")
        + f"root:\n  dag: {{tasks: {{}}}}\n  inputDefinitions:\n   parameters:\n{parameters}"
        "---\nplatforms: {kubernetes: {}}\n"
    )
    return path
