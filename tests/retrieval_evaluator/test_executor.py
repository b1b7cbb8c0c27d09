"""The whole node: real SavedModels embed real Examples, and a verdict comes out."""

import json
import math
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from components import embedder, features
from components.bulk_inferrer import tables
from components.retrieval_evaluator import executor

CLASSES = {"Rise": 0.0, "Fall": math.pi / 2}
#: Test clips of each class: two in each of three groups.
QUERIES = [(name, group, clip) for name in CLASSES for group in (1, 2, 3) for clip in (1, 2)]
LIMITS = {
    "min_recall": 0.5,
    "max_recall_drop": 0.1,
    "min_class_recall": 0.05,
    "max_class_recall_drop": 0.9,
}
#: How many of the first 12 test clips a model that looks at this feature gets wrong.
ERRORS = {features.BRIGHTNESS: 0, features.MOTION: 1, features.FPS: 4}
#: The champion is the candidate.
SAME = "the same"


class AngleModel(tf.Module):
    """Embeds a clip as the point on the unit circle at the angle that one of its features says."""

    def __init__(self, feature, num_frames):
        super().__init__()
        self.feature = feature
        self.num_frames = num_frames

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def embed(self, examples):
        spec = {
            features.CLIP_ID: tf.io.FixedLenFeature([], tf.string),
            features.FRAMES: tf.io.FixedLenFeature([self.num_frames], tf.string),
            self.feature: tf.io.FixedLenFeature([], tf.float32),
        }
        parsed = tf.io.parse_example(examples, spec)
        angle = parsed[self.feature]
        embedding = tf.stack([tf.cos(angle), tf.sin(angle)], axis=1)
        return {"clip_id": parsed[features.CLIP_ID], "embedding": embedding}


