"""The gallery: one page, of one file, on which a person looks at a version.

`page/` holds its template, its style and its program; all of them and the data go into the one
file, so that it works without a server, and its content security policy forbids every request.
"""

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import numpy as np

from components.published import Manifest
from components.pusher import gallery_data
from components.pusher.gallery_data import Clips, Neighbors

#: Bytes of the page, at the most; previews are left out to keep to it.
MAX_BYTES = 72_000_000
#: Clips whose previews are parsed together, when one of them is looked at.
_CLIPS_PER_CHUNK = 100
#: In the order in which they are put together: later ones use earlier ones.
_STYLES = ("style.css", "pages.css")
_SCRIPTS = (
    "dom.js",
    "library.js",
    "previews.js",
    "markdown.js",
    "grid.js",
    "clips_view.js",
    "clip_view.js",
    "map_plot.js",
    "map_view.js",
    "confusion.js",
    "figures_view.js",
    "app.js",
)
_METRICS = (
    "accuracy",
    "accuracy_per_class",
    "recall",
    "map_at_10",
    "recall_at_1_per_class",
    "intervals",
    "num_queries",
    "num_gallery",
)
_FACTS = ("version", "created", "model_id")
_PICTURES = {b"\x89PNG": "image/png", b"<svg": "image/svg+xml", b"<?xm": "image/svg+xml"}


def write_gallery(
    path: str | os.PathLike,
    version: Manifest,
    clips: Clips,
    neighbors: Neighbors,
    positions: np.ndarray,
    previews: Mapping[str, bytes],
    plots: Mapping[str, bytes],
    model_card: str,
    *,
    method: str = "",
    max_bytes: int = MAX_BYTES,
) -> None:
    """Writes the page, the same bytes for the same input.

    Args:
      path: of the file.
      version: its manifest; `files` and `config` are not shown.
      clips: of the library.
      neighbors: the table.
      positions: float [n, 2], of the clips on the map.
      previews: WebP strips of square frames by clip id; clips may have none.
      plots: PNG or SVG pictures by what they show, in the order of the page.
      model_card: Markdown, as `model_card.write_model_card` makes it.
      method: how `positions` were found, for people.
      max_bytes: of the file. If the previews are too many, as many of each class in turn are
        kept as fit, and the page says so.

    Raises:
      ValueError: the parts do not fit together, a picture is of another format, or the page has
        more than `max_bytes` without any preview.
    """
    about = _about(version, method)
    data = b"".join(
        (
            _block("library", gallery_data.library(clips, positions)),
            _block("neighbors", gallery_data.neighbor_table(clips, neighbors)),
            _block("plots", {name: _picture(name, plot) for name, plot in plots.items()}),
            _block("card", model_card),
        )
    )
    head, tail = _frame()
    # As if all previews were kept: no other number of them is longer.
    room = max_bytes - len(_block("about", about | {"num_previews": len(clips.ids)}))
    room -= len(head) + len(data) + len(tail)
    if room < 0:
        raise ValueError(f"max_bytes: expected {max_bytes - room} or more; got {max_bytes}")
    kept = gallery_data.choose_previews(clips, previews, room, _CLIPS_PER_CHUNK)
    about["num_previews"] = len(kept)
    with open(path, "wb") as file:
        file.write(head.replace(b"<!--data-->", _block("about", about) + data))
        file.writelines(_preview_blocks(clips, kept))
        file.write(tail)


def _about(version: Manifest, method: str) -> dict[str, Any]:
    """Returns what the page tells of the version, and how it is to be read."""
    facts = {name: getattr(version, name) for name in _FACTS}
    metrics = {name: _finite(version.metrics[name]) for name in _METRICS if name in version.metrics}
    return facts | {"metrics": metrics, "method": method, "clips_per_chunk": _CLIPS_PER_CHUNK}


def _frame() -> tuple[bytes, bytes]:
    """Returns what comes before the previews, with a mark for the other data, and after them."""
    style = "".join(_read(name) for name in _STYLES)
    script = "\n".join(['(() => {\n"use strict";', *map(_read, _SCRIPTS), "})();\n"])
    page = _read("index.html")
    parts = {"style-hash": _digest(style), "script-hash": _digest(script)}
    for name, text in (parts | {"style": style, "script": script}).items():
        page = page.replace(f"<!--{name}-->", text)
    head, tail = page.split("<!--previews-->")
    return head.encode(), tail.encode()


def _read(name: str) -> str:
    return (resources.files("components.pusher") / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Returns a source expression for exactly this text (Content Security Policy 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _block(name: str, value: Any) -> bytes:
    """Returns data that nothing in it can end: `<` is escaped, as are lone surrogates."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'.encode()


def _finite(value: Any) -> Any:
    """Returns `value` with None for what is no number: JSON has no other way to say it."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _preview_blocks(clips: Clips, kept: Mapping[str, bytes]) -> Iterator[bytes]:
    for start in range(0, len(clips.ids), _CLIPS_PER_CHUNK):
        names = clips.ids[start : start + _CLIPS_PER_CHUNK]
        strips = [base64.b64encode(kept[name]).decode() if name in kept else 0 for name in names]
        yield _block(f"previews-{start // _CLIPS_PER_CHUNK}", strips)


def _picture(name: str, content: bytes) -> str:
    kind = _PICTURES.get(content[:4])
    if kind is None:
        raise ValueError(f"plots: expected PNG or SVG; {name} begins with {content[:4]!r}")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
