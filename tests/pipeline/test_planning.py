"""What a run finds before it starts: whether there is anything to do."""

import dataclasses
import json

import pytest

from pipeline import planning
from pipeline.config import PipelineConfig
from tests.published_library import make_inputs, publish_next
from tests.zip_library import zip_bytes


@pytest.fixture
def source(tmp_path):
    """Writes a zip of two classes with clips of so many groups; no clip is decoded."""

    def write(groups):
        members = {
            f"{name}/v_{name}_g{group:02d}_c01.avi": f"{name} {group}".encode()
            for name in ("Fall", "Rise")
            for group in groups
        }
        path = tmp_path / "library.zip"
        path.write_bytes(zip_bytes(members))
        return str(path)

    return write


@pytest.fixture
def config(source, tmp_path):
    """The settings of a first run."""
    return PipelineConfig(
        source=source((1, 8, 9, 25)),
        output_dir=str(tmp_path / "output"),
        classes=2,
        num_frames=3,
        image_size=32,
        epochs=7,
    )


def publish(config, folder):
    """Publishes what a run with these settings would; returns its plan."""
    plan = planning.make_plan(config)
    inputs = make_inputs(folder)
    inputs["facts"] = inputs["facts"]._replace(
        config=config.result_settings() | json.loads(plan.facts.trained_with),
        run_fingerprint=plan.facts.run_fingerprint,
    )
    publish_next(config.push_dir, **inputs)
    return plan


def test_the_first_run_has_all_to_do(config):
    """Nothing is live, and the clips are counted by split."""
    plan = planning.make_plan(config)
    assert (plan.facts.live_version, plan.facts.live_fingerprint, plan.live) == ("", "", "")
    assert not plan.up_to_date
    assert plan.finding == "train 4, eval 2, test 2; live: nothing"


def test_without_new_data_there_is_nothing_to_do(config, source, tmp_path):
    """The same settings on the same clips are up to date; with a new clip they are not."""
    publish(config, tmp_path / "inputs")
    plan = planning.make_plan(config)
    assert plan.up_to_date
    assert plan.finding == f"nothing changed since {plan.live}"
    source((1, 8, 9, 10, 25))
    assert not planning.make_plan(config).up_to_date


def test_a_refresh_of_what_was_trained_on_is_up_to_date(config, source, tmp_path):
    """A refresh looks at clips and tables; how a model was trained and judged it does not."""
    publish(config, tmp_path / "inputs")
    refresh = dataclasses.replace(config, refresh=True, epochs=99, min_recall=0.9)
    assert planning.make_plan(refresh).up_to_date
    assert not planning.make_plan(dataclasses.replace(refresh, k=3)).up_to_date
    source((1, 8, 9, 10, 25))
    assert not planning.make_plan(refresh).up_to_date


def test_a_refresh_does_not_keep_a_training_from_its_clips(config, source, tmp_path):
    """What a refresh has published is up to date for another refresh, and not for a training."""
    publish(config, tmp_path / "first")
    source((1, 8, 9, 10, 25))
    refresh = dataclasses.replace(config, refresh=True, epochs=99)
    plan = publish(refresh, tmp_path / "second")
    trained_with = json.loads(plan.facts.trained_with)
    assert trained_with.keys() == set(planning.TRAINING_SETTINGS)
    assert trained_with["epochs"] == 7
    assert planning.make_plan(refresh).up_to_date
    assert planning.make_plan(dataclasses.replace(refresh, min_recall=0.9)).up_to_date
    assert not planning.make_plan(config).up_to_date


def test_a_refresh_needs_a_version_that_takes_its_clips(config, tmp_path):
    """Nothing live, and a model for other clips, are errors that name the setting."""
    refresh = dataclasses.replace(config, refresh=True)
    with pytest.raises(ValueError, match="refresh: expected a published version; none in "):
        planning.make_plan(refresh)
    publish(config, tmp_path / "inputs")
    for name, had, wanted in (("num_frames", 3, 4), ("image_size", 32, 48)):
        message = f"{name}: expected {had}, as version 1 was trained with; got {wanted}"
        with pytest.raises(ValueError, match=message):
            planning.make_plan(dataclasses.replace(refresh, **{name: wanted}))


def test_training_settings_and_bars_are_settings():
    """All of them are fields on which the result depends."""
    named = {*planning.TRAINING_SETTINGS, *planning.BARS}
    assert named <= PipelineConfig().result_settings().keys()
