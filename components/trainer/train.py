"""`run_fn` for TFX Trainer: trains the network on the Examples and exports it."""

import functools
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components import features, progress
from components.trainer import (
    augmentation,
    checkpoints,
    input_fn,
    loop,
    model,
    precision,
    reports,
    settings,
    signatures,
    warm_start,
    weights,
)


def train(
    train_files: Sequence[str],
    eval_files: Sequence[str],
    transform: tft.TFTransformOutput,
    log_dir: str,
    told: settings.TrainSettings,
    store: checkpoints.CheckpointStore,
    base_model: str | None = None,
) -> tuple[loop.Trained, dict[str, Any]]:
    """Trains a network, from its checkpoint on where there is one.

    Args:
      train_files, eval_files: patterns of TFRecord files of raw Examples.
      transform: the transform graph.
      log_dir: gets TensorBoard's logs.
      told: how to train.
      store: of checkpoints.
      base_model: folder of the published SavedModel to begin with; may be absent.

    Returns:
      The training, and facts about it for people.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(told.seed)
    tf.config.experimental.enable_op_determinism()
    class_names = [name.decode() for name in transform.vocabulary_by_name(features.CLASS_NAME)]
    num_clips = input_fn.count_clips(train_files, transform)
    batch_size = min(told.batch_size, num_clips.sum())
    steps_per_epoch = num_clips.sum() // batch_size
    used_precision = precision.choose(told.precision)
    strategy = distribution(tf.config.list_logical_devices("GPU"))
    with precision.used(used_precision), strategy.scope():
        network = compiled_network(told, len(class_names), told.epochs * steps_per_epoch)
        began_with = warm_start.begin(network, base_model, class_names)
        trained = loop.run(
            network,
            functools.partial(
                _train_batches, train_files, transform, told, num_clips[:-1], batch_size
            ),
            _eval_batches(eval_files, transform, batch_size),
            epochs=told.epochs,
            steps_per_epoch=steps_per_epoch,
            patience=told.patience,
            store=store,
            log_dir=log_dir,
        )
    facts = {
        "began_with": began_with,
        "precision": used_precision,
        "devices": strategy.num_replicas_in_sync,
        "best_epoch": trained.best_epoch,
        "epochs": len(trained.history),
        "seconds": round(time.monotonic() - started, 1),
    }
    return trained, facts


def distribution(devices: Sequence[tf.config.LogicalDevice]) -> tf.distribute.Strategy:
    """Returns how to train on `devices`: alike on all where there are several."""
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def compiled_network(
    told: settings.TrainSettings, num_classes: int, total_steps: int
) -> keras.Model:
    """Returns a network with fresh weights, ready for `fit` with one-hot labels and weights."""
    network = model.build_network(told.num_frames, told.image_size, num_classes)
    network.compile(
        optimizer=model.make_optimizer(
            told.optimizer, told.learning_rate, told.weight_decay, total_steps
        ),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=told.label_smoothing
        ),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,  # XLA makes this network several times slower on CPUs
    )
    return network


def _train_batches(
    files: Sequence[str],
    transform: tft.TFTransformOutput,
    told: settings.TrainSettings,
    num_clips: np.ndarray,
    batch_size: int,
    first_epoch: int,
) -> tf.data.Dataset:
    balanced = input_fn.balanced_weights(num_clips)
    return input_fn.training_batches(
        files,
        transform,
        batch_size,
        num_clips=num_clips.sum(),
        seed=told.seed,
        changes=augmentation.Augmentation(told.crop, told.flip, told.color, told.temporal_jitter),
        class_weights=balanced if told.balance_classes else np.ones_like(balanced),
        first_epoch=first_epoch,
    )


def _eval_batches(
    files: Sequence[str], transform: tft.TFTransformOutput, batch_size: int
) -> tf.data.Dataset | None:
    *of_classes, unknown = input_fn.count_clips(files, transform).tolist()
    if not any(of_classes):
        return None
    return input_fn.eval_batches(
        files,
        transform,
        batch_size,
        num_clips=sum(of_classes) + unknown,
        class_weights=np.ones(len(of_classes), np.float32),
    )


def run_fn(fn_args: FnArgs) -> None:
    """Trains and exports; called by TFX."""
    transform = tft.TFTransformOutput(fn_args.transform_output)
    told = settings.from_custom_config(fn_args.custom_config)
    store = checkpoints.CheckpointStore(told.checkpoint_dir, _training_id(fn_args))
    trained, facts = train(
        fn_args.train_files,
        fn_args.eval_files,
        transform,
        fn_args.model_run_dir,
        told,
        store,
        fn_args.base_model,
    )
    num_classes = transform.vocabulary_size_by_name(features.CLASS_NAME)
    # Built anew: whatever the precision of the training, what is exported is float32.
    network = model.build_network(told.num_frames, told.image_size, num_classes)
    weights.assign(network, trained.weights)
    signatures.export(network, transform, fn_args.serving_model_dir)
    progress.note(
        f"began with {facts['began_with']}; best epoch {facts['best_epoch']} of {facts['epochs']}, "
        f"{facts['precision']}"
    )
    reports.write_files(fn_args.model_run_dir, trained.history, facts)
    reports.write_pictures(
        fn_args.model_run_dir,
        network,
        transform,
        fn_args.train_files,
        fn_args.eval_files,
        told.seed,
    )
    store.clear()


def _training_id(fn_args: FnArgs) -> str:
    """Names a training by all that decides its result; artifacts' names are never used again."""
    facts = [
        fn_args.custom_config,
        fn_args.transform_output,
        sorted(fn_args.train_files),
        sorted(fn_args.eval_files),
        warm_start.manifest(fn_args.base_model),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
