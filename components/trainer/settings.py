"""What the training is told: the fields of TFX Trainer's `custom_config`."""

from typing import Any, NamedTuple

OPTIMIZERS = ("adamw", "sgd")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class TrainSettings(NamedTuple):
    """Settings of one training, checked by `pipeline.config`.

    Attributes:
      num_frames, image_size: geometry of a clip; the size in pixels.
      epochs: passes over the training clips.
      batch_size: clips in a step, over all devices.
      optimizer: one of OPTIMIZERS.
      learning_rate: the highest of the schedule.
      weight_decay: decoupled, per step and learning rate.
      label_smoothing: share of the label that is spread over all classes, in [0, 1).
      balance_classes: whether a clip weighs in inverse proportion to its class's clips.
      crop: share of a frame's height and width by which it may be shifted.
      flip: whether clips may be mirrored, left to right.
      color: how strongly contrast, brightness and the balance of colors may be changed, 0 not at
        all.
      temporal_jitter: share of a clip's stored frames that may be cut off at its ends.
      patience: epochs without a lower loss on the eval split after which training ends; 0: never.
      precision: one of PRECISIONS.
      seed: of all that is drawn.
      checkpoint_dir: where a training that is killed goes on from; a folder or an object store's
        URI.
    """

    num_frames: int
    image_size: int
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    balance_classes: bool
    crop: float
    flip: bool
    color: float
    temporal_jitter: float
    patience: int
    precision: str
    seed: int
    checkpoint_dir: str


def from_custom_config(custom_config: dict[str, Any]) -> TrainSettings:
    """Returns the settings; what else the configuration holds is for TFX's cache."""
    return TrainSettings(**{name: custom_config[name] for name in TrainSettings._fields})
