"""The training loop: Keras's `fit`, a checkpoint after each epoch, the best weights kept."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from components import progress
from components.trainer import checkpoints, weights

#: Keras's names of the figures of an epoch, and ours.
_FIGURES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "val_loss": "eval_loss",
    "val_accuracy": "eval_accuracy",
}


class Trained(NamedTuple):
    """A finished training.

    Attributes:
      weights: of the best epoch, by path.
      best_epoch: its number, from 1.
      history: a row for each epoch: `epoch` from 1, `loss`, `accuracy`, `eval_loss`,
        `eval_accuracy`, `learning_rate`.
    """

    weights: dict[str, np.ndarray]
    best_epoch: int
    history: list[dict[str, Any]]


class _Recorder(keras.callbacks.Callback):
    """Keeps history, best weights and a checkpoint; ends training that no longer gets better."""

    def __init__(self, store: checkpoints.CheckpointStore, epochs: int, patience: int) -> None:
        super().__init__()
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, np.ndarray] = {}
        self.best_epoch = 0
        self._store = store
        self._epochs = epochs
        self._patience = patience

    @property
    def finished(self) -> bool:
        """Whether no epoch is left to be trained."""
        waited = len(self.history) - self.best_epoch
        return len(self.history) >= self._epochs or 0 < self._patience <= waited

    def resume(self, network: keras.Model) -> None:
        """Goes on from the checkpoint, where there is one."""
        checkpoint = self._store.load()
        if checkpoint is None:
            return
        weights.assign(network, checkpoint.network)
        for variable, array in zip(network.optimizer.variables, checkpoint.optimizer, strict=True):
            variable.assign(array)
        self.best = checkpoint.best
        self.history = checkpoint.facts["history"]
        self.best_epoch = checkpoint.facts["best_epoch"]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        figures = {_FIGURES[key]: float(logs[key]) for key in _FIGURES if key in logs}
        rate = float(self.model.optimizer.learning_rate)
        self.history.append({"epoch": epoch + 1, **figures, "learning_rate": rate})
        network = weights.to_arrays(self.model)
        if self._is_best():
            self.best, self.best_epoch = network, epoch + 1
        self._store.save(
            checkpoints.Checkpoint(
                network=network,
                optimizer=[
                    weights.to_array(variable) for variable in self.model.optimizer.variables
                ],
                best=self.best,
                facts={"history": self.history, "best_epoch": self.best_epoch},
            )
        )
        self.model.stop_training = self.finished
        shown = {name: value for name, value in figures.items() if name != "eval_loss"}
        progress.report("epochs", epoch + 1, self._epochs, **shown)

    def _is_best(self) -> bool:
        """Without clips to evaluate on, the last epoch is the best."""
        losses = [row.get("eval_loss", 0.0) for row in self.history]
        return losses[-1] <= min(losses)


def run(
    network: keras.Model,
    make_train_batches: Callable[[int], tf.data.Dataset],
    eval_batches: tf.data.Dataset | None,
    *,
    epochs: int,
    steps_per_epoch: int,
    patience: int,
    store: checkpoints.CheckpointStore,
    log_dir: str,
) -> Trained:
    """Trains `network` to the end, from the checkpoint on where there is one.

    Args:
      network: compiled.
      make_train_batches: gives the endless batches of the training from an epoch on.
      eval_batches: None where no clip of the eval split is of a class that is trained.
      epochs: at the most.
      steps_per_epoch: batches in an epoch.
      patience: epochs without a lower eval loss after which training ends; 0: never.
      store: of checkpoints; not cleared.
      log_dir: gets TensorBoard's logs of all epochs, also of those before a resume.
    """
    network.optimizer.build(network.trainable_variables)
    recorder = _Recorder(store, epochs, patience)
    recorder.resume(network)
    first_epoch = len(recorder.history)
    progress.report("epochs", first_epoch, epochs)
    board = keras.callbacks.TensorBoard(log_dir)
    board.set_model(network)
    for row in recorder.history:
        logs = {key: row[name] for key, name in _FIGURES.items() if name in row}
        board.on_epoch_end(row["epoch"] - 1, logs)
    if not recorder.finished:
        network.fit(
            make_train_batches(first_epoch),
            validation_data=eval_batches,
            epochs=epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,  # the batches are
            verbose=0,
            callbacks=[recorder, board],
        )
    return Trained(recorder.best, recorder.best_epoch, recorder.history)
