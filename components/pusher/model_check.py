"""Asks the staged model, before anybody else may."""

from collections.abc import Sequence

import numpy as np

from components import embedder, published

#: The lowest cosine of a clip's published vector and that of the published model, in float32 by
#: TensorFlow: what a faster engine's rounding (bfloat16) may cost.
_MIN_COSINE = 0.99


def check_model(staged: published.Published, examples: Sequence[bytes]) -> None:
    """Loads the model of a version and embeds some of the version's clips with it.

    Args:
      staged: the version.
      examples: serialized Examples of clips of the version.

    Raises:
      PublishedError: a clip is missing, or its vector is another than in the embeddings.
      ValueError: the model does not load or does not embed.
    """
    with staged.local(published.MODEL_DIR) as folder:
        asked = embedder.Embedder(str(folder)).embed(examples)
    library = staged.embeddings()
    for clip_id, vector in zip(asked.clip_ids, asked.vectors, strict=True):
        row = np.searchsorted(library.clip_ids, clip_id)
        if row == len(library.clip_ids) or library.clip_ids[row] != clip_id:
            raise published.PublishedError(f"embeddings: expected {clip_id}; it is missing")
        cosine = float(library.vectors[row] @ vector)
        if not cosine >= _MIN_COSINE:
            raise published.PublishedError(
                f"model: expected the vector of {clip_id} in the embeddings; its embed signature "
                f"gave one of cosine {cosine:.4f} with it, below {_MIN_COSINE}"
            )
