"""Mixed precision, where the hardware is faster with it. Weights and exports stay float32."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

#: Instruction sets of x86-64 that multiply bfloat16.
_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
#: NVIDIA's first compute capability that multiplies bfloat16, and float16.
_BFLOAT16_GPU, _FLOAT16_GPU = (8, 0), (7, 0)
_CPU_OPTION = "auto_mixed_precision_onednn_bfloat16"


def choose(precision: str) -> str:
    """Resolves "auto" for this machine's first device; returns float32, bfloat16 or float16.

    Raises:
      ValueError: float16 on a CPU, which is slower there and overflows.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if precision == "float16" and not gpus:
        raise ValueError("precision: expected float32 or bfloat16 on a CPU; got float16")
    if precision != "auto":
        return precision
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return _of_gpu(details.get("compute_capability", (0, 0)))
    return "bfloat16" if _CPU_FLAGS & _cpu_flags() else "float32"


def _of_gpu(compute_capability: tuple[int, int]) -> str:
    if compute_capability >= _BFLOAT16_GPU:
        return "bfloat16"
    return "float16" if compute_capability >= _FLOAT16_GPU else "float32"


def _cpu_flags() -> set[str]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return set(line.split())
    return set()


@contextlib.contextmanager
def used(precision: str) -> Iterator[None]:
    """Has networks that are built and trained in the body compute in `precision`.

    On a CPU oneDNN converts single operations of a float32 graph; on a GPU it is Keras's policy,
    under which `compile` scales the loss for float16.

    Args:
      precision: what `choose` returns.
    """
    if precision == "float32":
        yield
    elif tf.config.list_physical_devices("GPU"):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(f"mixed_{precision}")
        try:
            yield
        finally:
            keras.config.set_dtype_policy(before)
    else:
        tf.config.optimizer.set_experimental_options({_CPU_OPTION: True})
        try:
            yield
        finally:
            tf.config.optimizer.set_experimental_options({_CPU_OPTION: False})
