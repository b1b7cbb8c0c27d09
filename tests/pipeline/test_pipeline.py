"""The DAG, as it is wired."""

import pytest

from pipeline import pipeline
from pipeline.config import PipelineConfig
from pipeline.planning import RunFacts

FACTS = RunFacts("data", "7", "live", "run", '{"epochs": 3}')
OF_TRAINING = {"Transform", "Trainer", "Evaluator"}


@pytest.fixture
def make_nodes(tmp_path):
    """Wires the DAG; returns its nodes by id."""

    def make(**settings):
        config = PipelineConfig(source="clips.zip", **settings)
        dag = pipeline.create_pipeline(config, FACTS, name="test", root=str(tmp_path))
        return {node.id: node for node in dag.components}

    return make


def producer(node, key):
    """The id of the node that an input comes from; None where there is no such input."""
    return node.inputs[key].producer_component_id if key in node.inputs else None


def upstream(node):
    """The ids of all nodes that come before a node."""
    found = {before.id for before in node.upstream_nodes}
    return found.union(*map(upstream, node.upstream_nodes))


def test_a_refresh_is_the_dag_without_training(make_nodes):
    """What it has are the same nodes, and the champion is the candidate."""
    full, refresh = make_nodes(), make_nodes(refresh=True)
    assert full.keys() - refresh.keys() == OF_TRAINING
    assert refresh.keys() <= full.keys()
    for name in ("RetrievalEvaluator", "BulkInferrer", "Pusher"):
        assert producer(full[name], "model") == "Trainer"
        assert producer(refresh[name], "model") == "Champion"
    for name in ("BulkInferrer", "Pusher"):
        assert producer(full[name], "model_blessing") == "Evaluator"
        assert producer(refresh[name], "model_blessing") is None
        assert producer(refresh[name], "retrieval_blessing") == "RetrievalEvaluator"


@pytest.mark.parametrize("refresh", [False, True])
def test_nothing_is_judged_or_published_before_the_data_are_valid(refresh, make_nodes):
    """Schema and drift stop a run before training, gates and publishing."""
    nodes = make_nodes(refresh=refresh)
    for name in {*OF_TRAINING, "RetrievalEvaluator", "BulkInferrer", "Pusher"} & nodes.keys():
        assert upstream(nodes[name]) >= {"ExampleValidator", "DriftValidator"}, name


def test_the_manifest_has_the_settings_of_the_training(make_nodes):
    """A refresh publishes those that its model was trained with, beside its own."""
    settings = make_nodes(refresh=True, epochs=50, k=7)["Pusher"].exec_properties["settings"]
    assert '"epochs": 3,' in settings and '"k": 7,' in settings
