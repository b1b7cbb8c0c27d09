"""The first task on Kubeflow: finds what a run starts from, as a local run does before its stages.

Called by Kubeflow's launcher; its outputs are parameters of the stages, see `compile.py`.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from pipeline import planning
from pipeline.config import PipelineConfig
from pipeline.knobs import EXPECTED
from pipeline.kubeflow.settings import check_places


def main(argv: list[str] | None = None) -> int:
    """Plans; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--settings", type=json.loads, required=True, help="PipelineConfig as JSON")
    parser.add_argument(
        "--executor_input", type=json.loads, required=True, help="what the launcher hands over"
    )
    args = parser.parse_args(argv)
    given = args.executor_input["inputs"]["parameterValues"]
    try:
        config = make_config(args.settings, given)
        check_places(config.source, config.push_dir)
        plan = planning.make_plan(config)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("already up to date:" if plan.up_to_date else "new:", plan.finding, flush=True)
    from pipeline.kubeflow import compile  # brings TFX: not before the settings are good

    outputs = compile.stage_parameters(config, plan.facts)
    outputs[compile.UP_TO_DATE] = "true" if plan.up_to_date else "false"
    path = Path(args.executor_input["outputs"]["outputFile"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"parameterValues": outputs}))
    return 0


def make_config(settings: dict[str, Any], given: dict[str, Any]) -> PipelineConfig:
    """Returns the settings of a run.

    Args:
      settings: those that the pipeline was compiled with, by name, as JSON has them.
      given: the run's own parameters: texts as the command line takes them, and numbers.

    Raises:
      ValueError: names the setting, what was expected and what came.
    """
    fields = {field.name: field for field in dataclasses.fields(PipelineConfig)}
    if unknown := settings.keys() - fields.keys():
        raise ValueError(
            f"settings: expected those of the image's code; got {', '.join(sorted(unknown))} too: "
            "compile the pipeline with the code that is in the image"
        )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    values |= {name: _read(fields[name], given[name]) for name in fields.keys() & given.keys()}
    return PipelineConfig(**values)


def _read(field: dataclasses.Field, value: Any) -> Any:
    parse = field.metadata["parse"]
    try:
        # Kubeflow's whole numbers are floats, 30.0.
        return parse(value) if isinstance(value, str) else parse(f"{value:.15g}")
    except ValueError as error:
        raise ValueError(f"{field.name}: expected {EXPECTED[parse]}; got {value!r}") from error


if __name__ == "__main__":
    sys.exit(main())
