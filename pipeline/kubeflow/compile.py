"""Compiles the DAG for open-source Kubeflow Pipelines 2.x (PipelineSpec 2.1).

TFX's compiler makes the stages' tasks. Around them stands what Kubeflow needs and TFX leaves out:

    plan -> retrain, where there is anything new
             `-> the stages, as on one machine

`plan` (plan.py) finds what a local run finds before it starts. Those of the stages' parameters that
depend on it, or on a run's own parameters, are its outputs.
"""

import dataclasses
import json
import re
from collections.abc import Iterable
from typing import Any

import yaml
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from pipeline import beam_options, pipeline
from pipeline.config import PipelineConfig
from pipeline.kubeflow import platform_spec
from pipeline.kubeflow.settings import KubeflowConfig, check_places
from pipeline.planning import RunFacts

#: Settings that each run may choose anew; they are the pipeline's parameters.
RUN_PARAMETERS = (
    "source",
    "push_dir",
    "data_version",
    "classes",
    "num_frames",
    "image_size",
    "epochs",
    "k",
)
#: By stage: its parameters that are known only when a run starts. A refresh has fewer stages.
PLANNED = {
    "Champion": ("push_dir", "live_version", "live_fingerprint"),
    "ClipExampleGen": ("source", "classes", "num_frames", "image_size", "data_version"),
    "Transform": ("custom_config",),
    "Trainer": ("custom_config",),
    "RetrievalEvaluator": ("num_frames",),
    "BulkInferrer": ("k",),
    "Pusher": ("push_dir", "live_version", "settings", "data_version", "run_fingerprint"),
}
PLAN, RETRAIN = "plan", "retrain"
#: Output of `plan`: "true" where nothing is to be done.
UP_TO_DATE = "up_to_date"

_PYTHON = ("python", "-m")
_NO_FACTS = RunFacts("", "", "", "")
#: The server's YAML is 1.2, which takes more for numbers than PyYAML does, such as 1e5 and 089.
_LIKE_NUMBER = re.compile(r"[-+]?\.?\d")
_KINDS = {int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"}

Spec = dict[str, Any]


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and what is shared in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else "'" if _LIKE_NUMBER.match(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _Dumper.represent_text)


def compile_pipeline(config: PipelineConfig, platform: KubeflowConfig) -> str:
    """Returns the YAML that Kubeflow takes: the pipeline, then what Kubernetes is to know of it.

    Args:
      config: the settings of all runs, and defaults of RUN_PARAMETERS.
      platform: of the cluster.

    Raises:
      ValueError: a setting that only a local run can have.
    """
    _check(config, platform)
    spec = _stages_spec(config, _NO_FACTS, platform)
    for name in pipeline.UNCACHED_NODES:
        del spec["root"]["dag"]["tasks"][name]["cachingOptions"]
    if platform.pipeline_root:  # the server passes over it; `submit` gives it to each run
        spec["defaultPipelineRoot"] = platform.pipeline_root
    _nest(spec, config, platform)
    for label, executor in spec["deploymentSpec"]["executors"].items():
        executor["container"] |= platform_spec.container(platform, label)
    for component in (spec["root"], spec["components"][RETRAIN]):
        for task in component["dag"]["tasks"].values():
            if task["componentRef"]["name"] != RETRAIN:
                task["retryPolicy"] = platform_spec.retry_policy(platform)
    documents = [spec, platform_spec.document(platform, spec["deploymentSpec"]["executors"])]
    return to_yaml(documents)


def _check(config: PipelineConfig, platform: KubeflowConfig) -> None:
    """Raises ValueError where a setting means nothing in containers."""
    if config.on_finish:
        raise ValueError("on_finish: expected none, as it is for local runs; got a command")
    check_places(config.source, config.push_dir)
    root = platform.pipeline_root
    if beam_options.runs_elsewhere(config.beam_args) and root and not root.startswith("gs://"):
        raise ValueError(
            f"pipeline_root: expected gs://, for Beam's workers elsewhere to see; got {root}"
        )


def to_yaml(documents: list[Spec]) -> str:
    """Returns documents as YAML for people to read."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, width=100)


def stage_parameters(config: PipelineConfig, facts: RunFacts) -> dict[str, Any]:
    """Returns the parameters of PLANNED, by output of `plan`, as a local run would set them."""
    spec = _stages_spec(config, facts, KubeflowConfig(image="unused:0"))
    tasks = spec["root"]["dag"]["tasks"]
    return {
        output_name(stage, name): tasks[stage]["inputs"]["parameters"][name]["runtimeValue"][
            "constant"
        ]
        for stage, name in planned(tasks)
    }


def planned(tasks: Iterable[str]) -> list[tuple[str, str]]:
    """Returns stage and name of each parameter of PLANNED that these stages have."""
    return [(stage, name) for stage in PLANNED if stage in tasks for name in PLANNED[stage]]


def output_name(stage: str, parameter: str) -> str:
    """Returns which output of `plan` a stage's parameter is."""
    return f"{stage}-{parameter}"


def _stages_spec(config: PipelineConfig, facts: RunFacts, platform: KubeflowConfig) -> Spec:
    """Returns what TFX compiles: the stages, all their parameters constant."""
    dag = pipeline.create_pipeline(
        config, facts, name=platform.pipeline_name, root=platform.pipeline_root
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=platform.image,
            default_commands=[*_PYTHON, "pipeline.kubeflow.entrypoint"],
            use_pipeline_spec_2_1=True,
        )
    )
    return runner.run(dag, write_out=False)["pipelineSpec"]


