"""Libraries for the gallery, of which every place, neighbor and frame is known."""

import functools
import time
from pathlib import Path
from typing import Any

import numpy as np

from components.clip_example_gen import previews
from components.published import FORMAT, Manifest
from components.pusher import gallery, gallery_data

NAMES = ("Archery", "Bowling", "Diving", "Fencing")
#: Names that would be HTML, end a block of data, or mean something to addresses and Markdown.
ODD_NAMES = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"double\" & 'single' = #/map?class=%41+\\",
    "<!-- <script>",
    "",
    "\u202eright to left \U0001f3ac \u2028",
)
#: Gray levels of the frames of every strip.
LEVELS = tuple(range(20, 240, 30))


@functools.cache
def strip(seed: int = 0) -> bytes:
    """Returns a strip of frames in the gray LEVELS, with a speck that tells seeds apart."""
    frames = np.repeat(np.array(LEVELS, np.uint8), 64 * 64 * 3).reshape(-1, 64, 64, 3).copy()
    frames[:, :8, :8] = np.random.default_rng(seed).integers(0, 256, 3)
    return previews.strip(frames)


def make(count: int = 24, names: tuple[str, ...] = NAMES, k: int = 5) -> dict[str, Any]:
    """Returns the arguments of `write_gallery` but `path`; class i % len(names) for clip i.

    Clip i's neighbors are i + 1, i + 2, ... with falling scores; clip 0 is alone in the upper
    right corner of the map, clip 1 in the lower left.
    """
    classes = [names[i % len(names)] for i in range(count)]
    ids = [f"v_{name[:40]}_{i:05d}" for i, name in enumerate(classes)]
    rows = [(i, rank, (i + rank) % count) for i in range(count) for rank in range(1, k + 1)]
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * np.array([i % len(names) for i in range(count)]) / len(names)
    middles = 0.5 + 0.25 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    positions = np.clip(middles + rng.normal(scale=0.03, size=(count, 2)), 0.1, 0.9)
    positions[:2] = [(1, 1), (0, 0)][:count]
    return {
        "version": _manifest(names),
        "clips": gallery_data.Clips(
            ids=ids,
            classes=classes,
            groups=[f"{name}_g{i % 3}" for i, name in enumerate(classes)],
            splits=[("train", "eval", "test")[i % 3] for i in range(count)],
            durations=[1.5 + i / 4 for i in range(count)],
        ),
        "neighbors": gallery_data.Neighbors(
            queries=[ids[i] for i, _, _ in rows],
            ranks=[rank for _, rank, _ in rows],
            neighbors=[ids[other] for _, _, other in rows],
            scores=[1 - 0.05 * rank for _, rank, _ in rows],
        ),
        "positions": positions.astype(np.float32),
        "previews": {name: strip(i % 16) for i, name in enumerate(ids)},
        "plots": {"A plot": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'},
        "model_card": "# Version 7\n\nMade \\*here\\* with `code <b>`.\n\n"
        "| class | clips |\n| --- | --- |\n| a\\|b \\<i\\> | 3 |\n",
        "method": "circles",
    }


def _manifest(names: tuple[str, ...]) -> Manifest:
    share = {name: 0.5 + 0.4 * i / len(names) for i, name in enumerate(names)}
    metrics = {
        "accuracy": 0.75,
        "accuracy_per_class": share,
        "num_queries": 8,
        "num_gallery": 16,
        "recall": {"1": 0.625, "5": 0.875},
        "map_at_10": 0.7,
        "recall_at_1_per_class": share,
        "intervals": {"level": 0.95, "recall": {"1": [0.5, 0.75], "5": [0.8, 0.95]}},
    }
    return Manifest(
        format=FORMAT,
        version=7,
        parent=6,
        created="2026-01-02T03:04:05+00:00",
        model_id="0123456789abcdef",
        config={"source": "secret-folder"},
        metrics=metrics,
        data_fingerprint="data",
        run_fingerprint="run",
        files={},
    )


def until(page: Any, expression: str) -> None:
    """Waits until a JavaScript expression holds, asking from outside: the page forbids `eval`."""
    deadline = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def write(folder: Path, name: str, **options: Any) -> tuple[Path, dict[str, Any]]:
    """Writes a page; returns its path and what it was made of."""
    parts = make(**options)
    path = folder / f"{name}.html"
    gallery.write_gallery(path, **parts)
    return path, parts
