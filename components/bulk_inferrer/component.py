"""The TFX component."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import artifacts
from components.bulk_inferrer import executor


class BulkInferrerSpec(component_spec.ComponentSpec):
    """What BulkInferrer takes and gives."""

    PARAMETERS = {
        "k": component_spec.ExecutionParameter(type=int),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "retrieval_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
    }
    OUTPUTS = {
        "embeddings": component_spec.ChannelParameter(type=artifacts.Embeddings),
        "neighbors": component_spec.ChannelParameter(type=artifacts.NeighborTable),
    }


class BulkInferrer(base_beam_component.BaseBeamComponent):
    """Embeds every clip with a blessed model and finds each clip's nearest neighbors.

    Outputs `embeddings` (Embeddings) and `neighbors` (NeighborTable), both empty where the model
    is not blessed.
    """

    SPEC_CLASS = BulkInferrerSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        retrieval_blessing: types.BaseChannel,
        k: int,
        code_version: str,
    ):
        """Declares the component.

        Args:
          examples: raw Examples; all splits are embedded.
          model: a SavedModel with signature `embed`.
          model_blessing: Evaluator's verdict.
          retrieval_blessing: RetrievalEvaluator's verdict.
          k: neighbors of each clip.
          code_version: digest of the stage's code, for the cache.
        """
        super().__init__(
            BulkInferrerSpec(
                examples=examples,
                model=model,
                model_blessing=model_blessing,
                retrieval_blessing=retrieval_blessing,
                k=k,
                code_version=code_version,
                embeddings=channel.Channel(type=artifacts.Embeddings),
                neighbors=channel.Channel(type=artifacts.NeighborTable),
            )
        )
