"""The TFX component."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.retrieval_evaluator import executor


class RetrievalEvaluatorSpec(component_spec.ComponentSpec):
    """What RetrievalEvaluator takes and gives."""

    PARAMETERS = {
        "min_recall": component_spec.ExecutionParameter(type=float),
        "max_recall_drop": component_spec.ExecutionParameter(type=float),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class RetrievalEvaluator(base_component.BaseComponent):
    """Measures retrieval across groups: queries of the test split, gallery of the train split.

    Outputs `evaluation` (`retrieval.json`: metrics of the candidate and the champion, and what
    speaks against a blessing) and `blessing`, in the form of TFX's Evaluator.
    """

    SPEC_CLASS = RetrievalEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        champion: types.BaseChannel,
        min_recall: float,
        max_recall_drop: float,
        code_version: str,
    ):
        """Declares the component.

        Args:
          examples: raw Examples with splits train and test.
          model: the candidate.
          champion: of Champion; may be empty.
          min_recall: recall@1 that a candidate needs.
          max_recall_drop: how far it may lie below the champion's.
          code_version: digest of the stage's code, for the cache.
        """
        super().__init__(
            RetrievalEvaluatorSpec(
                examples=examples,
                model=model,
                champion=champion,
                min_recall=min_recall,
                max_recall_drop=max_recall_drop,
                code_version=code_version,
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