def make_example(name, group, clip, angles):
    texts = {
        features.CLIP_ID: [f"v_{name}_g{group:02d}_c{clip:02d}"],
        features.GROUP: [f"{name}_g{group:02d}"],
        features.CLASS_NAME: [name],
        features.FRAMES: ["one", "two"],
    }
    feature = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[t.encode() for t in values]))
        for key, values in texts.items()
    } | {
        key: tf.train.Feature(float_list=tf.train.FloatList(value=[angle]))
        for key, angle in angles.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Test clips of which each feature gets its share wrong; a gallery that is right."""
    folder = tmp_path_factory.mktemp("examples")
    written = {"test": [], "train": [], "eval": [], "unlabeled": []}
    for row, (name, group, clip) in enumerate(QUERIES):
        other = sum(CLASSES.values()) - CLASSES[name]
        angles = {
            feature: (other if row < errors else CLASSES[name]) + 0.01 * row
            for feature, errors in ERRORS.items()
        }
        written["test"].append(make_example(name, group, clip, angles))
    for split, group in (("train", 8), ("train", 9), ("eval", 10)):
        for name, angle in CLASSES.items():
            angles = dict.fromkeys(ERRORS, angle + 0.01 * group)
            written[split].append(make_example(name, group, 1, angles))
    written["unlabeled"].append(make_example("", 1, 1, dict.fromkeys(ERRORS, 0.05)))
    for split, records in written.items():
        path = folder / f"Split-{split}" / "data_tfrecord-00000-of-00001"
        path.parent.mkdir()
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(written))
    return artifact


def publish_embeddings(champion, examples, feature, engine):
    """Writes vectors of a champion as if its model looked at another feature than it does."""
    model_id = embedder.model_id(str(champion / "Format-Serving"))
    records = list(embedder.read_examples(f"{examples.uri}/Split-*/*"))
    angles = [
        tf.train.Example.FromString(record).features.feature[feature].float_list.value[0]
        for record in records
    ]
    ids, groups, classes = zip(*map(embedder.clip_names, records), strict=True)
    table = tables.EmbeddingTable(
        ids,
        classes,
        groups,
        ("any",) * len(ids),
        np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        model_id,
        tuple(map(embedder.example_digest, records)),
        engine,
    )
    tables.write_embeddings(str(champion / "embeddings.parquet"), table)


@pytest.fixture(scope="module")
def evaluate(examples, tmp_path_factory):
    """Runs the node on a candidate and a champion, named by the feature that they look at."""

    def run(
        candidate,
        champion=None,
        *,
        champion_frames=2,
        told_frames=2,
        history=None,
        known=None,
        **limits,
    ):
        root = tmp_path_factory.mktemp("run")

        def save(name, feature, num_frames):
            model = AngleModel(feature, num_frames)
            tf.saved_model.save(
                model, str(root / name / "Format-Serving"), signatures={"embed": model.embed}
            )

        def artifact(kind, name):
            (root / name).mkdir(exist_ok=True)
            made = kind()
            made.uri = str(root / name)
            return made

        save("model", candidate, 2)
        if champion:
            if champion == SAME:
                shutil.copytree(root / "model", root / "champion")
            else:
                save("champion", champion, champion_frames)
            if known:
                publish_embeddings(root / "champion", examples, *known)
            manifest = {"version": 7, "config": {"num_frames": told_frames}}
            manifest["metrics"] = {"recall": {"1": 0.875}}
            (root / "champion" / "manifest.json").write_text(json.dumps(manifest))
        inputs = {
            "examples": examples,
            "model": artifact(standard_artifacts.Model, "model"),
            "champion": artifact(standard_artifacts.Model, "champion"),
        }
        if history:
            inputs["model_run"] = artifact(standard_artifacts.ModelRun, "model_run")
            (root / "model_run" / "history.json").write_text(json.dumps(history))
        blessing = artifact(standard_artifacts.ModelBlessing, "blessing")
        evaluation = artifact(standard_artifacts.ModelEvaluation, "evaluation")
        executor.Executor().Do(
            {key: [value] for key, value in inputs.items()},
            {"evaluation": [evaluation], "blessing": [blessing]},
            {**LIMITS, **limits, "num_frames": 2, "code_version": "test"},
        )
        report = json.loads((root / "evaluation" / "retrieval.json").read_text())
        blessed = bool(blessing.get_int_custom_property("blessed"))
        assert (root / "blessing" / ("BLESSED" if blessed else "NOT_BLESSED")).exists()
        assert blessing.get_string_custom_property("current_model") == inputs["model"].uri
        return report, blessed, root / "evaluation"

    return run


def test_first_version(evaluate):
    """Without a champion: metrics of test against train and eval, all files, and a blessing."""
    history = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "eval_loss": 1.5}]
    report, blessed, folder = evaluate(features.MOTION, history=history)
    assert blessed
    candidate = report["candidate"]
    assert len(candidate.pop("model_id")) == 16
    intervals = candidate.pop("intervals")
    assert candidate == {
        "num_queries": 12,
        "num_gallery": 6,
        "recall": {"1": pytest.approx(11 / 12), "5": 1.0, "10": 1.0, "20": 1.0, "50": 1.0},
        # The one wrong query finds its class behind the three clips of the other.
        "map_at_10": pytest.approx((11 + (1 / 4 + 2 / 5 + 3 / 6) / 3) / 12),
        "recall_at_1_per_class": {"Rise": pytest.approx(5 / 6), "Fall": 1.0},
        "num_queries_per_class": {"Rise": 6, "Fall": 6},
    }
    assert intervals["num_groups"] == 6
    assert intervals["recall"]["1"] == pytest.approx([0.75, 1.0])
    assert (report["champion"], report["comparison"], report["objections"]) == (None, None, [])
    assert report["champion_note"] == "no champion: this is the first version"
    assert {bar["bar"] for bar in report["verdict"]} == {"min_recall", "min_class_recall"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.png",
        "embedding_map.png",
        "learning_curves.png",
        "queries.parquet",
        "recall_by_class.png",
        "retrieval.json",
    ]
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_slightly_better_passes(evaluate):
    """A candidate that answers one clip more than the champion is blessed."""
    report, blessed, folder = evaluate(features.BRIGHTNESS, features.MOTION)
    assert blessed
    assert report["champion_note"] == "version 7"
    assert report["champion"]["recall"]["1"] == pytest.approx(11 / 12)
    assert report["champion"]["num_gallery"] == 6
    comparison = report["comparison"]
    assert (comparison["won"], comparison["lost"]) == (["v_Rise_g01_c01"], [])
    assert comparison["recall_at_1_difference"] == pytest.approx(1 / 12)
    assert comparison["interval"] == pytest.approx([0, 0.25])
    assert not (folder / "learning_curves.png").exists()  # the trainer left no history


def test_queries_are_told_one_by_one(evaluate):
    """Each query's first neighbor, by candidate and champion; null without a champion."""
    _, _, folder = evaluate(features.BRIGHTNESS, features.MOTION)
    rows = pq.read_table(folder / "queries.parquet").to_pylist()
    assert [row["query_id"] for row in rows] == [f"v_{n}_g0{g}_c0{c}" for n, g, c in QUERIES]
    first, *others = rows
    assert (first["class_name"], first["group"]) == ("Rise", "Rise_g01")
    assert first["candidate_neighbor_id"] == "v_Rise_g08_c01"
    assert first["candidate_neighbor_class"] == "Rise"
    assert first["candidate_score"] == pytest.approx(math.cos(0.08), abs=1e-6)
    assert first["champion_neighbor_id"] == "v_Fall_g08_c01"
    assert first["champion_neighbor_class"] == "Fall"
    for row in others:
        assert row["class_name"] == row["candidate_neighbor_class"]
        for column in ("neighbor_id", "neighbor_class", "score"):
            assert row[f"candidate_{column}"] == row[f"champion_{column}"]
    # The eval split is in the gallery: its clip of Fall is the nearest of the last queries.
    assert "v_Fall_g10_c01" in {row["candidate_neighbor_id"] for row in rows}
    _, _, folder = evaluate(features.BRIGHTNESS)
    table = pq.read_table(folder / "queries.parquet")
    assert table.schema.field("champion_score").type == table.schema.field("candidate_score").type
    for column in ("neighbor_id", "neighbor_class", "score"):
        assert table[f"champion_{column}"].null_count == 12


def test_clearly_worse_is_not_blessed(evaluate):
    """A candidate over the floor, but well below the champion, is not blessed, and told why."""
    report, blessed, _ = evaluate(features.FPS, features.BRIGHTNESS)
    assert not blessed
    assert report["objections"] == [
        "recall@1 is 0.667, 0.333 below the champion's 1.000, more than the 0.100 allowed "
        "(4 clips lost, 0 won)"
    ]
    missed = [bar for bar in report["verdict"] if not bar["passed"]]
    assert missed == [
        {
            "bar": "max_recall_drop",
            "class_name": "",
            "value": pytest.approx(1 / 3),
            "limit": 0.1,
            "passed": False,
        }
    ]


def test_within_the_allowed_drop_passes(evaluate):
    """One clip in twelve less than the champion is within a drop of a tenth."""
    report, blessed, _ = evaluate(features.MOTION, features.BRIGHTNESS)
    assert blessed
    assert report["comparison"]["lost"] == ["v_Rise_g01_c01"]


def test_each_class_has_its_bars(evaluate):
    """A class below its own bars stops a candidate that passes the others."""
    report, blessed, _ = evaluate(
        features.FPS,
        features.BRIGHTNESS,
        max_recall_drop=0.5,
        min_class_recall=0.4,
        max_class_recall_drop=0.6,
    )
    assert not blessed
    assert report["objections"] == [
        "recall@1 of class Rise is 0.333, below the floor of 0.400",
        "recall@1 of class Rise is 0.333, 0.667 below the champion's 1.000, more than the 0.600 "
        "allowed (4 clips lost, 0 won)",
    ]


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_the_champion_as_candidate_is_measured_by_its_vectors(evaluate, engine):
    """Vectors that it has of these clips are taken over, and it is not held against itself."""
    report, blessed, _ = evaluate(features.FPS, SAME, known=(features.MOTION, engine))
    assert blessed
    assert report["candidate"]["recall"]["1"] == pytest.approx(11 / 12)
    assert report["champion"] == report["candidate"]
    assert (report["comparison"]["won"], report["comparison"]["lost"]) == ([], [])
    note = "version 7, which is this model, had 0.875 on its own"
    assert report["champion_note"] == note


def test_floors_hold_for_the_champion_too(evaluate):
    """Where it no longer finds the classes of this run's clips, it is not blessed."""
    report, blessed, _ = evaluate(features.FPS, SAME, min_recall=0.7)
    assert not blessed
    assert report["objections"] == ["recall@1 is 0.667, below the floor of 0.700"]


@pytest.mark.parametrize(("engine", "recall"), [("tensorflow", 11 / 12), ("openvino", 8 / 12)])
def test_both_models_are_measured_by_one_engine(evaluate, engine, recall):
    """A champion's vectors are taken over if TensorFlow made them, as the candidate's are."""
    report, _, _ = evaluate(features.BRIGHTNESS, features.FPS, known=(features.MOTION, engine))
    assert report["champion"]["recall"]["1"] == pytest.approx(recall)
    assert report["candidate"]["recall"]["1"] == 1


@pytest.mark.parametrize("wants", [{"champion_frames": 3}, {"told_frames": 1}])
def test_champion_of_another_geometry(evaluate, wants):
    """A champion that wants other clips, or says so, is not compared with; the note says why."""
    report, blessed, _ = evaluate(features.MOTION, features.BRIGHTNESS, **wants)
    assert blessed
    assert (report["champion"], report["comparison"]) == (None, None)
    assert report["champion_note"].startswith("version 7 cannot embed these clips")


def test_progress_is_reported(evaluate, caplog):
    """Shards that are embedded are counted, of queries and of gallery."""
    with caplog.at_level("INFO", logger="clip_recommender.progress"):
        evaluate(features.BRIGHTNESS)
    seen = [record.progress for record in caplog.records if hasattr(record, "progress")]
    assert [(each.task, each.done, each.total) for each in seen] == [
        ("test shards", 0, 1),
        ("test shards", 1, 1),
        ("train+eval shards", 0, 2),
        ("train+eval shards", 1, 2),
        ("train+eval shards", 2, 2),
    ]
