"""The TFX component."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import artifacts
from components.pusher import executor

_MODEL = component_spec.ChannelParameter(type=standard_artifacts.Model)
_EVALUATION = component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation)
_BLESSING = component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing)


class PusherSpec(component_spec.ComponentSpec):
    """What Pusher takes and gives."""

    PARAMETERS = {
        "push_dir": component_spec.ExecutionParameter(type=str),
        "live_version": component_spec.ExecutionParameter(type=str),
        "keep_versions": component_spec.ExecutionParameter(type=int),
        "settings": component_spec.ExecutionParameter(type=str),
        "data_version": component_spec.ExecutionParameter(type=str),
        "run_fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "model": _MODEL,
        "embeddings": component_spec.ChannelParameter(type=artifacts.Embeddings),
        "neighbors": component_spec.ChannelParameter(type=artifacts.NeighborTable),
        # Of a training; without one, the model is the champion.
        "model_evaluation": component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        "model_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
        "retrieval_evaluation": _EVALUATION,
        "retrieval_blessing": _BLESSING,
    }
    OUTPUTS = {"pushed": component_spec.ChannelParameter(type=artifacts.PublishedVersion)}


class Pusher(base_component.BaseComponent):
    """Publishes model, embeddings, neighbor table and statistics, where the gates bless.

    Outputs `pushed` (PublishedVersion): the version, or what spoke against it.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        *,
        push_dir: str,
        live_version: str,
        keep_versions: int,
        settings: str,
        data_version: str,
        run_fingerprint: str,
        **inputs: types.BaseChannel,
    ):
        """Declares the component.

        Args:
          push_dir: where versions are published.
          live_version: the one that the candidate was held against, "" before the first; where
            another one is live by then, nothing is published.
          keep_versions: how many are kept, besides the live one, its parent, and those that are
            being read.
          settings: the run's settings, JSON, for the manifest.
          data_version: the source's fingerprint, for the manifest.
          run_fingerprint: digest of all that decides the result, for the manifest.
          **inputs: the channels of `PusherSpec.INPUTS`.
        """
        super().__init__(
            PusherSpec(
                push_dir=push_dir,
                live_version=live_version,
                keep_versions=keep_versions,
                settings=settings,
                data_version=data_version,
                run_fingerprint=run_fingerprint,
                pushed=channel.Channel(type=artifacts.PublishedVersion),
                **inputs,
            )
        )
