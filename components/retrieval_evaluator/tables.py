"""The queries and what was recommended first for each, as Parquet."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


class FirstNeighbors(NamedTuple):
    """The clip that a model recommends first, for each query.

    Attributes:
      ids, class_names: [q].
      scores: float [q], the cosines.
    """

    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    scores: np.ndarray


def encode_queries(
    query_ids: Sequence[str],
    class_names: Sequence[str],
    groups: Sequence[str],
    candidate: FirstNeighbors,
    champion: FirstNeighbors | None,
) -> bytes:
    """Returns a Parquet file, a row for each query.

    Its columns: query_id, class_name, group; candidate_neighbor_id, candidate_neighbor_class and
    candidate_score (float32); champion_* likewise, null without a champion.
    """
    columns = {
        "query_id": pa.array(query_ids, pa.string()),
        "class_name": pa.array(class_names, pa.string()),
        "group": pa.array(groups, pa.string()),
    }
    for model, found in (("candidate", candidate), ("champion", champion)):
        nothing = [None] * len(query_ids)
        ids, neighbor_classes, scores = found or (nothing, nothing, nothing)
        columns[f"{model}_neighbor_id"] = pa.array(ids, pa.string())
        columns[f"{model}_neighbor_class"] = pa.array(neighbor_classes, pa.string())
        columns[f"{model}_score"] = pa.array(scores, pa.float64()).cast(pa.float32())
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()
