"""Validates statistics against the schema and fails on an anomaly."""

import os
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator import executor as tfx_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.example_validator import report


class Executor(tfx_executor.Executor):
    """TFX's executor with a gate behind it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ):
        """Validates; raises ValueError that names split, feature and anomaly where there is one."""
        result = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        anomalies = {
            split: _read_anomalies(artifact_utils.get_split_uri([artifact], split))
            for split in artifact_utils.decode_split_names(artifact.split_names)
        }
        lines = report.describe(anomalies)
        if lines:
            raise ValueError("the data break schema/schema.pbtxt: " + "; ".join(lines))
        return result


def _read_anomalies(folder: str) -> anomalies_pb2.Anomalies:
    with fileio.open(os.path.join(folder, tfx_executor.DEFAULT_FILE_NAME), "rb") as file:
        return anomalies_pb2.Anomalies.FromString(file.read())
