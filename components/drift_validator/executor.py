"""Reads both statistics, writes what moved, fails where that is too much."""

import json
import logging
import os
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx import types
from tfx.components.example_validator import executor as tfx_executor
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import progress, published
from components.drift_validator import drift

#: The report in the artifact.
REPORT_FILE = "drift.json"

_SPLIT = "train"


class Executor(base_executor.BaseExecutor):
    """Unpacks artifacts, writes the report."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compares; raises ValueError that names what drifted, after the report is written."""
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        champion, champion_statistics = _read_champion(
            artifact_utils.get_single_uri(input_dict["champion"])
        )
        report = drift.compare(
            stats_artifact_utils.load_statistics(statistics, _SPLIT).proto(),
            champion_statistics,
            champion,
            drift.Limits(exec_properties["max_drift"], exec_properties["max_class_drift"]),
        )
        _write(artifact_utils.get_single_instance(output_dict["drift"]), statistics.span, report)
        # The log keeps the report, for a failed node may lose its artifact.
        logging.info("drift: %s", json.dumps(report.as_dict()))
        progress.note(report.finding())
        if report.objections:
            raise ValueError(report.summary())


def _read_champion(
    uri: str,
) -> tuple[str | None, statistics_pb2.DatasetFeatureStatisticsList | None]:
    """Returns the champion's name and the statistics of its data, None for what is not there."""
    manifest_path = os.path.join(uri, published.MANIFEST_FILE)
    if not fileio.exists(manifest_path):
        return None, None
    with fileio.open(manifest_path, "r") as file:
        name = f"version {json.load(file)['version']}"
    statistics_path = os.path.join(uri, published.STATISTICS_FILE)
    if not fileio.exists(statistics_path):
        return name, None
    with fileio.open(statistics_path, "rb") as file:
        return name, drift.parse_statistics(file.read())


def _write(artifact: types.Artifact, span: int, report: drift.Report) -> None:
    artifact.split_names = artifact_utils.encode_split_names([_SPLIT])
    artifact.span = span
    split_uri = artifact_utils.get_split_uri([artifact], _SPLIT)
    fileio.makedirs(split_uri)
    with fileio.open(os.path.join(split_uri, tfx_executor.DEFAULT_FILE_NAME), "wb") as file:
        file.write(report.anomalies.SerializeToString(deterministic=True))
    with fileio.open(os.path.join(artifact.uri, REPORT_FILE), "w") as file:
        file.write(json.dumps(report.as_dict(), indent=2) + "\n")
