"""Training: with and without interruption, on real Examples."""

import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from components.trainer import loop, model, settings, train, weights
from components.trainer.checkpoints import CheckpointStore
from tests.tiny_examples import IMAGE_SIZE, NUM_FRAMES, write_records
from tests.trainings import CONFIG, bright_or_dark, make_fn_args


def run_train(data, folder: Path, eval_files: str = "eval", **changes) -> loop.Trained:
    args = make_fn_args(data, folder, **changes)
    told = settings.from_custom_config(args.custom_config)
    trained, _ = train.train(
        args.train_files,
        [data[eval_files]],
        tft.TFTransformOutput(args.transform_output),
        args.model_run_dir,
        told,
        CheckpointStore(told.checkpoint_dir, "training"),
    )
    return trained


def epochs_reported(caplog) -> list[int]:
    progress = [record.progress for record in caplog.records if hasattr(record, "progress")]
    return [done for unit, done, *_ in progress if unit == "epochs"]


def assert_same(one: loop.Trained, other: loop.Trained) -> None:
    assert one.history == other.history
    assert one.best_epoch == other.best_epoch
    for path, array in one.weights.items():
        np.testing.assert_array_equal(array, other.weights[path], err_msg=path)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory) -> loop.Trained:
    return run_train(data, tmp_path_factory.mktemp("undisturbed"))


def test_it_learns(undisturbed):
    """Loss falls over the epochs, each of which has all figures."""
    assert [row["epoch"] for row in undisturbed.history] == [1, 2, 3, 4]
    figures = {"loss", "accuracy", "eval_loss", "eval_accuracy", "learning_rate"}
    assert all(figures <= row.keys() for row in undisturbed.history)
    assert undisturbed.history[-1]["loss"] < undisturbed.history[0]["loss"]
    assert undisturbed.history[-1]["learning_rate"] < 1e-4


def test_an_interrupted_training_ends_as_an_undisturbed_one(data, tmp_path, undisturbed, caplog):
    """Weights and history are the same bit for bit; no epoch is trained twice, also at the end."""

    class Interruption(logging.Handler):
        def emit(self, record):
            if record.progress[:2] == ("epochs", 2):
                raise KeyboardInterrupt

    progress = logging.getLogger("clip_recommender.progress")
    handler = Interruption()
    progress.addHandler(handler)
    with caplog.at_level(logging.INFO, "clip_recommender.progress"):
        try:
            with pytest.raises(KeyboardInterrupt):
                run_train(data, tmp_path)
        finally:
            progress.removeHandler(handler)
        assert epochs_reported(caplog) == [0, 1]
        caplog.clear()
        resumed = run_train(data, tmp_path)
        assert epochs_reported(caplog) == [2, 3, 4]
        caplog.clear()
        # As if it had been killed before the export: nothing is left to be trained.
        again = run_train(data, tmp_path)
        assert epochs_reported(caplog) == [4]
    assert_same(resumed, undisturbed)
    assert_same(again, undisturbed)


KILLED = """
import json, sys
import tensorflow_transform as tft
from components.trainer import settings, train, weights
from components.trainer.checkpoints import CheckpointStore
told, files, folder = json.loads(sys.argv[1])
told = settings.TrainSettings(**told)
trained, _ = train.train(
    [files["train"]], [files["eval"]], tft.TFTransformOutput(files["transform"]), folder + "/logs",
    told, CheckpointStore(told.checkpoint_dir, "training"),
)
with open(folder + "/weights", "wb") as file:
    file.write(weights.pack(trained.weights))
"""


def test_kill_9_loses_nothing(data, tmp_path, undisturbed):
    """Killed in the midst of an epoch, a training ends with the weights of one that was not."""
    checkpoint = tmp_path / "checkpoints" / "training.npz"
    told = {**CONFIG, "checkpoint_dir": str(checkpoint.parent)}

    def start() -> subprocess.Popen:
        arguments = json.dumps([told, data, str(tmp_path)])
        return subprocess.Popen([sys.executable, "-c", KILLED, arguments])

    process = start()
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    done = len(CheckpointStore(str(checkpoint.parent), "training").load().facts["history"])
    assert 1 <= done < CONFIG["epochs"]
    assert start().wait(300) == 0
    found = weights.unpack((tmp_path / "weights").read_bytes())
    for path, array in undisturbed.weights.items():
        np.testing.assert_array_equal(found[path], array, err_msg=path)


