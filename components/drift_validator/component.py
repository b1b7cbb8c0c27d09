"""The TFX component."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.drift_validator import executor


class DriftValidatorSpec(component_spec.ComponentSpec):
    """What DriftValidator takes and gives."""

    PARAMETERS = {
        "max_drift": component_spec.ExecutionParameter(type=float),
        "max_class_drift": component_spec.ExecutionParameter(type=float),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"drift": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class DriftValidator(base_component.BaseComponent):
    """Compares the train split with the one that the champion was trained on.

    Fails where a scalar or the class shares drifted too far. Outputs `drift`, of split train:

    ```
    <uri>/drift.json                  champion (or null), note, features (drift and limit of
                                      each), new_classes, missing_classes, objections
    <uri>/Split-train/SchemaDiff.pb   the same as TFDV's Anomalies, for its viewers
    ```
    """

    SPEC_CLASS = DriftValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        champion: types.BaseChannel,
        max_drift: float,
        max_class_drift: float,
        code_version: str,
    ):
        """Declares the component.

        Args:
          statistics: of StatisticsGen, with split train.
          champion: of Champion; may be empty, or without statistics.
          max_drift: Jensen-Shannon divergence of a scalar, 0 to 1, above which the run stops.
          max_class_drift: L-infinity distance of the class shares, 0 to 1, above which it stops.
          code_version: digest of the stage's code, for the cache.
        """
        super().__init__(
            DriftValidatorSpec(
                statistics=statistics,
                champion=champion,
                max_drift=max_drift,
                max_class_drift=max_class_drift,
                code_version=code_version,
                drift=channel.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
