"""Pictures a person looks at, as PNG files in memory.

They hold for ten classes and for a hundred. Colors are those of Okabe and Ito (Color universal
design, 2008), which people with color blindness can tell apart, with a darker yellow for white
paper; they never speak alone. Figures are made without pyplot, whose state threads would share.
"""

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

_DPI = 100
_BLUE, _VERMILLION, _GREEN, _GRAY = "#0072B2", "#D55E00", "#009E73", "#5A5A5A"
#: Of classes in a map; see `embedding_map`.
COLORS = (_BLUE, "#E69F00", _GREEN, "#CC79A7", "#56B4E9", _VERMILLION, "#8C6D00", "#000000")
MARKERS = "osD^vP*X<>hpd"

#: Up to so many classes there is room for large letters, and for the counts in a matrix.
_FEW_CLASSES = 20
_MAX_NAME = 26
#: Clips in a map, at the most: more hide each other, and t-SNE takes long.
MAX_MAP_CLIPS = 2000
#: Fewer clips than this have too few neighbors for t-SNE, whose perplexity is 5 or more.
_MIN_TSNE_CLIPS = 16


def learning_curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draws loss, accuracy and learning rate over the epochs.

    Args:
      history: a row for each epoch: `epoch` from 1 and, as far as they are known, `loss`,
        `accuracy`, `eval_loss`, `eval_accuracy`, `learning_rate`.

    Raises:
      ValueError: no epochs.
    """
    if not history:
        raise ValueError("history: expected at least one epoch; got none")
    figure = Figure(figsize=(14, 4.2), layout="constrained")
    panels = (
        ("Loss", {"loss": "train", "eval_loss": "eval"}),
        ("Accuracy", {"accuracy": "train", "eval_accuracy": "eval"}),
        ("Learning rate", {"learning_rate": ""}),
    )
    first, last = history[0]["epoch"], history[-1]["epoch"]
    for axes, (name, series) in zip(figure.subplots(1, 3), panels, strict=True):
        _draw_series(axes, history, series)
        axes.set(title=name, xlabel="epoch", xlim=(first - 0.5, last + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    accuracy, rate = figure.axes[1:]
    accuracy.set_ylim(-0.02, 1.02)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    rate.set_ylim(bottom=0)
    title = f"Training: epochs {first} to {last}"
    if losses := _finite(history, "eval_loss"):
        best = min(losses, key=lambda epoch: (losses[epoch], -epoch))  # of equal ones, the last
        for axes in figure.axes:
            axes.axvline(best, color=_GRAY, linestyle=":", linewidth=1, zorder=0)
        title += f"; the eval loss is lowest after epoch {best} (dotted)"
    figure.suptitle(title)
    return _png(figure)


def confusion_matrix(true: Sequence[str], predicted: Sequence[str], title: str) -> bytes:
    """Draws how often each class is taken for each.

    Args:
      true: [n], the classes of the clips.
      predicted: [n], what they are taken for.
      title: what the picture shows.

    Raises:
      ValueError: no clips, or lengths differ.
    """
    if not len(true) or len(true) != len(predicted):
        raise ValueError(f"predicted: expected {len(true) or 'some'}; got {len(predicted)}")
    names, codes = np.unique([*true, *predicted], return_inverse=True)
    rows, columns = np.split(codes, 2)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (rows, columns), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(names) <= _FEW_CLASSES
    side = (0.5 if few else 0.15) * len(names) + 3.2
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    # A small share is to be seen too: of a hundred classes, each may be taken for several.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    labels, size = [_plain(name) for name in names], 10 if few else 7
    axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), labels, fontsize=size)
    axes.set(xlabel="taken for", ylabel="class of the clip")
    if few:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.35 else "black"
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    else:
        axes.grid(color="#E0E0E0", linewidth=0.3)
    percent, label = PercentFormatter(1), "share of the class's clips"
    figure.colorbar(image, ax=axes, shrink=0.6, fraction=0.03, format=percent, label=label)
    right = int((rows == columns).sum())
    figure.suptitle(f"{_plain(title, 80)}\n{right} of {len(true)} clips right", fontsize=11)
    return _png(figure)


def recall_by_class(recall: Mapping[str, float], counts: Mapping[str, int]) -> bytes:
    """Draws each class's recall@1, the worst class at the top.

    Args:
      recall: recall@1 in [0, 1] by class.
      counts: how many queries each class has.

    Raises:
      ValueError: no classes, or the two are not of the same classes.
    """
    if not recall or recall.keys() != counts.keys():
        raise ValueError(f"counts: expected classes {sorted(recall)}; got {sorted(counts)}")
    names = sorted(recall, key=lambda name: (-recall[name], name))  # bars are drawn upwards
    few = len(names) <= _FEW_CLASSES
    figure = Figure(figsize=(9, (0.32 if few else 0.17) * len(names) + 1.6), layout="constrained")
    axes = figure.subplots()
    places, values, size = range(len(names)), [recall[name] for name in names], 10 if few else 7
    axes.barh(places, values, color=_BLUE, height=0.75)
    axes.set_yticks(places, [f"{_plain(name)} ({counts[name]})" for name in names], fontsize=size)
    for place, value in zip(places, values, strict=True):
        axes.text(1.08, place, f"{value:.0%}", ha="right", va="center", fontsize=size)
    total = sum(counts.values())
    mean = sum(recall[name] * counts[name] for name in names) / max(total, 1)
    axes.axvline(mean, color=_VERMILLION, linestyle="--", linewidth=1.5)
    axes.set(xlim=(0, 1.09), ylim=(-0.6, len(names) - 0.4), ylabel="class (clips)")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("recall@1: share of the clips whose first neighbor is of their class")
    axes.set_title(f"Recall by class; {mean:.1%} of all {total} clips (dashed)", fontsize=11)
    return _png(figure)


def embedding_map(vectors: np.ndarray, class_names: Sequence[str], seed: int) -> bytes:
    """Draws a map on which clips of similar embeddings lie together.

    By t-SNE on cosine distances (van der Maaten and Hinton, Visualizing data using t-SNE, 2008);
    where there are too few clips for it, or all are in one place, by principal components.

    Args:
      vectors: float32 [n, d].
      class_names: [n].
      seed: of the places, and of the `MAX_MAP_CLIPS` clips that are shown where there are more.

    Raises:
      ValueError: no clips, or shapes that do not fit.
    """
    if vectors.ndim != 2 or not len(vectors) or len(vectors) != len(class_names):
        raise ValueError(f"vectors: expected shape ({len(class_names)}, d); got {vectors.shape}")
    drawn = np.arange(len(vectors))
    if len(vectors) > MAX_MAP_CLIPS:
        drawn = np.random.default_rng(seed).choice(drawn, MAX_MAP_CLIPS, replace=False)
    classes = np.array(class_names)[drawn]
    places, method = project(vectors[drawn], seed)
    names = np.unique(classes)
    columns = math.ceil(len(names) / 34)  # of the legend
    figure = Figure(figsize=(9 + 2.2 * columns, 9), layout="constrained")
    axes = figure.subplots()
    # 8 colors and 13 shapes, in turn each: 104 looks before one comes again.
    styles = itertools.cycle(COLORS), itertools.cycle(MARKERS)
    for name, color, marker in zip(names, *styles, strict=False):
        x, y = places[classes == name].T
        axes.scatter(x, y, s=26, marker=marker, color=color, alpha=0.75, linewidths=0)
    labels = [_plain(name) for name in names]
    figure.legend(axes.collections, labels, loc="outside right upper", ncols=columns, fontsize=8)
    _name_compact_classes(axes, places, classes)
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    shown = f"{len(drawn)} clips" + f" of {len(vectors)}" * (len(drawn) < len(vectors))
    axes.set_title(f"Embeddings of {shown}, by class; near is similar ({method})", fontsize=11)
    return _png(figure)


def example_neighbors(
    queries: np.ndarray,
    neighbors: np.ndarray,
    query_titles: Sequence[str],
    neighbor_titles: Sequence[Sequence[str]],
    hits: np.ndarray,
) -> bytes:
    """Draws clips and what is recommended for them, right or wrong.

    Args:
      queries: uint8 [q, h, w, 3], a frame of each.
      neighbors: uint8 [q, k, h, w, 3], by falling similarity.
      query_titles: [q].
      neighbor_titles: [q][k].
      hits: bool [q, k], whether a neighbor is of its query's class.

    Raises:
      ValueError: nothing to draw, or shapes that do not fit.
    """
    if hits.ndim != 2 or not hits.size:
        raise ValueError(f"hits: expected shape (q, k), not empty; got {hits.shape}")
    q, k = hits.shape
    found = queries.shape, neighbors.shape
    if queries.ndim != 4 or found != ((q, *queries.shape[1:]), (q, k, *queries.shape[1:])):
        raise ValueError(
            f"queries, neighbors: expected ({q}, h, w, 3), ({q}, {k}, h, w, 3); got {found}"
        )
    if (titles := (len(query_titles), [len(row) for row in neighbor_titles])) != (q, [k] * q):
        raise ValueError(f"titles: expected those of {q} clips with {k} neighbors; got {titles}")
    figure = Figure(figsize=(1.9 * (k + 1), 2.15 * q + 0.6), layout="constrained")
    grid = figure.subplots(q, k + 1, squeeze=False)
    for row in range(q):
        _draw_frame(grid[row, 0], queries[row], _plain(query_titles[row], 20), "black", "-")
        for rank in range(k):
            hit = hits[row, rank]
            mark, color, line = ("\u2713", _BLUE, "-") if hit else ("\u2717", _VERMILLION, "--")
            title = f"{mark} {_plain(neighbor_titles[row][rank], 18)}"
            _draw_frame(grid[row, rank + 1], neighbors[row, rank], title, color, line)
    figure.suptitle(
        f"Left: clips; beside them: their {k} nearest neighbors, best first\n"
        f"{int(hits.sum())} of {hits.size} of the same class (\u2713 solid), others \u2717 dashed",
        fontsize=10,
    )
    return _png(figure)


def _finite(history: Sequence[Mapping[str, Any]], key: str) -> dict[int, float]:
    """Returns a figure by epoch, where it is known and finite."""
    values = {row["epoch"]: row.get(key) for row in history}
    return {e: value for e, value in values.items() if value is not None and math.isfinite(value)}


def _draw_series(axes: Axes, history: Sequence[Mapping[str, Any]], series: dict[str, str]) -> None:
    looks = ((_BLUE, "o-"), (_VERMILLION, "s--"))  # a lone epoch is a dot, and no line
    for (key, label), (color, look) in zip(series.items(), looks, strict=False):
        found = _finite(history, key)
        axes.plot([*found], [*found.values()], look, color=color, markersize=4, label=label)
    axes.grid(color="#E0E0E0", linewidth=0.6)
    if len(series) > 1:
        axes.legend(frameon=False)


def project(vectors: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Places vectors [n, d] on a plane; returns float [n, 2] and the method's name."""
    centered = vectors.astype(np.float64) - vectors.mean(axis=0)
    left, scales, _ = np.linalg.svd(centered, full_matrices=False)
    principal = np.zeros((len(vectors), 2))
    known = min(2, len(scales))
    principal[:, :known] = (left * scales)[:, :known]
    spread = principal[:, 0].std()
    if len(vectors) < _MIN_TSNE_CLIPS or spread < 1e-6:
        return principal, "principal components"
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    # Small starting places, in the shape of the principal components, keep the map's large order.
    start = (principal / spread * 1e-4).astype(np.float32)
    tsne = TSNE(metric="cosine", perplexity=perplexity, init=start, random_state=seed)
    # One thread adds up in one order; several wait long for each other where cores are busy.
    with threadpool_limits(1, user_api="openmp"):
        return tsne.fit_transform(vectors), "t-SNE"


