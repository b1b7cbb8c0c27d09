"""Mistakes that Kubeflow would reject, or trip over, are told when a pipeline is compiled."""

import copy

import pytest
import yaml

from pipeline.kubeflow import lint
from tests.kubeflow import configurations


@pytest.fixture(scope="module")
def documents():
    return list(yaml.safe_load_all(configurations.make_package()))


def stages(spec):
    return spec["components"]["retrain"]["dag"]["tasks"]


def container(spec, label="Trainer_executor"):
    return spec["deploymentSpec"]["executors"][label]["container"]


def rename_task(spec, platform):
    spec["root"]["dag"]["tasks"]["plan_all"] = spec["root"]["dag"]["tasks"].pop("plan")


def put(path, value):
    """Returns a change that sets a value at a path into the first document."""

    def change(spec, platform):
        *parents, last = path
        for key in parents:
            spec = spec[key]
        spec[last] = value

    return change


def drop(*path):
    """Returns a change that removes what is at a path."""

    def change(spec, platform):
        for key in path[:-1]:
            spec = spec[key]
        del spec[path[-1]]

    return change


RETRAIN = ("components", "retrain", "dag", "tasks")
EXECUTORS = ("deploymentSpec", "executors")
TRAINER = (*EXECUTORS, "Trainer_executor", "container")
TYPE = ("components", "BulkInferrer", "outputDefinitions", "artifacts", "neighbors", "artifactType")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(("schemaVersion",), "2.0.0"), "schemaVersion: expected 2.1.0; got 2.0.0"),
        (put(("pipelineInfo", "name"), "Clips"), "pipelineInfo: expected a name of lowercase"),
        (put(("surprise",), 1), "PipelineSpec: "),
        (lambda spec, platform: platform.update(surprise=1), "PlatformSpec: "),
        (rename_task, "task plan_all: expected letters, digits and -"),
        (put((*RETRAIN, "Trainer", "componentRef", "name"), "Tuner"), "task Trainer: no component"),
        (
            put((*RETRAIN, "Trainer", "dependentTasks"), ["Tuner", "ClipExampleGen", "Transform"]),
            "task Trainer: depends on Tuner, which is not in retrain",
        ),
        (
            put((*RETRAIN, "Trainer", "dependentTasks"), ["ClipExampleGen"]),
            "task Trainer, input transform_graph: expected Transform among the tasks",
        ),
        (
            put(
                (*RETRAIN, "Trainer", "inputs", "artifacts", "examples", "taskOutputArtifact"),
                {"producerTask": "Tuner", "outputArtifactKey": "examples"},
            ),
            "task Trainer, input examples: no task Tuner in retrain",
        ),
        (
            put(
                (*RETRAIN, "Trainer", "inputs", "artifacts", "examples", "taskOutputArtifact"),
                {"producerTask": "ClipExampleGen", "outputArtifactKey": "clips"},
            ),
            "task Trainer, input examples: task ClipExampleGen has no output clips",
        ),
        (
            put(
                (*RETRAIN, "Trainer", "inputs", "artifacts", "examples", "taskOutputArtifact"),
                {"producerTask": "Transform", "outputArtifactKey": "transform_graph"},
            ),
            "task Trainer, input examples: expected {'instanceSchema': 'title: tfx.Examples",
        ),
        (
            drop(*RETRAIN, "Pusher", "inputs", "artifacts", "model"),
            "task Pusher: input model is mi",
        ),
        (
            put((*RETRAIN, "Pusher", "inputs", "parameters", "more"), {"runtimeValue": {}}),
            "task Pusher: input more is not declared",
        ),
        (
            put(
                (*RETRAIN, "BulkInferrer", "inputs", "parameters", "k"),
                {"componentInputParameter": "how_many"},
            ),
            "task BulkInferrer, input k: retrain has no parameter how_many",
        ),
        (
            put(
                (*RETRAIN, "BulkInferrer", "inputs", "parameters", "k"),
                {"componentInputParameter": "ClipExampleGen-source"},
            ),
            "task BulkInferrer, input k: expected NUMBER_INTEGER; got STRING",
        ),
        (
            put(
                (*RETRAIN, "BulkInferrer", "inputs", "parameters", "code_version"),
                {"runtimeValue": {"constant": "{{$.inputs.parameters['k']}}"}},
            ),
            "task BulkInferrer, input code_version: expected no placeholder",
        ),
        (
            put((*RETRAIN, "CuratedSchema", "dependentTasks"), ["Pusher"]),
            "retrain: tasks wait for each other: BulkInferrer, CuratedSchema",
        ),
        (
            put(("root", "dag", "tasks", "retrain", "triggerPolicy", "condition"), "true"),
            "task retrain: expected a condition on one of its own inputs; got 'true'",
        ),
        (
            put(
                ("root", "dag", "tasks", "retrain", "triggerPolicy", "condition"),
                "inputs.parameter_values['stale'] == 'true'",
            ),
            "task retrain: expected a condition on one of its own inputs",
        ),
        (
            drop("root", "inputDefinitions", "parameters", "source", "defaultValue"),
            "parameter source: expected a default",
        ),
        (drop(*EXECUTORS, "Trainer_executor"), "component Trainer: no executor Trainer_executor"),
        (
            put((*EXECUTORS, "Trainer_executor"), {"resolver": {}}),
            "executor Trainer_executor: expected a container; got resolver",
        ),
        (
            put((*EXECUTORS, "Trainer_executor"), {"importer": {}}),
            "executor Trainer_executor: expected a container; got importer",
        ),
        (
            put((*TRAINER, "lifecycle"), {"preCacheCheck": {"command": ["true"]}}),
            "executor Trainer_executor: expected no lifecycle",
        ),
        (put((*TRAINER, "image"), "clips"), "Trainer_executor: expected an image with a tag; got"),
        (
            put((*TRAINER, "args"), ["{{$.outputs.artifacts['model'].uri}}"]),
            "executor Trainer_executor: expected no placeholder but {{$}}",
        ),
        (
            put((*TYPE, "instanceSchema"), "title: components.published.Table\ntype: object"),
            "BulkInferrer, neighbors: expected a type <package>.<Class>",
        ),
        (
            put((*TYPE, "instanceSchema"), "title: components.Missing\ntype: object"),
            "BulkInferrer, neighbors: type components.Missing cannot be imported",
        ),
        (
            put((*TYPE, "instanceSchema"), "title: nowhere.Table\ntype: object"),
            "BulkInferrer, neighbors: type nowhere.Table cannot be imported",
        ),
        (
            lambda spec, platform: platform["platforms"]["kubernetes"]["deploymentSpec"][
                "executors"
            ].update(Tuner_executor={}),
            "kubernetes: no executor Tuner_executor",
        ),
    ],
)
def test_mistakes_are_told(change, message, documents):
    """Each mistake is named with its place."""
    spec, platform = copy.deepcopy(documents)
    change(spec, platform)
    with pytest.raises(ValueError, match=r"^package: ") as raised:
        lint.check(yaml.safe_dump_all([spec, platform]))
    assert message in str(raised.value)


def test_number_of_documents(documents):
    """There is the pipeline, and perhaps what Kubernetes is to know."""
    lint.check(yaml.safe_dump_all(documents[:1]))
    for wrong in ([], [*documents, documents[1]]):
        with pytest.raises(ValueError, match=f"expected one or two documents; got {len(wrong)}"):
            lint.check(yaml.safe_dump_all(wrong))
