"""Model card and gallery, of a real version, as the Pusher has them written."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import published
from components.clip_example_gen import previews
from components.pusher import pages
from tests.published_library import clip_names, make_inputs, publish_next

PNG = b"\x89PNG\r\n\x1a\n"


def write_pages(tmp_path, previews_dir):
    """Publishes and writes pages beside; returns the gallery's blocks of data, and the card."""
    push_dir, folder = tmp_path / "out", tmp_path / "pages"
    folder.mkdir()
    publish_next(push_dir, **make_inputs(tmp_path / "in"))
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "recall_by_class.png").write_bytes(PNG)
    (tmp_path / "evaluation" / "retrieval.json").write_text("{}")
    with published.open_published(push_dir) as staged:
        pages.write_pages(
            staged,
            folder,
            evaluation_dir=str(tmp_path / "evaluation"),
            previews_dir=str(previews_dir),
            lineage={"model": 17},
        )
    page = (folder / "gallery" / "index.html").read_text()
    pattern = r'<script type="application/json" id="([\w-]+)">(.*?)</script>'
    blocks = {name: json.loads(text) for name, text in re.findall(pattern, page)}
    return blocks, (folder / "model_card.md").read_text()


def test_pages_show_the_version(tmp_path):
    """Clips, neighbors, previews, plots by their names, and the card with its lineage."""
    ids = sorted(clip_names(12))
    strip = previews.strip(np.zeros((3, 16, 16, 3), np.uint8))
    (tmp_path / "previews").mkdir()
    for part, some in enumerate((ids[:5], ids[5:11])):
        table = pa.table({"clip_id": some, "preview": [strip] * len(some)})
        pq.write_table(table, tmp_path / "previews" / f"{part}.parquet")
    blocks, card = write_pages(tmp_path, tmp_path / "previews")
    assert blocks["library"]["ids"] == ids
    assert set(blocks["library"]["durations"]) == {2.5}
    with published.open_published(tmp_path / "out") as live:
        recommended = [found.clip_id for found in live.recommend(ids[0])]
    assert [ids[i] for i in blocks["neighbors"]["neighbors"][0]] == recommended
    assert blocks["about"]["version"] == 1 and blocks["about"]["num_previews"] == 11
    assert [bool(strip) for strip in blocks["previews-0"]] == [True] * 11 + [False]
    assert list(blocks["plots"]) == ["Recall by class"]
    assert blocks["card"] == card and "| model | 17 |" in card


def test_pages_without_previews(tmp_path):
    """Examples of an earlier ClipExampleGen have none; the page does without."""
    blocks, _ = write_pages(tmp_path, tmp_path / "nowhere")
    assert blocks["about"]["num_previews"] == 0 and len(blocks["library"]["ids"]) == 12
