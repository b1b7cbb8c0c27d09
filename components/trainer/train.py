"""`run_fn` for TFX Trainer: trains the network on the Examples and exports it."""

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components import features, progress
from components.trainer import input_fn, model, signatures


class _ReportProgress(keras.callbacks.Callback):
    """Reports epochs to `components.progress`."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        progress.report("epochs", 0, self.params["epochs"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        names = {"loss": "loss", "accuracy": "accuracy", "val_accuracy": "eval_accuracy"}
        shown = {names[key]: value for key, value in (logs or {}).items() if key in names}
        progress.report("epochs", epoch + 1, self.params["epochs"], **shown)


def train(
    train_files: list[str],
    eval_files: list[str],
    transform: tft.TFTransformOutput,
    log_dir: str,
    config: dict,
) -> keras.Model:
    """Trains a network.

    Args:
      train_files, eval_files: patterns of TFRecord files of raw Examples.
      transform: the transform graph.
      log_dir: where TensorBoard logs go.
      config: `num_frames`, `image_size`, `epochs`, `batch_size`, `learning_rate`, `seed`.

    Returns:
      The trained network.
    """
    keras.utils.set_random_seed(config["seed"])
    tf.config.experimental.enable_op_determinism()
    num_classes = transform.vocabulary_size_by_name(features.CLASS_NAME)
    network = model.build_network(config["num_frames"], config["image_size"], num_classes)
    steps_per_epoch = -(-input_fn.count_records(train_files) // config["batch_size"])
    network.compile(
        optimizer=model.make_optimizer(config["learning_rate"], config["epochs"] * steps_per_epoch),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    network.fit(
        input_fn.make_dataset(
            train_files, transform, config["batch_size"], shuffle_seed=config["seed"]
        ),
        validation_data=input_fn.make_dataset(eval_files, transform, config["batch_size"]),
        epochs=config["epochs"],
        verbose=0,
        callbacks=[_ReportProgress(), keras.callbacks.TensorBoard(log_dir)],
    )
    return network


def run_fn(fn_args: FnArgs) -> None:
    """Trains and exports; called by TFX."""
    transform = tft.TFTransformOutput(fn_args.transform_output)
    network = train(
        fn_args.train_files,
        fn_args.eval_files,
        transform,
        fn_args.model_run_dir,
        fn_args.custom_config,
    )
    signatures.export(network, transform, fn_args.serving_model_dir)
