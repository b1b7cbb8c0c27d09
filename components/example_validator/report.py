"""Anomalies in words."""

from collections.abc import Mapping

from tensorflow_metadata.proto.v0 import anomalies_pb2


def describe(anomalies: Mapping[str, anomalies_pb2.Anomalies]) -> list[str]:
    """Returns a line for each anomaly: split, feature, what was found.

    Args:
      anomalies: by split.
    """
    lines = []
    for split, found in anomalies.items():
        for feature, info in sorted(found.anomaly_info.items()):
            lines.append(f"split {split}, feature {feature}: {info.description}")
        if found.HasField("dataset_anomaly_info"):
            lines.append(f"split {split}: {found.dataset_anomaly_info.description}")
        if found.data_missing:
            lines.append(f"split {split}: no Examples")
    return lines
