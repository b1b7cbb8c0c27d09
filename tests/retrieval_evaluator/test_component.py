"""The component's declaration."""

import pytest
from tfx.types import channel, standard_artifacts

from components.retrieval_evaluator.component import RetrievalEvaluator


@pytest.mark.parametrize("model_run", [None, channel.Channel(type=standard_artifacts.ModelRun)])
def test_limits_reach_the_executor(model_run):
    """Inputs, outputs and limits are declared as the executor reads them; a training may lack."""
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
        model_run=model_run,
        num_frames=10,
        code_version="abc",
        **limits,
    )
    assert node.exec_properties == {**limits, "num_frames": 10, "code_version": "abc"}
    expected = {"examples", "model", "champion"}
    assert set(node.inputs) == expected | ({"model_run"} if model_run else set())
    assert set(node.outputs) == {"evaluation", "blessing"}
