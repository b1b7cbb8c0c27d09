"""The first task: what it reads, what it hands on, and what it says of bad parameters."""

import dataclasses
import json

import pytest

import sample_library
from components import published
from pipeline import planning
from pipeline.config import PipelineConfig
from pipeline.kubeflow import compile, plan
from tests.published_library import make_inputs, publish_next
from tests.s3_server import BUCKET, S3Server


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return sample_library.make_library(
        tmp_path_factory.mktemp("library") / "library.zip",
        classes=("Fall", "Rise"),
        clips_per_group={1: 1, 8: 1, 25: 1},
        num_frames=(8, 9),
    )


@pytest.fixture(scope="module")
def bucket():
    """A bucket on a server that the environment names."""
    with S3Server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield f"s3://{BUCKET}"


@pytest.fixture
def config(library, bucket, tmp_path):
    return PipelineConfig(
        source=str(library),
        output_dir=str(tmp_path),
        push_dir=f"{bucket}/{tmp_path.name}",
        classes=2,
        clips_per_class=(1, 1, 1),
    )


def run(config, tmp_path, **given):
    """Runs the task as the launcher does; returns its exit code and output parameters."""
    output_file = tmp_path / "kfp_outputs" / "output_metadata.json"
    executor_input = {
        "inputs": {"parameterValues": given},
        "outputs": {"outputFile": str(output_file)},
    }
    code = plan.main(
        ["--settings", json.dumps(dataclasses.asdict(config)),
         "--executor_input", json.dumps(executor_input)]
    )  # fmt: skip
    return code, json.loads(output_file.read_text())["parameterValues"] if not code else {}


def test_hands_on_what_a_local_run_would_set(config, tmp_path, capsys):
    """The stages get the parameters that the same settings have on one machine."""
    code, outputs = run(config, tmp_path, epochs=3.0, classes="Rise,Fall", k=4)
    assert code == 0
    chosen = dataclasses.replace(config, epochs=3, classes=("Rise", "Fall"), k=4)
    facts = planning.make_plan(chosen).facts
    assert outputs == {**compile.stage_parameters(chosen, facts), "up_to_date": "false"}
    assert json.loads(outputs["Trainer-custom_config"])["epochs"] == 3
    assert outputs["ClipExampleGen-classes"] == '["Rise", "Fall"]'
    assert outputs["BulkInferrer-k"] == 4
    assert "new: train 2, eval 2, test 2; live: nothing" in capsys.readouterr().out


def test_finds_what_is_live_and_whether_it_is_up_to_date(config, tmp_path, capsys):
    """Where the live version is what this run would publish, the rest is to be skipped."""
    inputs = make_inputs(tmp_path / "in")
    fingerprint = planning.make_plan(config).facts.run_fingerprint
    for facts, expected in (
        (inputs["facts"], "false"),
        (inputs["facts"]._replace(run_fingerprint=fingerprint), "true"),
    ):
        version = publish_next(config.push_dir, inputs["parts"], facts)
        code, outputs = run(config, tmp_path)
        assert (code, outputs["up_to_date"]) == (0, expected)
        assert outputs["Champion-live_version"] == outputs["Pusher-live_version"] == str(version)
        assert outputs["Champion-live_fingerprint"] == facts.run_fingerprint
    assert "already up to date: nothing changed since" in capsys.readouterr().out
    code, outputs = run(config, tmp_path, data_version="new")
    assert (code, outputs["up_to_date"]) == (0, "false")
    assert published.current_version(config.push_dir) == version


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "error: epochs: expected 1 to 10000; got 0"),
        ({"epochs": 2.5}, "error: epochs: expected a whole number; got 2.5"),
        ({"classes": "1"}, "error: classes: expected 2 or more, or names; got 1"),
        ({"source": "/nowhere.zip"}, "error: source: "),
        ({"source": ""}, "error: source: expected one"),
        ({"push_dir": "ftp://server/clips"}, "error: push_dir: expected s3:// or gs://"),
        ({"push_dir": "published"}, "error: push_dir: expected s3:// or gs://, as a container's"),
    ],
)
def test_bad_parameters_end_the_run_at_once(given, message, config, tmp_path, capsys):
    """The first task says what is wrong in one line."""
    assert run(config, tmp_path, **given) == (1, {})
    assert message in capsys.readouterr().err


def test_settings_of_other_code_are_refused(config, tmp_path, capsys):
    """A pipeline that was compiled with other code than the image's says so."""
    settings = dataclasses.asdict(config) | {"surprise": 1}
    arguments = json.dumps({"inputs": {"parameterValues": {}}, "outputs": {"outputFile": ""}})
    assert plan.main(["--settings", json.dumps(settings), "--executor_input", arguments]) == 1
    assert "error: settings: expected those of the image's code; got surprise" in (
        capsys.readouterr().err
    )
