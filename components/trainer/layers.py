"""Layers of the (2+1)D residual network.

A video is a tensor with the axes b t h w c: batch, time (frames), height, width, channels.
"""

import einops
import keras
from keras import layers, ops

_PACKAGE = "clip_recommender"


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Conv2Plus1D(layers.Layer):
    """A 3D convolution factored into one over space and one over time.

    Stride 1, zero padding, so height, width and time are kept.
    Input float32 [b, t, h, w, c], output float32 [b, t, h, w, filters].

    Args:
      filters: channels of the output, and between the two convolutions.
      kernel_size: (time, height, width), or one number for all three; each at least 1.
      use_bias: whether the convolutions add a bias.

    Raises:
      ValueError: an argument is out of its bounds.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int, int],
        use_bias: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = _positive("filters", filters)
        self.kernel_size = _kernel_size(kernel_size)
        self.use_bias = use_bias
        time, height, width = self.kernel_size
        options = {"padding": "same", "use_bias": use_bias, "data_format": "channels_last"}
        self.spatial = layers.Conv3D(filters, (1, height, width), name="spatial", **options)
        self.temporal = layers.Conv3D(filters, (time, 1, 1), name="temporal", **options)

    def build(self, input_shape: tuple) -> None:
        _check_video("Conv2Plus1D", input_shape)
        self.spatial.build(input_shape)
        self.temporal.build(self.spatial.compute_output_shape(input_shape))
        self.built = True

    def call(self, video):
        return self.temporal(self.spatial(video))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ResidualMain(layers.Layer):
    """The main path of a residual block: convolution, normalization, ReLU, and the first two again.

    The normalization is over the batch: layer normalization, which sees one place of one frame
    at a time, blows up the noise of flat regions, learns several times slower and costs more.
    Input float32 [b, t, h, w, c], output float32 [b, t, h, w, filters].

    Args:
      filters: channels of the output.
      kernel_size: (time, height, width), or one number for all three; each at least 1.
      momentum: of the running mean and variance, in [0, 1).

    Raises:
      ValueError: an argument is out of its bounds.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int, int],
        momentum: float = 0.9,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = _positive("filters", filters)
        self.kernel_size = _kernel_size(kernel_size)
        self.momentum = _momentum(momentum)
        # The normalization that follows takes a bias away again.
        self.first = Conv2Plus1D(filters, kernel_size, use_bias=False, name="first")
        self.first_norm = layers.BatchNormalization(momentum=momentum, name="first_norm")
        self.second = Conv2Plus1D(filters, kernel_size, use_bias=False, name="second")
        self.second_norm = layers.BatchNormalization(momentum=momentum, name="second_norm")

    def build(self, input_shape: tuple) -> None:
        _check_video("ResidualMain", input_shape)
        output_shape = self.compute_output_shape(input_shape)
        self.first.build(input_shape)
        self.first_norm.build(output_shape)
        self.second.build(output_shape)
        self.second_norm.build(output_shape)
        self.built = True

    def call(self, video, training: bool | None = None):
        hidden = ops.relu(self.first_norm(self.first(video), training=training))
        return self.second_norm(self.second(hidden), training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "momentum": self.momentum,
        }


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Project(layers.Layer):
    """Maps the channels of a residual block's input to its output's number, and normalizes them.

    Input float32 [..., c], output float32 [..., units].

    Args:
      units: channels of the output.
      momentum: of the running mean and variance, in [0, 1).

    Raises:
      ValueError: an argument is out of its bounds.
    """

    def __init__(self, units: int, momentum: float = 0.9, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = _positive("units", units)
        self.momentum = _momentum(momentum)
        self.dense = layers.Dense(units, use_bias=False, name="dense")
        self.norm = layers.BatchNormalization(momentum=momentum, name="norm")

    def build(self, input_shape: tuple) -> None:
        self.dense.build(input_shape)
        self.norm.build(self.compute_output_shape(input_shape))
        self.built = True

    def call(self, video, training: bool | None = None):
        return self.norm(self.dense(video), training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units, "momentum": self.momentum}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ResizeVideo(layers.Layer):
    """Resizes each frame of a video, bilinearly.

    Input float32 [b, t, h, w, c], output float32 [b, t, height, width, c].

    Args:
      height, width: of the output, in pixels, each at least 1.

    Raises:
      ValueError: an argument is out of its bounds.
    """

    def __init__(self, height: int, width: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.height = _positive("height", height)
        self.width = _positive("width", width)

    def build(self, input_shape: tuple) -> None:
        _check_video("ResizeVideo", input_shape)
        self.built = True

    def call(self, video):
        num_frames = video.shape[1]
        images = einops.rearrange(video, "b t h w c -> (b t) h w c")
        images = ops.image.resize(
            images, (self.height, self.width), "bilinear", data_format="channels_last"
        )
        return einops.rearrange(images, "(b t) h w c -> b t h w c", t=num_frames)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:2], self.height, self.width, input_shape[-1])

    def get_config(self) -> dict:
        return {**super().get_config(), "height": self.height, "width": self.width}


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return value


def _kernel_size(value: int | tuple[int, int, int]) -> tuple[int, ...]:
    sizes = (value,) * 3 if isinstance(value, int) else tuple(value)
    if len(sizes) != 3 or not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(
            "kernel_size must be an integer, or three (time, height, width), "
            f"of at least 1, got {value!r}"
        )
    return sizes


def _momentum(value: float) -> float:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"momentum must be in [0, 1), got {value!r}")
    return value


def _check_video(layer: str, input_shape: tuple) -> None:
    if len(input_shape) != 5:
        raise ValueError(
            f"{layer} expects a video with the axes b t h w c, got the shape {tuple(input_shape)}"
        )
