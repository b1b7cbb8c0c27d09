"""The whole node: real SavedModels embed real Examples, and a verdict comes out."""

import math

import pyarrow.parquet as pq
import pytest

from components import features
from tests.retrieval_evaluator.angles import (
    QUERIES,
    SAME,
)


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
