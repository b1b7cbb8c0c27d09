"""The compiled pipeline: golden files of three configurations, and what a run may choose."""

import dataclasses
import difflib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kfp
import kfp.client.client
import pytest
import yaml
from tfx import version

import kubeflow_runner
from pipeline.config import PipelineConfig
from pipeline.kubeflow import compile, lint, plan, settings
from pipeline.planning import RunFacts
from tests.kubeflow import configurations

GOLDEN = Path(__file__).with_name("golden")
FACTS = RunFacts("data", "3", "live", "run")
#: Another value for each parameter of a run.
OTHERS = {
    "source": "s3://other/clips.zip",
    "push_dir": "s3://other/published",
    "data_version": "2",
    "classes": ("Archery", "Diving"),
    "num_frames": 8,
    "image_size": 112,
    "epochs": 3,
    "k": 20,
}


@pytest.fixture(scope="module")
def compiled():
    return {name: configurations.make_package(name) for name in configurations.CONFIGURATIONS}


def comparable(package):
    """Returns a package without what changes with every change of code, and between the lines."""
    spec, platform = yaml.safe_load_all(package)
    stages = spec["components"]["retrain"]["dag"]["tasks"]
    options = stages["StatisticsGen"]["inputs"]["parameters"]["stats_options_json"]
    options["runtimeValue"]["constant"] = "<TFDV's own>"
    text = compile.to_yaml([spec, platform])
    text = re.sub(r"'?\b[0-9a-f]{64}\b'?", "<digest>", text)
    return text.replace(f"tfx-{version.__version__}", "tfx-<version>")


def changes(package, of):
    """Returns what a package has that another has not, and the other way round."""
    lines = difflib.unified_diff(of.splitlines(), package.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in list(lines)[2:] if not line.startswith("@@")) + "\n"


@pytest.mark.parametrize("name", configurations.CONFIGURATIONS)
def test_golden(name, compiled):
    """What is compiled is what it was; UPDATE_GOLDEN=1 writes it anew.

    The first configuration is kept whole, of the others what differs from it.
    """
    found, base = comparable(compiled[name]), comparable(compiled["cpu"])
    path = GOLDEN / ("cpu.yaml" if name == "cpu" else f"{name}.diff")
    found = found if name == "cpu" else changes(found, base)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("name", configurations.CONFIGURATIONS)
def test_what_is_compiled_is_sound(name, compiled, tmp_path):
    """The lint finds nothing, and the SDK's client loads both documents."""
    lint.check(compiled[name])
    path = tmp_path / "pipeline.yaml"
    path.write_text(compiled[name])
    loaded = kfp.client.client._extract_pipeline_yaml(str(path))
    assert loaded.pipeline_spec.pipeline_info.name == "clip-recommender"
    kubernetes = loaded.platform_spec.platforms["kubernetes"]
    assert len(kubernetes.deployment_spec.executors) == 13


def test_every_stage_runs_our_entrypoint(compiled):
    """No task runs anything but the image's two commands, and none is looked up but the pure."""
    spec = next(yaml.safe_load_all(compiled["cpu"]))
    for label, executor in spec["deploymentSpec"]["executors"].items():
        module = "plan" if label == "plan_executor" else "entrypoint"
        assert executor["container"]["command"] == ["python", "-m", f"pipeline.kubeflow.{module}"]
    tasks = spec["components"]["retrain"]["dag"]["tasks"]
    uncached = {name for name, task in tasks.items() if not task.get("cachingOptions")}
    assert uncached == {"Pusher"}
    assert "cachingOptions" not in spec["root"]["dag"]["tasks"]["plan"]


