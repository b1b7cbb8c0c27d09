"""Makes published versions for tests, through the real publisher."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import published
from components.bulk_inferrer import neighbors, tables
from components.pusher import publish

CLASSES = ("Fall", "Rise")


def clip_names(count: int) -> list[str]:
    """Returns ids shaped as UCF101's, two classes in turn."""
    return [f"v_{CLASSES[i % 2]}_g{i // 2 + 1:02d}_c01" for i in range(count)]


def make_inputs(folder: Path, count: int = 12, k: int = 3, seed: int = 0) -> dict:
    """Writes what the stages before Pusher give; returns `publish`'s `parts` and `facts`."""
    names = sorted(clip_names(count))
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    classes = tuple(name.split("_")[1] for name in names)
    for part, rows in enumerate(np.array_split(np.arange(count), 2)):
        shard = tables.EmbeddingTable(
            clip_ids=tuple(names[i] for i in rows),
            class_names=tuple(classes[i] for i in rows),
            groups=tuple(names[i][2:-4] for i in rows),
            splits=("train",) * len(rows),
            vectors=vectors[rows],
            model_id=f"model{seed}",
            example_digests=tuple(f"{seed}-{i}" for i in rows),
            engine="tensorflow",
        )
        (folder / "embeddings").mkdir(parents=True, exist_ok=True)
        tables.write_embeddings(str(folder / "embeddings" / f"{part}.parquet"), shard)
    searcher = neighbors.Searcher(vectors, names, names, neighbors.NeighborOptions(k))
    found = searcher.search(np.arange(count))
    (folder / "neighbors").mkdir()
    tables.write_neighbors(
        str(folder / "neighbors" / "0.parquet"), found, names, {"model_id": f"model{seed}"}
    )
    columns = {"clip_id": names, "class_name": list(classes)}
    columns |= {"group": [name[2:-4] for name in names], "split": ["train"] * count}
    clips = pa.table(columns | {"duration_sec": [2.5] * count})
    pq.write_table(clips, folder / "clips.parquet")
    (folder / "model" / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "saved_model.pb").write_bytes(rng.bytes(2000))
    (folder / "model" / "variables" / "variables.index").write_bytes(rng.bytes(100))
    parts = publish.Parts(
        model_dir=str(folder / "model"),
        embeddings_dir=str(folder / "embeddings"),
        neighbors_dir=str(folder / "neighbors"),
        clips_path=str(folder / "clips.parquet"),
        statistics=b"statistics of %d" % seed,
    )
    facts = publish.Facts(
        model_id=f"model{seed}",
        config={"num_frames": 3, "frame_step": 2, "image_size": 32, "k": k},
        metrics={"accuracy": 0.5, "recall": {"1": 0.25}},
        data_fingerprint="data",
        run_fingerprint=f"run{seed}",
    )
    return {"parts": parts, "facts": facts}


def publish_next(push_dir: Path | str, parts: publish.Parts, facts: publish.Facts, **more) -> int:
    """Publishes after whatever is live."""
    options = {"live_version": published.current_version(push_dir), "keep_versions": 100} | more
    return publish.publish(str(push_dir), parts, facts, **options)
