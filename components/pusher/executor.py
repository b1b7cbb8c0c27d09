"""Publishes what the gates bless; says why where one does not."""

import itertools
import json
import os
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components import embedder, features, published
from components.pusher import model_check, pages, publish

#: Clips of a split with which the model is asked before its version goes live.
_SAMPLE_OF_SPLIT = 2


class Executor(base_executor.BaseExecutor):
    """Unpacks artifacts, publishes, writes `result.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Publishes one version, or none and the reasons."""
        uris = {key: artifacts[0].uri for key, artifacts in input_dict.items()}
        report = os.path.join(uris["retrieval_evaluation"], features.RETRIEVAL_FILE)
        with fileio.open(report) as file:
            retrieval = json.load(file)
        accuracy, objections = _accuracy(uris)
        metrics = accuracy | retrieval["candidate"]
        model_id = metrics.pop("model_id")
        blessed = all(
            model_utils.is_model_blessed(input_dict[key][0])
            for key in ("model_blessing", "retrieval_blessing")
            if key in input_dict
        )
        version = None
        if blessed:
            version = publish.publish(
                exec_properties["push_dir"],
                publish.Parts(
                    model_dir=path_utils.serving_model_path(uris["model"]),
                    embeddings_dir=uris["embeddings"],
                    neighbors_dir=uris["neighbors"],
                    clips_path=os.path.join(uris["examples"], published.CLIPS_FILE),
                    statistics=_training_statistics(input_dict["statistics"][0], uris),
                ),
                publish.Facts(
                    model_id=model_id,
                    config=json.loads(exec_properties["settings"]),
                    metrics=metrics,
                    data_fingerprint=exec_properties["data_version"],
                    run_fingerprint=exec_properties["run_fingerprint"],
                ),
                live_version=int(exec_properties["live_version"] or 0) or None,
                keep_versions=exec_properties["keep_versions"],
                add_pages=lambda staged, folder: pages.write_pages(
                    staged,
                    folder,
                    evaluation_dir=uris["retrieval_evaluation"],
                    previews_dir=os.path.join(uris["examples"], features.PREVIEWS_DIR),
                    lineage={key: artifacts[0].id for key, artifacts in input_dict.items()},
                ),
                ask=lambda staged: model_check.check_model(staged, _sample(uris["examples"])),
            )
        result = {
            "version": version,
            "push_dir": exec_properties["push_dir"],
            "examples": uris["examples"],
            "objections": objections + retrieval["objections"],
            "metrics": metrics,
            "evaluation": uris["retrieval_evaluation"],
        }
        pushed = artifact_utils.get_single_instance(output_dict["pushed"])
        pushed.set_int_custom_property("pushed", int(blessed))
        io_utils.write_string_file(os.path.join(pushed.uri, "result.json"), json.dumps(result))


def _sample(examples_uri: str) -> list[bytes]:
    """Returns the first clips of each split."""
    return [
        example
        for split in sorted(fileio.glob(os.path.join(examples_uri, "Split-*")))
        for example in itertools.islice(
            embedder.read_examples(os.path.join(split, "*")), _SAMPLE_OF_SPLIT
        )
    ]


def _accuracy(uris: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Returns the manifest's metrics of the classifier, and what speaks against it.

    Without a training the classifier is as it was: the figures are the champion's, with the version
    that measured them.
    """
    if "model_evaluation" in uris:
        uri = uris["model_evaluation"]
        return _measured_accuracy(uri), _accuracy_objections(uri)
    with fileio.open(os.path.join(uris["model"], published.MANIFEST_FILE)) as file:
        champion = json.load(file)
    taken = {key: champion["metrics"][key] for key in ("accuracy", "accuracy_per_class")}
    measured_by = champion["metrics"].get("accuracy_version", champion["version"])
    return taken | {"accuracy_version": measured_by}, []


def _accuracy_objections(evaluation_uri: str) -> list[str]:
    """Returns a sentence for each threshold of Evaluator that was missed."""
    failures = []
    result = tfma.load_validation_result(evaluation_uri)
    for slice_result in result.metric_validations_per_slice:
        for failure in slice_result.failures:
            value = failure.metric_value.double_value.value
            bound = failure.metric_threshold.value_threshold.lower_bound.value
            name = failure.metric_key.name
            failures.append(f"test {name} is {value:.3f}, below the floor of {bound:.3f}")
    return failures


def _training_statistics(artifact: types.Artifact, uris: dict[str, str]) -> bytes:
    """Returns those of the clips that the model was trained on: a DatasetFeatureStatisticsList.

    Without a training these are not this run's clips. Drift is to be seen also where it comes
    slowly, refresh by refresh.
    """
    of_champion = os.path.join(uris["model"], published.STATISTICS_FILE)
    if "model_evaluation" not in uris and fileio.exists(of_champion):
        with fileio.open(of_champion, "rb") as file:
            return file.read()
    statistics = stats_artifact_utils.load_statistics(artifact, "train").proto()
    return statistics.SerializeToString(deterministic=True)


def _measured_accuracy(evaluation_uri: str) -> dict[str, Any]:
    """Returns the accuracy on the test split by TFMA, of all clips and by class."""
    result = tfma.load_eval_result(evaluation_uri)
    by_slice = {
        slice_key[0][1] if slice_key else "": metrics["accuracy"]["doubleValue"]
        for slice_key, metrics in result.get_metrics_for_all_slices().items()
    }
    return {"accuracy": by_slice.pop(""), "accuracy_per_class": by_slice}
