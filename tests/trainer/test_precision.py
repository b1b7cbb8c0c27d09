"""Which precision is used where, and that it is really used."""

import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from components.trainer import precision


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_named_precision_is_taken(name):
    """Whoever names one gets it."""
    assert precision.choose(name) == name


def test_float16_on_a_cpu_is_refused():
    """It is slower there and overflows."""
    with pytest.raises(ValueError, match="precision: expected float32 or bfloat16 on a CPU; got f"):
        precision.choose("float16")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx2", "avx512f"}, "float32"),
        ({"avx2", "avx512_bf16"}, "bfloat16"),
        ({"amx_bf16"}, "bfloat16"),
        (set(), "float32"),
    ],
)
def test_a_cpu_is_asked_what_it_multiplies(monkeypatch, flags, expected):
    """bfloat16 where the instruction set has it."""
    monkeypatch.setattr(precision, "_cpu_flags", lambda: flags)
    assert precision.choose("auto") == expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((6, 1), "float32"), ((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")],
)
def test_a_gpu_is_asked_for_its_generation(capability, expected):
    """Volta and later multiply float16, Ampere and later bfloat16."""
    assert precision._of_gpu(capability) == expected


ROUNDED = """
import numpy as np, tensorflow as tf
from components.trainer import precision
values = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
def product():
    kernel = tf.ones((5, 5, 1, 32))
    function = tf.function(lambda images: tf.nn.conv2d(images, kernel, 1, "SAME"))
    return function(tf.constant(values)[None, :, :, None]).numpy()
exact = product()
with precision.used("bfloat16"):
    inside = product()
after = product()
print(np.abs(inside - exact).max() > 1e-3, np.array_equal(after, exact), inside.dtype)
"""


@pytest.mark.skipif(
    precision.choose("auto") != "bfloat16", reason="this CPU does not multiply bfloat16"
)
def test_bfloat16_is_used_in_the_body_alone():
    """Graphs traced inside round to 8 bits, those before and after do not; tensors are float32."""
    done = subprocess.run(
        [sys.executable, "-c", ROUNDED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True", "float32"]


def test_float32_changes_nothing():
    """Neither Keras's policy nor TensorFlow's options."""
    before = keras.config.dtype_policy().name, tf.config.optimizer.get_experimental_options()
    with precision.used("float32"):
        assert keras.config.dtype_policy().name == before[0]
        assert tf.config.optimizer.get_experimental_options() == before[1]
