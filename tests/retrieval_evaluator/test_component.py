"""The component's declaration."""

from tfx.types import channel, standard_artifacts

from components.retrieval_evaluator.component import RetrievalEvaluator


def test_limits_reach_the_executor():
    """Inputs, outputs and each limit are declared under the names that the executor reads."""
    limits = {
        "min_recall": 0.1,
        "max_recall_drop": 0.2,
        "min_class_recall": 0.3,
        "max_class_recall_drop": 0.4,
    }
    node = RetrievalEvaluator(
        examples=channel.Channel(type=standard_artifacts.Examples),
        model=channel.Channel(type=standard_artifacts.Model),
        champion=channel.Channel(type=standard_artifacts.Model),
        model_run=channel.Channel(type=standard_artifacts.ModelRun),
        num_frames=10,
        code_version="abc",
        **limits,
    )
    assert node.exec_properties == {**limits, "num_frames": 10, "code_version": "abc"}
    assert set(node.inputs) == {"examples", "model", "champion", "model_run"}
    assert set(node.outputs) == {"evaluation", "blessing"}
