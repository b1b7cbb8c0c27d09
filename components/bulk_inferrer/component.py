"""The TFX component."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import artifacts
from components.bulk_inferrer import executor


class BulkInferrerSpec(component_spec.ComponentSpec):
    """What BulkInferrer takes and gives."""

    PARAMETERS = {
        "embed_engine": component_spec.ExecutionParameter(type=str),
        "k": component_spec.ExecutionParameter(type=int),
        "min_score": component_spec.ExecutionParameter(type=float),
        "exclude_group": component_spec.ExecutionParameter(type=int),
        "one_per_group": component_spec.ExecutionParameter(type=int),
        "exact_limit": component_spec.ExecutionParameter(type=int),
        "min_index_recall": component_spec.ExecutionParameter(type=float),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
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
        *,
        model: types.BaseChannel,
        champion: types.BaseChannel,
        model_blessing: types.BaseChannel | None,
        retrieval_blessing: types.BaseChannel,
        embed_engine: str,
        k: int,
        min_score: float,
        exclude_group: bool,
        one_per_group: bool,
        exact_limit: int,
        min_index_recall: float,
        code_version: str,
    ):
        """Declares the component.

        Args:
          examples: raw Examples; all splits are embedded.
          model: a SavedModel with signature `embed`.
          champion: the published model and its embeddings; of clips that it has embedded, where
            the model is the same, the vectors are taken over.
          model_blessing: Evaluator's verdict; None where nothing was trained.
          retrieval_blessing: RetrievalEvaluator's verdict.
          embed_engine: of `settings.ENGINES`.
          k: neighbors of each clip, at most.
          min_score: the lowest score of a neighbor; -1 for any.
          exclude_group: whether those of a clip's own group are left out.
          one_per_group: whether of any group the nearest alone is a neighbor.
          exact_limit: clips up to which the search is exact; above it goes by an index.
          min_index_recall: share of the true neighbors that the index must find.
          code_version: digest of the stage's code, for the cache.
        """
        super().__init__(
            BulkInferrerSpec(
                examples=examples,
                model=model,
                champion=champion,
                model_blessing=model_blessing,
                retrieval_blessing=retrieval_blessing,
                embed_engine=embed_engine,
                k=k,
                min_score=min_score,
                exclude_group=int(exclude_group),
                one_per_group=int(one_per_group),
                exact_limit=exact_limit,
                min_index_recall=min_index_recall,
                code_version=code_version,
                embeddings=channel.Channel(type=artifacts.Embeddings),
                neighbors=channel.Channel(type=artifacts.NeighborTable),
            )
        )