@pytest.mark.parametrize("name", compile.RUN_PARAMETERS)
def test_what_a_run_may_choose_reaches_the_stages(name):
    """A parameter changes stages' parameters, and only those that the first task hands on."""
    config = PipelineConfig(source="s3://b/clips.zip", push_dir="s3://b/published")
    other = dataclasses.replace(config, **{name: OTHERS[name]})
    before, after = (all_parameters(each, FACTS) for each in (config, other))
    assert before.keys() == after.keys()
    changed = {key for key in before if before[key] != after[key]}
    planned = {(stage, key) for stage, keys in compile.PLANNED.items() for key in keys}
    if name == "data_version":  # it is in the facts
        assert changed == {("Pusher", "settings")}
    else:
        assert changed and changed <= planned
    handed = compile.stage_parameters(other, FACTS)
    assert handed == {compile.output_name(*key): after[key] for key in planned}


@pytest.mark.parametrize("field", dataclasses.fields(RunFacts))
def test_what_a_run_finds_reaches_the_stages(field):
    """Each fact changes parameters that the first task hands on, and no others."""
    config = PipelineConfig(source="s3://b/clips.zip", push_dir="s3://b/published")
    value = '{"epochs": 9}' if field.name == "trained_with" else "9"
    other = dataclasses.replace(FACTS, **{field.name: value})
    before, after = (all_parameters(config, facts) for facts in (FACTS, other))
    changed = {key for key in before if before[key] != after[key]}
    planned = {(stage, key) for stage, keys in compile.PLANNED.items() for key in keys}
    assert changed and changed <= planned


def test_a_refresh_has_no_training():
    """It compiles to fewer stages, and is as sound."""
    package = compile.compile_pipeline(
        PipelineConfig(source="s3://b/c.zip", push_dir="s3://b/p", refresh=True),
        settings.KubeflowConfig(image=configurations.IMAGE),
    )
    lint.check(package)
    stages = next(yaml.safe_load_all(package))["components"]["retrain"]["dag"]["tasks"]
    assert not stages.keys() & {"Transform", "Trainer", "Evaluator"}
    assert {"Champion", "RetrievalEvaluator", "BulkInferrer", "Pusher"} <= stages.keys()


@pytest.mark.parametrize("text", ["1e5", "83e1204", "089", "0o17", "+.5", "-1", "2026-11-28"])
def test_texts_like_numbers_stay_texts(text):
    """The server reads YAML 1.2, to which 1e5 is a number and '1e5' is not."""
    config = PipelineConfig(source="s3://b/c.zip", push_dir="s3://b/p", data_version=text)
    platform = settings.KubeflowConfig(image=configurations.IMAGE, env_vars=(f"LIMIT={text}",))
    package = compile.compile_pipeline(config, platform)
    assert f"defaultValue: '{text}'" in package
    assert f"value: '{text}'" in package
    assert not re.search(rf": {re.escape(text)}$", package, re.MULTILINE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_finish": "mail me"}, "on_finish: expected none"),
        ({"source": ""}, "source: expected one"),
        ({"push_dir": "output/published"}, "push_dir: expected s3:// or gs://.*output/published"),
        ({"beam_args": ("--runner=FlinkRunner",)}, "pipeline_root: expected gs://.*got minio"),
    ],
)
def test_what_only_a_local_run_can_have_is_refused(given, message):
    """Commands, files and folders of this machine mean nothing to containers."""
    good = {"source": "s3://b/c.zip", "push_dir": "s3://b/p"}
    platform = settings.KubeflowConfig(image=configurations.IMAGE, pipeline_root="minio://b/root")
    with pytest.raises(ValueError, match=message):
        compile.compile_pipeline(PipelineConfig(**good | given), platform)


def test_compile_writes_where_it_is_told(tmp_path, capsys):
    """A link stays one, and what is no file takes the text."""
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real.yaml")
    os.mkfifo(tmp_path / "pipe")
    options = "--image", "a/b:1", "--source", "s3://b/c.zip", "--output-dir", "s3://b/out"
    with ThreadPoolExecutor(1) as threads:
        piped = threads.submit((tmp_path / "pipe").read_text)
        for name in ("link.yaml", "pipe"):
            arguments = ["compile", "--out", str(tmp_path / name), *options]
            assert kubeflow_runner.main(arguments) == 0
            assert f"submit {tmp_path / name} --wait" in capsys.readouterr().out
        assert piped.result(60) == (tmp_path / "real.yaml").read_text()
    assert (tmp_path / "link.yaml").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "pipe", "real.yaml"]


