"""What `recommend.py` prints: neighbors as a table, JSON lines or CSV; the versions there are."""

import csv
import json
import sys

from components import published
from pipeline import console

#: The first is for people. jsonl: an object a query; csv: a row a neighbor, under a header.
FORMATS = ("table", "jsonl", "csv")

_ROW = ("query", "version", *published.Recommendation._fields)


def show(
    version: int, answers: dict[str, list[published.Recommendation]], output_format: str
) -> None:
    """Prints the neighbors of each query.

    Args:
      version: that was asked.
      answers: neighbors by query.
      output_format: one of FORMATS.
    """
    if output_format == "jsonl":
        for query, found in answers.items():
            neighbors = [recommendation._asdict() for recommendation in found]
            print(json.dumps({"query": query, "version": version, "neighbors": neighbors}))
    elif output_format == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(_ROW)
        for query, found in answers.items():
            writer.writerows((query, version, *recommendation) for recommendation in found)
    else:
        for query, found in answers.items():
            _show_table(version, query, found)


def show_versions(push_dir: str) -> None:
    """Prints a row for each version, the oldest first."""
    live = published.current_version(push_dir)
    rows = []
    for number in published.list_versions(push_dir):
        with published.open_published(push_dir, number) as version:
            manifest = version.manifest
        size = sum(facts["bytes"] for facts in manifest.files.values())
        recall = manifest.metrics.get("recall", {}).get("1")
        rows.append(
            (
                str(number),
                "live" if number == live else "",
                manifest.created,
                "-" if manifest.parent is None else str(manifest.parent),
                "-" if recall is None else f"{recall:.3f}",
                f"{size / 1e6:.1f}",
                manifest.model_id,
            )
        )
    if not rows:
        raise published.PublishedError(f"push_dir: expected published versions; none in {push_dir}")
    header = ("version", "", "created", "parent", "recall@1", "MB", "model")
    console.print_table(console.make_console(sys.stdout), header, rows)


def _show_table(version: int, query: str, found: list[published.Recommendation]) -> None:
    screen = console.make_console(sys.stdout)
    header = ("rank", "score", "clip", "class")
    rows = [(str(r.rank), f"{r.score:.4f}", r.clip_id, r.class_name) for r in found]
    screen.print(f"Like {query}, by version {version}:", markup=False)
    console.print_table(screen, header, rows)
