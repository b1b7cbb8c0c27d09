"""Embeds queries and gallery with candidate and champion, measures, blesses."""

import json
import os
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components import embedder, published
from components.retrieval_evaluator import gates, metrics

#: Ranks at which recall is measured.
RECALL_RANKS = (1, 5, 10)
#: The report in the evaluation artifact.
REPORT_FILE = "retrieval.json"


class Executor(base_executor.BaseExecutor):
    """Unpacks artifacts, writes `retrieval.json` and the blessing."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the candidate, and the champion where there is one."""
        examples = input_dict["examples"]
        model = artifact_utils.get_single_instance(input_dict["model"])
        candidate = _evaluate(path_utils.serving_model_path(model.uri), examples)
        champion_uri = artifact_utils.get_single_uri(input_dict["champion"])
        champion, note = _evaluate_champion(champion_uri, examples)
        objections = gates.objections(
            candidate["recall"]["1"],
            champion["recall"]["1"] if champion else None,
            min_recall=exec_properties["min_recall"],
            max_recall_drop=exec_properties["max_recall_drop"],
        )
        report = {
            "candidate": candidate,
            "champion": champion,
            "champion_note": note,
            "objections": objections,
        }
        io_utils.write_string_file(
            os.path.join(artifact_utils.get_single_uri(output_dict["evaluation"]), REPORT_FILE),
            json.dumps(report, indent=2),
        )
        _bless(artifact_utils.get_single_instance(output_dict["blessing"]), model, not objections)


def _evaluate(model_dir: str, examples: list[types.Artifact]) -> dict[str, Any]:
    model = embedder.Embedder(model_dir)
    queries, gallery = (
        model.embed(
            embedder.read_examples(os.path.join(artifact_utils.get_split_uri(examples, split), "*"))
        )
        for split in ("test", "train")
    )
    result = metrics.evaluate_retrieval(
        queries.vectors,
        queries.class_names,
        gallery.vectors,
        gallery.class_names,
        recall_ranks=RECALL_RANKS,
    )
    return {"model_id": model.model_id, **result.as_dict()}


def _evaluate_champion(
    uri: str, examples: list[types.Artifact]
) -> tuple[dict[str, Any] | None, str]:
    """Returns the champion's metrics, or None and why there are none."""
    manifest_path = os.path.join(uri, published.MANIFEST_FILE)
    if not fileio.exists(manifest_path):
        return None, "no champion: this is the first version"
    with fileio.open(manifest_path, "r") as file:
        manifest = json.load(file)
    name = f"version {manifest['version']}"
    try:
        return _evaluate(path_utils.serving_model_path(uri), examples), name
    except tf.errors.InvalidArgumentError:
        return None, f"{name} cannot embed these clips: it wants other numbers or sizes of frames"


def _bless(blessing: types.Artifact, model: types.Artifact, blessed: bool) -> None:
    """Marks the artifact as TFX's Evaluator does, so that its readers understand it."""
    blessing.set_string_custom_property("current_model", model.uri)
    blessing.set_int_custom_property("current_model_id", model.id)
    blessing.set_int_custom_property("blessed", int(blessed))
    name = "BLESSED" if blessed else "NOT_BLESSED"
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
