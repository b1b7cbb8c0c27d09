"""The TFX component."""

from tfx.components import ExampleValidator as TfxExampleValidator
from tfx.dsl.components.base import executor_spec

from components.example_validator import executor


class ExampleValidator(TfxExampleValidator):
    """TFX's ExampleValidator, which also fails on an anomaly instead of noting it."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
