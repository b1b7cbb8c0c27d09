"""Trainings of a few epochs on tiny clips of two classes, which are easily told apart."""

from pathlib import Path

import numpy as np
from tfx.components.trainer.fn_args_utils import FnArgs

from tests.tiny_examples import IMAGE_SIZE, NUM_FRAMES, make_example

CONFIG = {
    "num_frames": NUM_FRAMES,
    "image_size": IMAGE_SIZE,
    "epochs": 4,
    "batch_size": 4,
    "optimizer": "adamw",
    "learning_rate": 1e-2,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "balance_classes": True,
    "crop": 0.1,
    "flip": True,
    "color": 0.2,
    "temporal_jitter": 0.3,
    "patience": 0,
    "precision": "float32",
    "seed": 3,
    "checkpoint_dir": "",
}


def bright_or_dark(index: int, *, swapped: bool = False) -> bytes:
    """Returns a clip of class Bright or Dark, by turns: noise that is easily told apart.

    Where classes are swapped, the name is the other one.
    """
    names = ("Dark", "Bright") if swapped else ("Bright", "Dark")
    noise = np.random.default_rng(index).integers(0, 128, (NUM_FRAMES, 32, 32, 3), np.uint8)
    return make_example(index, names[index % 2], noise + np.uint8(0 if index % 2 else 128))


def make_fn_args(data: dict[str, str], folder: Path, **changes) -> FnArgs:
    """Returns what TFX gives `run_fn`; the checkpoints are below `folder`."""
    told = {**CONFIG, "checkpoint_dir": str(folder / "checkpoints"), **changes}
    return FnArgs(
        train_files=[data["train"]],
        eval_files=[data["eval"]],
        transform_output=data["transform"],
        serving_model_dir=str(folder / "model"),
        model_run_dir=str(folder / "logs"),
        base_model=None,
        custom_config=told,
    )
