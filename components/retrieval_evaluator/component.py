"""The TFX component."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.retrieval_evaluator import executor


class RetrievalEvaluatorSpec(component_spec.ComponentSpec):
    """What RetrievalEvaluator takes and gives."""

    PARAMETERS = {
        "num_frames": component_spec.ExecutionParameter(type=int),
        "min_recall": component_spec.ExecutionParameter(type=float),
        "max_recall_drop": component_spec.ExecutionParameter(type=float),
        "min_class_recall": component_spec.ExecutionParameter(type=float),
        "max_class_recall_drop": component_spec.ExecutionParameter(type=float),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(
            type=standard_artifacts.ModelRun, optional=True
        ),
    }
    OUTPUTS = {
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class RetrievalEvaluator(base_component.BaseComponent):
    """Measures retrieval across groups: queries of the test split, gallery of train and eval.

    Outputs `blessing`, in the form of TFX's Evaluator, and `evaluation`:

    ```
    <uri>/retrieval.json     candidate, champion (or null), champion_note, comparison (or null),
                             verdict (every bar), objections (what speaks against a blessing)
    <uri>/queries.parquet    each query and what was recommended first for it
    <uri>/learning_curves.png  confusion.png  recall_by_class.png  embedding_map.png
    ```
    """

    SPEC_CLASS = RetrievalEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        champion: types.BaseChannel,
        model_run: types.BaseChannel | None,
        num_frames: int,
        min_recall: float,
        max_recall_drop: float,
        min_class_recall: float,
        max_class_recall_drop: float,
        code_version: str,
    ):
        """Declares the component.

        Args:
          examples: raw Examples with splits train, eval and test; other splits stay out.
          model: the candidate.
          champion: of Champion; may be empty, and may be the candidate. Vectors that it holds of
            its model are not computed again.
          model_run: of Trainer; its `history.json`, where there is one, becomes a picture. None
            where nothing was trained.
          num_frames: of a clip's windows; a champion that wants others is not compared with.
          min_recall: recall@1 that a candidate needs.
          max_recall_drop: how far it may lie below the champion's.
          min_class_recall: recall@1 that each class of 5 queries or more needs.
          max_class_recall_drop: how far that may lie below the champion's for the class.
          code_version: digest of the stage's code, for the cache.
        """
        super().__init__(
            RetrievalEvaluatorSpec(
                examples=examples,
                model=model,
                champion=champion,
                model_run=model_run,
                num_frames=num_frames,
                min_recall=min_recall,
                max_recall_drop=max_recall_drop,
                min_class_recall=min_class_recall,
                max_class_recall_drop=max_class_recall_drop,
                code_version=code_version,
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
