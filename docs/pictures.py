"""Draws docs/recommendations.jpg: clips of the library beside what is recommended for them.

python docs/pictures.py output/published
"""

import shutil
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from components import published
from components.clip_example_gen import clips

FRAMES, SIZE = 5, 84
NUM_NEIGHBORS = 3
QUERIES = ("v_DriftLeft_g03_c01", "v_Grow_g01_c01", "v_RotateClockwise_g06_c01", "v_Shake_g03_c01")
GAP, CAPTION = 14, 22


def strip(video: Path, caption: str) -> np.ndarray:
    """Returns a clip's frames side by side under a caption, uint8 [h, w, 3] BGR."""
    frames = clips.decode(video, num_frames=FRAMES, frame_step=30, image_size=SIZE).frames
    picture = np.hstack(frames)[..., ::-1]
    header = np.full((CAPTION, picture.shape[1], 3), 255, np.uint8)
    style = (cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    cv2.putText(header, caption, (2, CAPTION - 7), *style)
    return np.vstack([header, picture])


def main(push_dir: str) -> None:
    """Draws."""
    live = published.open_published(push_dir)
    with live.local(published.CLIPS_FILE) as path:
        clips_table = pq.read_table(path).to_pylist()
    members = {row["clip_id"]: row["member"] for row in clips_table}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(clips_table[0]["source"], folder)
        for query in QUERIES:
            rows.append(_row(live, query, {name: Path(folder, members[name]) for name in members}))
    cv2.imwrite(str(Path(__file__).with_name("recommendations.jpg")), np.vstack(rows))


def _row(live: published.Published, query: str, videos: dict[str, Path]) -> np.ndarray:
    """Returns the clip and its neighbors, side by side."""
    found = live.recommend(query, NUM_NEIGHBORS)
    strips = [strip(videos[query], f"{query}:")]
    strips += [strip(videos[r.clip_id], f"{r.score:.3f}  {r.clip_id}") for r in found]
    gap = np.full((strips[0].shape[0], GAP, 3), 255, np.uint8)
    row = np.hstack([part for each in strips for part in (gap, each)] + [gap])
    return np.pad(row, ((GAP // 2, GAP // 2), (0, 0), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main(*sys.argv[1:])
