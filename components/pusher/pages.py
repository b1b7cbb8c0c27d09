"""What people look at in a version: the model card and the gallery."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from components import published
from components.pusher import gallery, gallery_data, model_card, projection

_GALLERY_FILE = "gallery/index.html"
#: Of the map.
_SEED = 0


def write_pages(
    staged: published.Published,
    folder: Path,
    *,
    evaluation_dir: str,
    previews_dir: str,
    lineage: Mapping[str, int],
) -> None:
    """Writes both.

    Args:
      staged: the version, whose tables can be read.
      folder: of the version.
      evaluation_dir: with the plots, PNG files; their names say what they show.
      previews_dir: with Parquet files of `clip_id` and `preview`.
      lineage: ids of the artifacts in ML Metadata, by what they are.
    """
    with staged.local(published.CLIPS_FILE) as path:
        clips = pq.read_table(path)
    card = model_card.write_model_card(staged.manifest, clips.to_pylist(), lineage)
    (folder / published.MODEL_CARD_FILE).write_text(card, encoding="utf-8")
    with staged.local(published.NEIGHBORS_FILE) as path:
        neighbors = pq.read_table(path)
    embeddings = staged.embeddings()  # sorted by clip_id, as the clips are
    positions, method = projection.place(embeddings.vectors, _SEED)
    page = folder / _GALLERY_FILE
    page.parent.mkdir()
    gallery.write_gallery(
        page,
        staged.manifest,
        gallery_data.Clips(
            *(
                clips[name].to_pylist()
                for name in ("clip_id", "class_name", "group", "split", "duration_sec")
            )
        ),
        gallery_data.Neighbors(
            *(neighbors[name].to_pylist() for name in ("query_id", "rank", "neighbor_id", "score"))
        ),
        positions,
        _previews(previews_dir),
        {
            path.stem.replace("_", " ").capitalize(): path.read_bytes()
            for path in sorted(Path(evaluation_dir).glob("*.png"))
        },
        card,
        method=method,
    )


def _previews(folder: str) -> dict[str, bytes]:
    previews: dict[str, bytes] = {}
    for path in sorted(Path(folder).glob("*.parquet")):
        table = pq.read_table(path)
        previews.update(
            zip(table["clip_id"].to_pylist(), table["preview"].to_pylist(), strict=True)
        )
    return previews
