"""The table of benchmarks/retrieval.py: systems, their figures, and those that were published."""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

RANKS = ("1", "5", "10", "20", "50")

#: UCF101's split 1: classes, clips of the training list, clips of the test list.
UCF101_SPLIT_1 = (101, 9537, 3783)


class Figure(NamedTuple):
    """A published recall@1 on it, in percent, and where it was published."""

    system: str
    recall_at_1: float
    source: str


_XU = (
    "Xu et al., Self-Supervised Spatiotemporal Learning via Video Clip Order Prediction, CVPR 2019"
)
PUBLISHED = (
    Figure("R3D, random weights", 9.9, _XU),
    Figure("VCOP", 14.1, _XU),
    Figure(
        "IIC",
        42.4,
        "Tao et al., Self-Supervised Video Representation Learning Using Inter-Intra Contrastive "
        "Framework, ACM Multimedia 2020",
    ),
    Figure(
        "TCLR",
        56.1,
        "Dave et al., TCLR: Temporal Contrastive Learning for Video Representation, CVIU 2022",
    ),
    Figure(
        "ViCC",
        62.1,
        "Toering et al., Self-Supervised Video Representation Learning with Cross-Stream "
        "Prototypical Contrasting, WACV 2022",
    ),
)


class Row(NamedTuple):
    """A system's figures.

    Attributes:
      system, split, seed: as they are shown.
      figures: as in retrieval.json: `recall` by rank, `map_at_10`, `intervals` or None.
    """

    system: str
    split: str
    seed: str
    figures: dict[str, Any]

    def cells(self) -> list[str]:
        """Returns the row of the table; figures in percent."""
        bounds = self.figures.get("intervals") or {"recall": {}, "map_at_10": None}
        recall = self.figures["recall"]
        found = [_percent(recall.get(rank), bounds["recall"].get(rank)) for rank in RANKS]
        map_at_10 = _percent(self.figures.get("map_at_10"), bounds["map_at_10"])
        return [self.system, self.split, self.seed, *found, map_at_10]


COLUMNS = ("system", "split", "seed", *(f"recall@{rank}" for rank in RANKS), "mAP@10")


def _percent(value: float | None, bounds: Sequence[float] | None) -> str:
    if value is None:
        return ""
    shown = f"{100 * value:.1f}"
    return f"{shown} ({100 * bounds[0]:.1f}-{100 * bounds[1]:.1f})" if bounds else shown


def mean_row(rows: Sequence[Row]) -> Row:
    """Returns the mean of all rows of one system."""
    every = [row.figures for row in rows]
    figures = {
        "recall": {r: statistics.fmean(one["recall"][r] for one in every) for r in RANKS},
        "map_at_10": statistics.fmean(one["map_at_10"] for one in every),
    }
    return Row(f"{rows[0].system}, mean of {len(rows)}", "", "", figures)


def all_rows(systems: Iterable[Sequence[Row]]) -> list[Row]:
    """Returns the rows of all systems, their means where there are several, and published ones."""
    every = [list(rows) for rows in systems]
    return [
        *itertools.chain.from_iterable(every),
        *(mean_row(rows) for rows in every if len(rows) > 1),
        *(
            Row(each.system, "ucf101-1", "", {"recall": {"1": each.recall_at_1 / 100}})
            for each in PUBLISHED
        ),
    ]


def sources() -> list[str]:
    """Returns a line for each published figure: where it is from."""
    return [f"{figure.system}: {figure.source}" for figure in PUBLISHED]


def comparability(split: str, report: dict[str, Any]) -> str:
    """Says whether the figures of `report`, a model's part of retrieval.json, compare with those.

    A clip in a hundred may be missing: files with the same bytes are kept once.
    """
    found = (
        len(report["recall_at_1_per_class"]),
        report["num_gallery"],
        report["num_queries"],
    )
    classes, *counts = UCF101_SPLIT_1
    whole = found[0] == classes and all(
        0.99 * expected <= count <= expected
        for count, expected in zip(found[1:], counts, strict=True)
    )
    if split == "ucf101-1" and whole:
        return (
            "The published networks but the first were pretrained on these clips without their "
            "labels; this pipeline trains with them."
        )
    return (
        "NOT comparable with the published figures: they are of UCF101's split 1, "
        f"{classes} classes, {counts[1]:,} queries in {counts[0]:,} clips, and their networks "
        f"learned without labels; this is {split} of a library of {found[0]} classes, "
        f"{found[2]:,} queries in {found[1]:,} clips."
    )
