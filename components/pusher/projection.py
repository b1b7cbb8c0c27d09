"""Places of all clips on a map."""

import numpy as np

from components import plots

#: Clips that t-SNE places; others go to where the most similar of these are. It keeps a large
#: library's map within half a minute.
MAX_LANDMARKS = 4000
#: Of a clip that is no landmark.
_NEIGHBORS = 3
_ROWS_PER_BLOCK = 2048


def place(vectors: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Places embeddings on a plane, similar ones together.

    Up to MAX_LANDMARKS clips by `plots.project` alone. Of more, it places as many, drawn by
    `seed`; each other clip lies at the mean of its most similar landmarks, weighted by the
    square of their cosines. The same input gives the same map.

    Args:
      vectors: float32 [n, d], unit norm.
      seed: of the landmarks and of t-SNE.

    Returns:
      Places, float32 [n, 2], and the name of the method.

    Raises:
      ValueError: `vectors` is of another shape, or holds none.
    """
    if vectors.ndim != 2 or not vectors.size:
        raise ValueError(f"vectors: expected shape (n, d), not empty; got {vectors.shape}")
    if len(vectors) <= MAX_LANDMARKS:
        places, method = plots.project(vectors, seed)
        return places.astype(np.float32), method
    rng = np.random.default_rng(seed)
    landmarks = np.sort(rng.choice(len(vectors), MAX_LANDMARKS, replace=False))
    known, method = plots.project(vectors[landmarks], seed)
    places = np.empty((len(vectors), 2), np.float32)
    for start in range(0, len(vectors), _ROWS_PER_BLOCK):
        rows = slice(start, start + _ROWS_PER_BLOCK)
        scores = vectors[rows] @ vectors[landmarks].T
        nearest = np.argpartition(-scores, _NEIGHBORS - 1, axis=1)[:, :_NEIGHBORS]
        cosines = np.take_along_axis(scores, nearest, axis=1)
        weights = np.maximum(cosines, 1e-3) ** 2
        shares = weights / weights.sum(axis=1, keepdims=True)
        places[rows] = np.einsum("nk,nkc->nc", shares, known[nearest])
    places[landmarks] = known
    return places, f"{method} of {MAX_LANDMARKS} clips, the others beside them"