def _name_compact_classes(axes: Axes, places: np.ndarray, classes: np.ndarray) -> None:
    """Writes the name of each class half of whose clips lie together to where they do."""
    names = np.unique(classes)
    reach = min(0.12, 0.5 / math.sqrt(len(names))) * max(np.ptp(places, axis=0).max(), 1e-6)
    for name in names:
        own = places[classes == name]
        middle = np.median(own, axis=0)
        if len(own) >= 3 and np.median(np.linalg.norm(own - middle, axis=1)) < reach:
            outline = [withStroke(linewidth=2, foreground="white")]
            axes.text(*middle, _plain(name), fontsize=8, ha="center", path_effects=outline)


def _draw_frame(axes: Axes, frame: np.ndarray, title: str, color: str, line: str) -> None:
    axes.imshow(frame)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, color=color)
    for spine in axes.spines.values():
        spine.set(color=color, linestyle=line, linewidth=3)


def _plain(text: str, longest: int = _MAX_NAME) -> str:
    """Returns text that matplotlib shows as it is, shortened; `$` and a first `_` mean things."""
    short = text if len(text) <= longest else f"{text[: longest - 1]}\u2026"
    return ("\u200a" if short.startswith("_") else "") + short.replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # "tight": long names are never cut off.
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.1)
    return buffer.getvalue()
