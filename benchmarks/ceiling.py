"""What the machine could do: the speed of its matrix products, and what a training step needs."""

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

#: Rows and columns of the matrices.
_MATRIX = 2048


def training_flops(network: "keras.Model", batch_size: int) -> float:
    """Counts the floating point operations of a training step, from the shapes in the graph.

    Those of convolutions and matrix products, two for each multiplication with its addition, of
    the forward pass, times three: the backward pass has two products for each of the forward's.
    """
    import tensorflow as tf

    spec = tf.TensorSpec((batch_size, *network.input_shape[1:]), tf.float32)
    forward = tf.function(lambda frames: network(frames, training=False))
    graph = forward.get_concrete_function(spec).graph
    flops = 0
    for operation in graph.get_operations():
        if operation.type in ("Conv2D", "Conv3D"):
            summed = operation.inputs[1].shape[:-1]  # the kernel, without the channels it makes
        elif operation.type in ("MatMul", "BatchMatMulV2"):
            summed = operation.inputs[0].shape[-1:]
        else:
            continue
        flops += 2 * math.prod(operation.outputs[0].shape) * math.prod(summed)
    return 3.0 * flops


def matmul_speed(repeats: int = 10) -> float:
    """Returns the FLOP/s of TensorFlow's product of two square float32 matrices."""
    import tensorflow as tf

    matrix = tf.random.stateless_uniform((_MATRIX, _MATRIX), (0, 0))

    @tf.function(jit_compile=False)
    def product(matrix: tf.Tensor) -> tf.Tensor:
        return tf.matmul(matrix, matrix)[0, 0]

    product(matrix).numpy()
    started = time.perf_counter()
    for _ in range(repeats):
        product(matrix).numpy()
    return repeats * 2.0 * _MATRIX**3 / (time.perf_counter() - started)
