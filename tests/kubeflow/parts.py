"""A pipeline of two stages whose artifacts have metadata of every kind."""

import os
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

if __name__ != "parts":  # in a pod there is no need for it
    from tests.kubeflow import pod


@component
def Source(
    examples: OutputArtifact[standard_artifacts.Examples],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    text: Parameter[str],
    number: Parameter[int],
):
    """Writes a file, and properties of every kind."""
    examples.span = number
    examples.split_names = '["train"]'
    examples.set_string_custom_property("note", text)
    examples.set_json_value_custom_property("list", [1, "two", None])
    examples.set_json_value_custom_property("struct", {"a": [True]})
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_string_custom_property("current_model", examples.uri)
    with open(os.path.join(examples.uri, "file"), "w") as file:
        file.write(text)


@component
def Sink(
    examples: InputArtifact[standard_artifacts.Examples],
    blessing: InputArtifact[standard_artifacts.ModelBlessing],
):
    """Fails unless all is as it was."""
    with open(os.path.join(examples.uri, "file")) as file:
        text = file.read()
    found = (
        text,
        examples.span,
        examples.split_names,
        examples.get_string_custom_property("note"),
        examples.get_json_value_custom_property("list"),
        examples.get_json_value_custom_property("struct"),
        blessing.get_int_custom_property("blessed"),
        blessing.get_string_custom_property("current_model"),
    )
    expected = (
        'a "quoted" text', 3, '["train"]', 'a "quoted" text', [1, "two"], {"a": [True]}, 1,
        examples.uri,
    )  # fmt: skip
    if found != expected:
        raise ValueError(f"expected {expected}; got {found}")


def make_spec() -> dict:
    """Returns the compiled pipeline."""
    source = Source(text='a "quoted" text', number=3)
    sink = Sink(examples=source.outputs["examples"], blessing=source.outputs["blessing"])
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image="registry.example/parts:1",
            default_commands=["python", "-m", "pipeline.kubeflow.entrypoint"],
            use_pipeline_spec_2_1=True,
        )
    )
    dag = Pipeline("parts", "", components=[source, sink])
    spec = runner.run(dag, write_out=False)["pipelineSpec"]
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor["container"]
        # Other packages have a module `tests`, too.
        container["args"] = [text.replace(__name__, "parts") for text in container["args"]]
        container["env"] = [{"name": "PYTHONPATH", "value": f"{pod.ROOT}:{Path(__file__).parent}"}]
    return spec
