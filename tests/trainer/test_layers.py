"""Tests of the layers, against NumPy."""

import keras
import numpy as np
import pytest

from components.trainer.layers import Conv2Plus1D, Project, ResidualMain, ResizeVideo


def random_video(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def convolve(video: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolves b t h w c with a kernel of odd sizes, t h w c f, as a sum over its taps."""
    sizes = kernel.shape[:3]
    padding = [(0, 0), *((size // 2, size // 2) for size in sizes), (0, 0)]
    padded = np.pad(video.astype(np.float64), padding)
    result = np.zeros((*video.shape[:-1], kernel.shape[-1]))
    for tap in np.ndindex(*sizes):
        window = tuple(slice(i, i + n) for i, n in zip(tap, video.shape[1:4], strict=True))
        result += padded[(slice(None), *window)] @ kernel[tap]
    return result


def normalize(video: np.ndarray) -> np.ndarray:
    """Normalizes each channel over the batch, as a fresh BatchNormalization does in training."""
    axes = tuple(range(video.ndim - 1))
    return (video - video.mean(axes)) / np.sqrt(video.var(axes) + 1e-3)


def randomize(layer: keras.layers.Layer) -> None:
    rng = np.random.default_rng(4)
    layer.set_weights([rng.standard_normal(w.shape) * 0.3 for w in layer.get_weights()])


@pytest.mark.parametrize("kernel_size", [(3, 7, 5), (1, 3, 3), 3])
@pytest.mark.parametrize("use_bias", [True, False])
def test_conv_2_plus_1_d_is_a_spatial_and_then_a_temporal_convolution(kernel_size, use_bias):
    """The output equals two convolutions done in NumPy with the layer's own weights."""
    video = random_video(2, 5, 8, 9, 3)
    layer = Conv2Plus1D(4, kernel_size, use_bias=use_bias)
    layer.build(video.shape)
    randomize(layer)
    weights = iter(layer.get_weights())
    expected = video
    for _ in ("spatial", "temporal"):
        expected = convolve(expected, next(weights)) + (next(weights) if use_bias else 0.0)
    np.testing.assert_allclose(layer(video), expected, rtol=1e-4, atol=1e-4)


def test_conv_2_plus_1_d_kernels_are_flat_in_space_and_in_time():
    """Neither convolution sees space and time at once, which is what the layer is for."""
    layer = Conv2Plus1D(4, (3, 7, 5))
    layer.build((None, 10, 32, 32, 3))
    kernels = [weight.shape for weight in layer.weights if len(weight.shape) == 5]
    assert kernels == [(1, 7, 5, 3, 4), (3, 1, 1, 4, 4)]


def test_residual_main_is_convolution_normalization_relu_twice():
    """In training, the output equals the NumPy composition with statistics of the batch."""
    video = random_video(2, 4, 6, 6, 3)
    layer = ResidualMain(5, 3)
    layer.build(video.shape)
    spatial_1, temporal_1, _, _, spatial_2, temporal_2, *_ = (
        weight.numpy() for weight in layer.trainable_weights
    )
    hidden = np.maximum(normalize(convolve(convolve(video, spatial_1), temporal_1)), 0.0)
    expected = normalize(convolve(convolve(hidden, spatial_2), temporal_2))
    np.testing.assert_allclose(layer(video, training=True), expected, rtol=1e-3, atol=1e-3)


def test_residual_main_uses_running_statistics_outside_training():
    """A clip's output depends on the clips beside it in training alone."""
    video = random_video(3, 4, 6, 6, 3)
    layer = ResidualMain(5, 3)
    layer(video, training=True)
    together, alone = np.array(layer(video, training=False)), layer(video[:1], training=False)
    np.testing.assert_allclose(together[:1], alone, rtol=1e-4, atol=1e-5)
    assert np.abs(layer(video[:1], training=True) - together[:1]).max() > 0.01


def test_project_is_a_matrix_product_and_a_normalization():
    """In training, the output equals NumPy's product, normalized over the batch."""
    video = random_video(2, 3, 4, 4, 6)
    layer = Project(7)
    layer.build(video.shape)
    expected = normalize(video @ layer.get_weights()[0])
    np.testing.assert_allclose(layer(video, training=True), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_momentum_weighs_the_old_statistics(momentum):
    """After one step the running mean is (1 - momentum) times the batch's."""
    video = random_video(2, 3, 4, 4, 6)
    layer = Project(7, momentum=momentum)
    layer(video, training=True)
    mean = (video @ layer.get_weights()[0]).mean((0, 1, 2, 3))
    np.testing.assert_allclose(layer.norm.moving_mean, (1 - momentum) * mean, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [(3, 4), (6, 8), (5, 11)])
def test_resize_video_resizes_every_frame_as_if_it_were_alone(size):
    """The output equals that of resizing the frames one by one."""
    video = random_video(2, 3, 6, 8, 3)
    resized = ResizeVideo(*size)(video)
    for clip in range(2):
        for frame in range(3):
            expected = keras.ops.image.resize(video[clip, frame], size, "bilinear")
            np.testing.assert_allclose(resized[clip, frame], expected, rtol=1e-5, atol=1e-6)


def test_resize_video_to_half_averages_squares_of_four():
    """Halving an even size equals the mean of 2x2 pixels."""
    video = random_video(2, 3, 6, 8, 3)
    expected = video.reshape(2, 3, 3, 2, 4, 2, 3).mean((3, 5))
    np.testing.assert_allclose(ResizeVideo(3, 4)(video), expected, rtol=1e-5, atol=1e-6)


LAYERS = [
    Conv2Plus1D(4, (3, 7, 5), use_bias=False),
    ResidualMain(4, (1, 3, 5), momentum=0.7),
    Project(4, momentum=0.7),
    ResizeVideo(5, 7),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_shape_is_known_beforehand_with_an_open_batch_axis(layer):
    """compute_output_shape agrees with the output, and passes an unknown batch size on."""
    output = layer(random_video(2, 3, 6, 8, 3))
    assert layer.compute_output_shape((2, 3, 6, 8, 3)) == output.shape
    assert layer.compute_output_shape((None, 3, 6, 8, 3)) == (None, *output.shape[1:])


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_config_makes_the_layer_again(layer):
    """Serializing under the registered name keeps every setting."""
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"clip_recommender>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2Plus1D(0, 3), "filters must be an integer of at least 1, got 0"),
        (lambda: Conv2Plus1D(8, (3, 3)), r"kernel_size .* got \(3, 3\)"),
        (lambda: Conv2Plus1D(8, 0), "kernel_size .* got 0"),
        (lambda: ResidualMain(8, (3, 3, 0)), r"kernel_size .* got \(3, 3, 0\)"),
        (lambda: ResidualMain(2.5, 3), "filters .* got 2.5"),
        (lambda: ResidualMain(8, 3, momentum=1.0), r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: Project(-1), "units .* got -1"),
        (lambda: Project(8, momentum=-0.1), "momentum .* got -0.1"),
        (lambda: ResizeVideo(0, 8), "height .* got 0"),
        (lambda: ResizeVideo(8, 0), "width .* got 0"),
    ],
)
def test_arguments_out_of_bounds_are_refused(make, message):
    """The error names the argument, what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", [Conv2Plus1D(4, 3), ResidualMain(4, 3), ResizeVideo(2, 2)])
def test_anything_but_a_video_is_refused(layer):
    """An image without the time axis is refused with its shape."""
    with pytest.raises(ValueError, match="b t h w c, got the shape"):
        layer.build((None, 6, 8, 3))
