"""Publishes what both gates bless; says why where one does not."""

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
        with fileio.open(os.path.join(uris["retrieval_evaluation"], "retrieval.json")) as file:
            retrieval = json.load(file)
        objections = _accuracy_objections(uris["model_evaluation"]) + retrieval["objections"]
        blessed = all(
            model_utils.is_model_blessed(input_dict[key][0])
            for key in ("model_blessing", "retrieval_blessing")
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
                    statistics=_training_statistics(input_dict["statistics"][0]),
                ),
                publish.Facts(
                    model_id=retrieval["candidate"]["model_id"],
                    config=json.loads(exec_properties["settings"]),
                    metrics=_metrics(uris["model_evaluation"], retrieval),
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
            "objections": objections,
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


def _training_statistics(artifact: types.Artifact) -> bytes:
    """Returns the train split's, a serialized DatasetFeatureStatisticsList."""
    statistics = stats_artifact_utils.load_statistics(artifact, "train").proto()
    return statistics.SerializeToString(deterministic=True)


def _metrics(evaluation_uri: str, retrieval: dict[str, Any]) -> dict[str, Any]:
    """Returns the manifest's metrics: accuracy by TFMA, retrieval by RetrievalEvaluator."""
    result = tfma.load_eval_result(evaluation_uri)
    by_slice = {
        slice_key[0][1] if slice_key else "": metrics["accuracy"]["doubleValue"]
        for slice_key, metrics in result.get_metrics_for_all_slices().items()
    }
    candidate = {key: value for key, value in retrieval["candidate"].items() if key != "model_id"}
    return {
        "accuracy": by_slice.pop(""),
        "accuracy_per_class": by_slice,
        **candidate,
    }
