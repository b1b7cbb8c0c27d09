"""The published model as candidate."""

import json

import pytest

from components import embedder
from components.trainer import reuse
from tests.trainings import CONFIG, make_fn_args


def make_champion(folder, **config):
    """Writes what Champion gives; returns the model's folder."""
    model = folder / "champion" / "Format-Serving"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"graph")
    (model / "variables" / "variables.index").write_bytes(b"weights")
    facts = {"num_frames": CONFIG["num_frames"], "image_size": CONFIG["image_size"]} | config
    manifest = {"version": 7, "config": facts}
    (folder / "champion" / "manifest.json").write_text(json.dumps(manifest))
    return model


def test_the_model_keeps_its_id(data, tmp_path):
    """What is exported is the published SavedModel, byte for byte."""
    model = make_champion(tmp_path)
    args = make_fn_args(data, tmp_path)
    args.base_model = str(model)
    reuse.run_fn(args)
    assert embedder.directory_digest(args.serving_model_dir) == embedder.directory_digest(
        str(model)
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"image_size": 48}, "image_size: expected 48, as version 7 was trained with; got 32"),
        ({"num_frames": 9}, "num_frames: expected 9, as version 7 was trained with; got"),
        (None, "reuse_model: expected a published version; there is none"),
    ],
)
def test_a_model_that_cannot_be_used_again_is_told(config, message, data, tmp_path):
    """Other clips than the model was made for, and no model, are errors that say so."""
    args = make_fn_args(data, tmp_path)
    args.base_model = str(tmp_path / "champion" / "Format-Serving")
    if config is not None:
        make_champion(tmp_path, **config)
    with pytest.raises(ValueError, match=message):
        reuse.run_fn(args)
