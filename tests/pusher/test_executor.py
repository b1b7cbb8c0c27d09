"""The whole node: what both gates bless is published, with the statistics of its clips."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.types import standard_artifacts

from components import artifacts, published
from components.pusher import executor
from tests.published_library import make_inputs

EVAL_CONFIG = text_format.Parse(
    """
    model_specs { label_key: "label" prediction_key: "prediction" }
    slicing_specs {}
    slicing_specs { feature_keys: "class_name" }
    metrics_specs {
      metrics {
        class_name: "BinaryAccuracy"
        config: '"name": "accuracy"'
        threshold { value_threshold { lower_bound { value: 0.5 } } }
      }
    }
    """,
    tfma.EvalConfig(),
)


class _Echo(tf.Module):
    """Embeds a clip as the vector that its Example holds, its first value times a factor."""

    def __init__(self, factor):
        self._factors = tf.constant([factor] + [1.0] * 7)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def embed(self, examples):
        spec = {"vector": tf.io.FixedLenFeature([8], tf.float32)}
        return {"embedding": tf.io.parse_example(examples, spec)["vector"] * self._factors}


def write_examples_and_model(folder, parts, factor):
    """Writes what ClipExampleGen and Trainer give, so that the model embeds as in `parts`."""
    module = _Echo(factor)
    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures={"embed": module.embed})
    for path, split in zip(
        sorted(Path(parts.embeddings_dir).iterdir()), ("train", "eval"), strict=True
    ):
        (folder / f"Split-{split}").mkdir()
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data-0")) as writer:
            for row in pq.read_table(path).to_pylist():
                example = tf.train.Example()
                names = (row["clip_id"], row["group"], row["class_name"])
                for key, name in zip(("clip_id", "group", "class_name"), names, strict=True):
                    example.features.feature[key].bytes_list.value.append(name.encode())
                example.features.feature["vector"].float_list.value.extend(row["embedding"])
                writer.write(example.SerializeToString())


@pytest.fixture
def push(tmp_path):
    """Runs the node; returns its `result.json`."""

    def artifact(kind, name, uri=None):
        made = kind()
        made.uri = uri or str(tmp_path / name)
        return made

    def run(predictions, *, blessed, factor=1.0, champion=None):
        parts, _ = make_inputs(tmp_path / "examples").values()
        write_examples_and_model(tmp_path / "examples", parts, factor)
        statistics = artifact(standard_artifacts.ExampleStatistics, "statistics")
        statistics.split_names = '["train", "eval"]'
        for split, brightness in (("train", 0.25), ("eval", 0.75)):
            folder = tmp_path / "statistics" / f"Split-{split}"
            folder.mkdir(parents=True)
            found = tfdv.generate_statistics_from_dataframe(
                pd.DataFrame({"brightness": [brightness] * 4})
            )
            (folder / "FeatureStats.pb").write_bytes(found.SerializeToString())
        evaluation = artifact(standard_artifacts.ModelEvaluation, "evaluation")
        data = {"class_name": ["Fall", "Rise"] * 2, "label": [1.0, 0.0] * 2}
        tfma.analyze_raw_data(
            pd.DataFrame(data | {"prediction": predictions}), EVAL_CONFIG, evaluation.uri
        )
        retrieval = artifact(standard_artifacts.ModelEvaluation, "retrieval")
        (tmp_path / "retrieval").mkdir()
        report = {"candidate": {"model_id": "model0", "recall": {"1": 0.9}}, "objections": []}
        (tmp_path / "retrieval" / "retrieval.json").write_text(json.dumps(report))
        blessing = artifact(standard_artifacts.ModelBlessing, "blessing")
        blessing.set_int_custom_property("blessed", int(blessed))
        model = artifact(standard_artifacts.Model, "examples")
        inputs = {
            "examples": artifact(standard_artifacts.Examples, "examples"),
            "statistics": statistics,
            "model": model,
            "embeddings": artifact(artifacts.Embeddings, "", parts.embeddings_dir),
            "neighbors": artifact(artifacts.NeighborTable, "", parts.neighbors_dir),
            "model_evaluation": evaluation,
            "model_blessing": blessing,
            "retrieval_evaluation": retrieval,
            "retrieval_blessing": blessing,
        }
        if champion:
            del inputs["model_evaluation"], inputs["model_blessing"]
            (tmp_path / "examples" / "manifest.json").write_text(json.dumps(champion))
            (tmp_path / "examples" / "statistics.pb").write_bytes(b"of its training")
        (tmp_path / "pushed").mkdir()
        pushed = artifact(artifacts.PublishedVersion, "pushed")
        executor.Executor().Do(
            {key: [value] for key, value in inputs.items()},
            {"pushed": [pushed]},
            {
                "push_dir": str(tmp_path / "out"),
                "live_version": "",
                "keep_versions": 3,
                "settings": '{"k": 3}',
                "data_version": "data",
                "run_fingerprint": "run",
            },
        )
        assert pushed.get_int_custom_property("pushed") == int(blessed)
        return json.loads((tmp_path / "pushed" / "result.json").read_text())

    return run


def test_blessed_is_published_with_its_statistics(push, tmp_path):
    """The version holds the train split's statistics as StatisticsGen gave them."""
    result = push([0.9, 0.1, 0.9, 0.9], blessed=True)
    assert (result["version"], result["objections"]) == (1, [])
    card = (tmp_path / "out" / "1" / "model_card.md").read_text()
    assert "| Fall | 6 |" in card and "| accuracy on the test split | 0.750 |" in card
    live = published.open_published(tmp_path / "out")
    live.verify()
    content = (tmp_path / "out" / "1" / "statistics.pb").read_bytes()
    (dataset,) = statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets
    assert dataset.num_examples == 4
    assert dataset.features[0].num_stats.mean == 0.25
    assert live.manifest.config == {"k": 3} and live.manifest.data_fingerprint == "data"
    assert live.manifest.metrics == {
        "accuracy": 0.75,
        "accuracy_per_class": {"Fall": 1.0, "Rise": 0.5},
        "recall": {"1": 0.9},
    }


