"""The TFX component."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.champion import executor


class ChampionSpec(component_spec.ComponentSpec):
    """What Champion takes and gives."""

    PARAMETERS = {
        "push_dir": component_spec.ExecutionParameter(type=str),
        "live_version": component_spec.ExecutionParameter(type=str),
        "live_fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {}
    OUTPUTS = {"champion": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Champion(base_component.BaseComponent):
    """Turns the live version of the push directory into a Model artifact.

    It stands in for a TFX Resolver, which open-source Kubeflow cannot run. Outputs `champion`:
    the SavedModel where TFX expects it, beside it the version's `manifest.json`, its
    `embeddings.parquet` and, of a version that has them, the statistics of its training clips,
    `statistics.pb`; empty before the first version is published.
    """

    SPEC_CLASS = ChampionSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, push_dir: str, live_version: str, live_fingerprint: str):
        """Declares the component.

        Args:
          push_dir: where versions are published.
          live_version: the live version's name, "" before the first.
          live_fingerprint: of the run that published it. Kept among the properties so that the
            cache sees another champion, also one of the same number in a folder made anew.
        """
        super().__init__(
            ChampionSpec(
                push_dir=push_dir,
                live_version=live_version,
                live_fingerprint=live_fingerprint,
                champion=channel.Channel(type=standard_artifacts.Model),
            )
        )