def _nest(spec: Spec, config: PipelineConfig, platform: KubeflowConfig) -> None:
    """Makes the stages a DAG of their own, `retrain`, behind `plan`."""
    stages, components = spec["root"]["dag"], spec["components"]
    outputs = {UP_TO_DATE: {"parameterType": "STRING"}}
    for stage, name in planned(stages["tasks"]):
        output = output_name(stage, name)
        outputs[output] = dict(components[stage]["inputDefinitions"]["parameters"][name])
        stages["tasks"][stage]["inputs"]["parameters"][name] = {"componentInputParameter": output}
    components[RETRAIN] = {"dag": stages, "inputDefinitions": {"parameters": outputs}}
    run_parameters = _run_parameters(config)
    components[PLAN] = {
        "executorLabel": f"{PLAN}_executor",
        "inputDefinitions": {"parameters": run_parameters},
        "outputDefinitions": {"parameters": outputs},
    }
    spec["deploymentSpec"]["executors"][f"{PLAN}_executor"] = {
        "container": {
            "image": platform.image,
            "command": [*_PYTHON, "pipeline.kubeflow.plan"],
            "args": [
                "--settings",
                json.dumps(dataclasses.asdict(config), sort_keys=True),
                "--executor_input",
                "{{$}}",
            ],
        }
    }
    spec["root"] = {
        "inputDefinitions": {"parameters": run_parameters},
        "dag": {"tasks": {PLAN: _plan_task(), RETRAIN: _retrain_task(outputs)}},
    }


def _plan_task() -> Spec:
    return {
        "taskInfo": {"name": PLAN},
        "componentRef": {"name": PLAN},
        "inputs": {
            "parameters": {name: {"componentInputParameter": name} for name in RUN_PARAMETERS}
        },
    }


def _retrain_task(outputs: Iterable[str]) -> Spec:
    return {
        "taskInfo": {"name": RETRAIN},
        "componentRef": {"name": RETRAIN},
        "dependentTasks": [PLAN],
        "inputs": {
            "parameters": {
                name: {"taskOutputParameter": {"producerTask": PLAN, "outputParameterKey": name}}
                for name in outputs
            }
        },
        "triggerPolicy": {"condition": f"inputs.parameter_values['{UP_TO_DATE}'] == 'false'"},
    }


def _run_parameters(config: PipelineConfig) -> Spec:
    """Returns type and default of RUN_PARAMETERS, as the command line writes them."""
    fields = {field.name: field for field in dataclasses.fields(PipelineConfig)}
    parameters = {}
    for name in RUN_PARAMETERS:
        value = getattr(config, name)
        kind = _KINDS.get(fields[name].metadata["parse"], "STRING")
        if kind == "STRING":
            value = ",".join(value) if isinstance(value, tuple) else str(value)
        parameters[name] = {
            "parameterType": kind,
            "defaultValue": value,
            "description": fields[name].metadata["help"],
        }
    return parameters
