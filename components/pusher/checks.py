"""What must be true of the tables of a version before anybody may see them."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.published import PublishedError

#: How far a score may be from the cosine of its two vectors: float32 has steps of 6e-8 there.
_TOLERANCE = 1e-5
_ROWS_AT_ONCE = 1 << 20


def check_clips(embeddings: pa.Table, neighbors: pa.Table, clips: pa.Table) -> None:
    """Raises PublishedError unless all speak of the same clips, each of which is there once."""
    embedded = embeddings["clip_id"].to_pylist()
    known = clips["clip_id"].to_pylist()
    for name, ids in (("embeddings", embedded), ("clips", known)):
        if twice := next((a for a, b in itertools.pairwise(sorted(ids)) if a == b), None):
            raise PublishedError(f"{name}: expected each clip once; got {twice} again")
    asked = set(neighbors["query_id"].unique().to_pylist())
    answered = set(neighbors["neighbor_id"].unique().to_pylist())
    differing = (set(known) ^ set(embedded)) | ((asked | answered) - set(known))
    # Without a lowest score, a clip has a neighbor wherever there is another group.
    lowest = b"min_score" in (neighbors.schema.metadata or {})
    if not lowest and len(embeddings["group"].unique()) > 1:
        differing |= set(known) - asked
    if differing:
        raise PublishedError(
            "expected the same clips in embeddings, neighbors and clips; "
            f"{len(differing)} differ, {min(differing)} among them"
        )


def check_model_id(embeddings: pa.Table, neighbors: pa.Table, model_id: str) -> None:
    """Raises PublishedError unless both tables were made with the model."""
    of_neighbors = (neighbors.schema.metadata or {}).get(b"model_id", b"").decode()
    for found in {*embeddings["model_id"].unique().to_pylist(), of_neighbors}:
        if found != model_id:
            raise PublishedError(
                f"model_id: expected {model_id} in embeddings and neighbors; got {found!r}"
            )


def check_scores(embeddings: pa.Table, neighbors: pa.Table) -> None:
    """Raises PublishedError unless every score is the cosine of its two vectors.

    Nor may a clip be its own neighbor, and no score may be higher than the one before it.

    Args:
      embeddings: each clip once.
      neighbors: sorted by query_id and rank, of the same clips.
    """
    flat = embeddings["embedding"].combine_chunks().flatten().to_numpy()
    vectors = flat.reshape(embeddings.num_rows, -1)
    ids = embeddings["clip_id"].combine_chunks()
    query, neighbor = (
        pc.index_in(neighbors[column], value_set=ids).to_numpy()
        for column in ("query_id", "neighbor_id")
    )
    scores = neighbors["score"].to_numpy()
    rising = (np.diff(scores, prepend=np.inf) > 0) & (np.diff(query, prepend=-1) == 0)
    wrong = (query == neighbor) | rising
    for start in range(0, len(scores), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        cosines = np.einsum("nd,nd->n", vectors[query[rows]], vectors[neighbor[rows]])
        wrong[rows] |= ~(np.abs(cosines - scores[rows]) <= _TOLERANCE)
    if wrong.any():
        row = neighbors.slice(int(np.argmax(wrong)), 1).to_pylist()[0]
        raise PublishedError(
            f"neighbors: expected cosines of the embeddings, falling by rank; {wrong.sum()} of "
            f"{len(wrong)} rows are not, {row} among them"
        )