def all_parameters(config, facts):
    """Returns every stage's constants."""
    spec = compile._stages_spec(config, facts, settings.KubeflowConfig(image=configurations.IMAGE))
    return {
        (stage, name): given["runtimeValue"]["constant"]
        for stage, task in spec["root"]["dag"]["tasks"].items()
        for name, given in task["inputs"].get("parameters", {}).items()
    }


def test_parameters_have_the_settings_as_defaults():
    """Defaults are those of the settings, as the command line writes them."""
    package = compile.compile_pipeline(
        PipelineConfig(source="s3://b/c.zip", push_dir="s3://b/p", classes=("A", "B"), epochs=7),
        settings.KubeflowConfig(image=configurations.IMAGE),
    )
    spec = next(yaml.safe_load_all(package))
    found = {
        name: (item["parameterType"], item["defaultValue"])
        for name, item in spec["root"]["inputDefinitions"]["parameters"].items()
    }
    assert found == {
        "source": ("STRING", "s3://b/c.zip"),
        "push_dir": ("STRING", "s3://b/p"),
        "data_version": ("STRING", ""),
        "classes": ("STRING", "A,B"),
        "num_frames": ("NUMBER_INTEGER", 10),
        "image_size": ("NUMBER_INTEGER", 224),
        "epochs": ("NUMBER_INTEGER", 7),
        "k": ("NUMBER_INTEGER", 10),
    }


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"image": ""}, ["image", "registry/name:tag", "''"]),
        ({"image": "registry.example/clips"}, ["image", "tag", "clips"]),
        ({"image": "Registry/Clips:1"}, ["image", "Registry/Clips:1"]),
        ({"pipeline_name": "Clip_Recommender"}, ["pipeline_name", "Clip_Recommender"]),
        ({"pipeline_root": "/data"}, ["pipeline_root", "minio://", "/data"]),
        ({"cpu": 8.0}, ["cpu_limit", "8.0", "4.0"]),
        ({"memory_limit": 2.0}, ["memory_limit", "4.0", "2.0"]),
        ({"retries": -1}, ["retries", "0 to 100", "-1"]),
        ({"gpus": 65}, ["gpus", "0 to 64", "65"]),
        ({"gpu_node_labels": ("t4",)}, ["gpu_node_labels", "KEY=VALUE", "t4"]),
        ({"gpu_tolerations": ("gpu:Never",)}, ["gpu_tolerations", "NoSchedule", "gpu:Never"]),
        ({"secrets": ("s3=KEY",)}, ["secrets", "SECRET:KEY=NAME", "s3=KEY"]),
        ({"env_vars": ("1X=2",)}, ["env_vars", "NAME=VALUE", "1X=2"]),
    ],
)
def test_bad_settings_are_named(options, parts):
    """An error has the field, what was expected and what came."""
    with pytest.raises(ValueError) as raised:
        settings.KubeflowConfig(**{"image": configurations.IMAGE} | options)
    for part in parts:
        assert part in str(raised.value)


@pytest.mark.parametrize(
    "image",
    [
        "clips:1",
        "localhost:5000/clips:1",
        "registry.example/team/clip-recommender:2026.11_a",
        f"registry.example:443/clips@sha256:{'0' * 64}",
        f"clips:1@sha256:{'a' * 64}",
    ],
)
def test_image_references(image):
    """A registry with or without a port, a path, a tag or a digest."""
    assert settings.KubeflowConfig(image=image).image == image


def test_settings_of_a_run_are_json():
    """What the first task is given can be read back as it was."""
    config = PipelineConfig(source="s3://b/c.zip", push_dir="s3://b/p", beam_args=("--a=1",))
    told = json.loads(json.dumps(dataclasses.asdict(config)))
    assert plan.make_config(told, {}) == config