def test_the_champion_keeps_its_accuracy_and_its_statistics(push, tmp_path):
    """Without a training both are of the clips that the model was trained and measured on."""
    metrics = {"accuracy": 0.7, "accuracy_per_class": {"Fall": 0.6}, "recall": {"1": 0.5}}
    champion = {"version": 5, "metrics": metrics | {"accuracy_version": 2}}
    result = push([0.1, 0.1, 0.1, 0.1], blessed=True, champion=champion)
    assert (result["version"], result["objections"]) == (1, [])
    live = published.open_published(tmp_path / "out")
    assert live.manifest.metrics == {
        "accuracy": 0.7,
        "accuracy_per_class": {"Fall": 0.6},
        "accuracy_version": 2,
        "recall": {"1": 0.9},
    }
    assert result["metrics"] == live.manifest.metrics
    assert (tmp_path / "out" / "1" / "statistics.pb").read_bytes() == b"of its training"


def test_a_model_that_made_other_vectors_is_not_published(push, tmp_path):
    """A model that does not give a clip the vector in the embeddings is found out before."""
    with pytest.raises(published.PublishedError, match=r"model: .*v_\w+_g\d+_c01 .* cosine 0\."):
        push([0.9, 0.1, 0.9, 0.9], blessed=True, factor=-0.5)
    assert published.list_versions(tmp_path / "out") == []


def test_what_is_not_blessed_is_not_published(push, tmp_path):
    """Nothing appears, and the message says which floor was missed."""
    result = push([0.1, 0.9, 0.9, 0.9], blessed=False)
    assert result["version"] is None
    assert "test accuracy is 0.250, below the floor of 0.500" in result["objections"]
    assert (result["metrics"]["accuracy"], result["metrics"]["recall"]) == (0.25, {"1": 0.9})
    assert published.list_versions(tmp_path / "out") == []
