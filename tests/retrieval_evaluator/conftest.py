"""Examples of angles, and an evaluation of models that read them."""

import json
import shutil

import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from components.retrieval_evaluator import executor
from tests.retrieval_evaluator.angles import (
    CLASSES,
    ERRORS,
    LIMITS,
    QUERIES,
    SAME,
    AngleModel,
    make_example,
    publish_embeddings,
)


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
