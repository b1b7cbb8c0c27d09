"""Draws docs/recommendations.jpg: clips of the library beside what is recommended for them.

python docs/pictures.py output/published
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from components import published
from components.clip_example_gen import archive, clips

FRAMES, SIZE = 5, 84
NUM_NEIGHBORS = 3
QUERIES = ("v_DriftLeft_g03_c01", "v_Grow_g01_c01", "v_RotateClockwise_g06_c01", "v_Shake_g03_c01")
GAP, CAPTION = 14, 22


def strip(video: bytes, caption: str) -> np.ndarray:
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
    refs = {
        row["clip_id"]: archive.ClipRef(
            row["clip_id"],
            row["class_name"],
            row["group"],
            row["source"],
            row["member"],
            row["size"],
            row["crc32"],
        )
        for row in pq.read_table(live.path / published.CLIPS_FILE).to_pylist()
    }
    source = archive.open_source(next(iter(refs.values())).source)
    rows = []
    for query in QUERIES:
        found = live.recommend(query, NUM_NEIGHBORS)
        strips = [strip(source.read(refs[query]), f"{query}:")] + [
            strip(source.read(refs[r.clip_id]), f"{r.score:.3f}  {r.clip_id}") for r in found
        ]
        gap = np.full((strips[0].shape[0], GAP, 3), 255, np.uint8)
        row = np.hstack([part for each in strips for part in (gap, each)] + [gap])
        rows.append(np.pad(row, ((GAP // 2, GAP // 2), (0, 0), (0, 0)), constant_values=255))
    cv2.imwrite(str(Path(__file__).with_name("recommendations.jpg")), np.vstack(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
