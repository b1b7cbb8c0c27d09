"""`run_fn` for TFX Trainer that trains nothing: the published model is the candidate again.

For libraries that grow: new clips are embedded with the model that embedded all others, whose
vectors stay as they are.
"""

import os

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components import progress
from components.trainer import settings, warm_start


def run_fn(fn_args: FnArgs) -> None:
    """Copies the published SavedModel, byte for byte, so that it keeps its id; called by TFX.

    Raises:
      ValueError: nothing is published, or the model is for clips of another geometry.
    """
    champion = warm_start.manifest(fn_args.base_model)
    if champion is None:
        raise ValueError("reuse_model: expected a published version; there is none")
    told = settings.from_custom_config(fn_args.custom_config)
    for name in ("num_frames", "image_size"):
        if champion["config"].get(name) != getattr(told, name):
            raise ValueError(
                f"{name}: expected {champion['config'].get(name)}, as version "
                f"{champion['version']} was trained with; got {getattr(told, name)}"
            )
    _copy_tree(fn_args.base_model, fn_args.serving_model_dir)
    tf.io.gfile.makedirs(fn_args.model_run_dir)
    progress.note(f"trained nothing: the model is that of version {champion['version']}")


def _copy_tree(source: str, target: str) -> None:
    for folder, _, names in tf.io.gfile.walk(source):
        copied = os.path.join(target, os.path.relpath(folder, source))
        tf.io.gfile.makedirs(copied)
        for name in names:
            tf.io.gfile.copy(os.path.join(folder, name), os.path.join(copied, name), overwrite=True)
