"""The (2+1)D residual network, and the optimizer that trains it."""

import keras
from keras import layers

from components.trainer.layers import Conv2Plus1D, Project, ResidualMain, ResizeVideo

#: Least height and width of the input: four times halved, it is still more than one pixel.
MIN_IMAGE_SIZE = 32

_STEM_FILTERS, _STEM_KERNEL = 16, (3, 7, 7)
_BLOCK_FILTERS, _BLOCK_KERNEL = (16, 32, 64, 128), (3, 3, 3)
#: Of all running statistics: short, since a small library makes few steps an epoch.
_MOMENTUM = 0.9
#: Part of the training during which the learning rate rises.
_WARMUP = 0.1
_SGD_MOMENTUM = 0.9


def build_network(num_frames: int, image_size: int, num_classes: int) -> keras.Model:
    """Builds the network with fresh weights; `keras.utils.set_random_seed` makes them repeatable.

    Args:
      num_frames: frames of a clip, at least 1.
      image_size: height and width of a frame in pixels, at least `MIN_IMAGE_SIZE`.
      num_classes: at least 1.

    Returns:
      A model of frames float32 [b, num_frames, image_size, image_size, 3] in [0, 1] that gives
      logits float32 [b, num_classes]. Its layers "embedding", float32 [b, 128], and "classifier"
      are the last two.

    Raises:
      ValueError: an argument is out of its bounds.
    """
    for name, value, least in (
        ("num_frames", num_frames, 1),
        ("image_size", image_size, MIN_IMAGE_SIZE),
        ("num_classes", num_classes, 1),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    frames = layers.Input((num_frames, image_size, image_size, 3), name="frames")
    video = Conv2Plus1D(_STEM_FILTERS, _STEM_KERNEL, name="stem")(frames)
    video = layers.BatchNormalization(momentum=_MOMENTUM, name="stem_norm")(video)
    video = layers.ReLU(name="stem_relu")(video)
    for index, filters in enumerate(_BLOCK_FILTERS, start=1):
        size = image_size // 2**index
        video = ResizeVideo(size, size, name=f"resize_{index}")(video)
        video = _residual_block(video, filters, f"block_{index}")
    embedding = layers.GlobalAveragePooling3D(name="embedding")(video)
    logits = layers.Dense(num_classes, name="classifier")(embedding)
    return keras.Model(frames, logits, name="clip_network")


def _residual_block(video: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    main = ResidualMain(filters, _BLOCK_KERNEL, _MOMENTUM, name=f"{name}_main")(video)
    if video.shape[-1] != filters:
        video = Project(filters, _MOMENTUM, name=f"{name}_project")(video)
    return layers.Add(name=f"{name}_add")([video, main])


def embedding_network(network: keras.Model) -> keras.Model:
    """Returns the part of the network that ends at the embedding, with the same weights.

    Args:
      network: as `build_network` returns it, perhaps saved and loaded.

    Returns:
      A model of the same frames; its output, float32 [b, 128], is what the classifier gets.
    """
    return keras.Model(network.input, network.get_layer("embedding").output, name="embedder")


def make_optimizer(
    optimizer: str, learning_rate: float, weight_decay: float, total_steps: int
) -> keras.optimizers.Optimizer:
    """Returns an optimizer whose learning rate rises linearly, then falls along a cosine to 0.

    Args:
      optimizer: "adamw", or "sgd" with Nesterov's momentum.
      learning_rate: the highest, greater than 0.
      weight_decay: decoupled (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
        2019), at least 0.
      total_steps: batches in the whole training, at least 1.

    Raises:
      ValueError: an argument is out of its bounds.
    """
    if not learning_rate > 0.0:
        raise ValueError(f"learning_rate must be greater than 0, got {learning_rate}")
    if total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, got {total_steps}")
    warmup_steps = max(1, round(_WARMUP * total_steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, total_steps - warmup_steps),
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
    if optimizer == "adamw":
        return keras.optimizers.AdamW(schedule, weight_decay=weight_decay)
    if optimizer == "sgd":
        return keras.optimizers.SGD(
            schedule, momentum=_SGD_MOMENTUM, nesterov=True, weight_decay=weight_decay
        )
    raise ValueError(f"optimizer must be adamw or sgd, got {optimizer!r}")