def test_training_ends_when_it_no_longer_gets_better(data, tmp_path):
    """Patience counts from the best epoch, whose weights are kept.

    The more is learned, the less it fits an eval split whose classes are swapped.
    """
    trained = run_train(data, tmp_path, "swapped", epochs=30, patience=3)
    losses = [row["eval_loss"] for row in trained.history]
    assert len(losses) < 30
    assert trained.best_epoch == int(np.argmin(losses)) + 1 == len(losses) - 3
    network = model.build_network(NUM_FRAMES, IMAGE_SIZE, 2)
    weights.assign(network, trained.weights)
    told = settings.from_custom_config(make_fn_args(data, tmp_path).custom_config)
    compiled = train.compiled_network(told, 2, 1)
    weights.assign(compiled, trained.weights)
    transform = tft.TFTransformOutput(data["transform"])
    evaluated = compiled.evaluate(
        train._eval_batches([data["swapped"]], transform, 4), verbose=0, return_dict=True
    )
    assert evaluated["loss"] == pytest.approx(min(losses), rel=1e-3)


def test_without_clips_to_evaluate_on_the_last_epoch_is_kept(data, tmp_path):
    """An eval split of unknown classes has no loss; training goes to its end."""
    trained = run_train(data, tmp_path, eval_files="unknown", patience=1, epochs=2)
    assert trained.best_epoch == 2
    assert all("eval_loss" not in row for row in trained.history)


def test_sgd_in_bfloat16_learns_as_well(data, tmp_path):
    """The other optimizer and precision train, and go on where they were."""
    changes = {"optimizer": "sgd", "precision": "bfloat16", "weight_decay": 0.0, "epochs": 3}
    trained = run_train(data, tmp_path, **changes)
    assert trained.history[trained.best_epoch - 1]["eval_accuracy"] == 1.0
    assert trained.weights["stem/spatial/kernel"].dtype == np.float32


def test_a_scaled_loss_goes_on_too(tmp_path):
    """As on a GPU in float16: the scale of the loss is part of a checkpoint."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        results = []
        for name, epochs in (("whole", (2,)), ("parts", (1, 2))):
            for stop in epochs:
                trained = _fit(tmp_path / name, stop)
            results.append(trained)
    finally:
        keras.config.set_dtype_policy(before)
    assert_same(*results)


def _fit(folder: Path, epochs: int) -> loop.Trained:
    """Trains for `epochs` of two, from the checkpoint on."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(2)
    frames = rng.uniform(size=(4, NUM_FRAMES, 32, 32, 3)).astype(np.float32)
    batch = tf.data.Dataset.from_tensors((frames, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]))
    told = settings.TrainSettings(**CONFIG)
    network = train.compiled_network(told, 2, 2)
    return loop.run(
        network,
        lambda first_epoch: batch.repeat(),
        None,
        epochs=epochs,
        steps_per_epoch=1,
        patience=0,
        store=CheckpointStore(str(folder), "training"),
        log_dir=str(folder / "logs"),
    )


MIRRORED = """
import json, sys
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
two = tf.config.list_logical_devices("CPU")
tf.config.list_logical_devices = lambda kind=None: two  # as if they were GPUs
import tensorflow_transform as tft
from components.trainer import settings, train
from components.trainer.checkpoints import CheckpointStore
told, files, folder = json.loads(sys.argv[1])
told = settings.TrainSettings(**told)
trained, facts = train.train(
    [files["train"]], [files["eval"]], tft.TFTransformOutput(files["transform"]), folder + "/logs",
    told, CheckpointStore(told.checkpoint_dir, "training"),
)
print("RESULT", json.dumps([facts["devices"], trained.history]))
"""


def test_several_devices_share_the_batches(data, tmp_path):
    """On two devices the same steps are made as on one, each with half of the batch.

    Batches hold one clip many times, as BatchNormalization sees the half of a device only.
    """
    copies = write_records(tmp_path / "copies", [bright_or_dark(0)] * 8)
    unchanged = {"crop": 0.0, "flip": False, "color": 0.0, "temporal_jitter": 0.0}
    # Unlike Adam's, SGD's steps tell whether the gradients were averaged or added.
    others = {"optimizer": "sgd", "epochs": 3, "balance_classes": False}
    changes = {**others, **unchanged}
    alone = run_train({**data, "train": copies}, tmp_path / "alone", **changes)
    told = {**CONFIG, **changes, "checkpoint_dir": str(tmp_path / "checkpoints")}
    arguments = json.dumps([told, {**data, "train": copies}, str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, arguments], capture_output=True, text=True, check=False
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")] or [""]
    assert line, done.stderr
    devices, history = json.loads(line.removeprefix("RESULT"))
    assert devices == 2
    assert [row["epoch"] for row in history] == [1, 2, 3]
    losses = [row["loss"] for row in alone.history]
    assert losses[0] > losses[1] > losses[2]
    assert [row["loss"] for row in history] == pytest.approx(losses, rel=1e-3)
