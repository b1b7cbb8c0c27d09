"""What TFX calls: `run_fn`, and what it leaves."""

import json
from pathlib import Path

import tensorflow as tf

from components.trainer import train, warm_start
from tests.trainings import bright_or_dark, make_fn_args


def test_run_fn_leaves_model_figures_and_no_checkpoint(data, tmp_path):
    """The export serves, its weights lie beside it, and TensorBoard has scalars and pictures."""
    args = make_fn_args(data, tmp_path)
    train.run_fn(args)
    loaded = tf.saved_model.load(args.serving_model_dir)
    clips = [bright_or_dark(index) for index in range(4)]
    logits = loaded.signatures["serving_default"](tf.constant(clips))["logits"]
    assert logits.shape == (4, 2)
    assert (Path(args.serving_model_dir) / warm_start.WEIGHTS_FILE).exists()
    logs = Path(args.model_run_dir)
    history = json.loads((logs / "history.json").read_text())
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    facts = json.loads((logs / "training.json").read_text())
    assert facts["began_with"] == "fresh weights"
    assert (facts["epochs"], facts["devices"], facts["precision"]) == (4, 1, "float32")
    tags = {
        value.tag
        for path in logs.rglob("events.out.tfevents.*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"epoch_loss", "epoch_accuracy", "confusion", "neighbors"} <= tags
    assert not list((tmp_path / "checkpoints").iterdir())


def test_trainings_that_differ_do_not_share_checkpoints(data, tmp_path):
    """Settings, data and the model that is begun with name a training."""
    args = make_fn_args(data, tmp_path)
    same = make_fn_args(data, tmp_path)
    others = [make_fn_args(data, tmp_path, epochs=5) for _ in range(3)]
    others[1] = make_fn_args(data, tmp_path)
    others[1].train_files = ["elsewhere"]
    others[2] = make_fn_args(data, tmp_path)
    others[2].base_model = str(tmp_path / "champion" / "Format-Serving")
    (tmp_path / "champion").mkdir()
    (tmp_path / "champion" / "manifest.json").write_text('{"version": 3}')
    ids = {train._training_id(other) for other in (args, same, *others)}
    assert train._training_id(args) == train._training_id(same)
    assert len(ids) == 4
