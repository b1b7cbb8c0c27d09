"""What `recommend.py` prints: neighbors as a table, JSON lines or CSV; the versions there are."""

import contextlib
import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

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


def show_versions(push_dir: str) -> bool:
    """Prints a row for each version, the oldest first; returns whether all could be read.

    A version that cannot be read has a row that says so. Where it cannot be told which one is
    live, a line on stderr says why.
    """
    live, problem = None, ""
    try:
        live = published.current_version(push_dir)
    except published.PublishedError as error:
        problem = str(error)
    versions = published.list_versions(push_dir)
    if not versions:
        none = f"push_dir: expected published versions; none in {push_dir}"
        raise published.PublishedError(problem or none)
    if live is not None and live not in versions:
        problem = f"{push_dir}: {published.CURRENT_FILE} names version {live}, which is not there"
    found = {number: _manifest(push_dir, number) for number in versions}
    rows = [
        (str(number), "live" if number == live else "", *_facts(manifest))
        for number, manifest in found.items()
        if manifest is not None
    ]
    with _screen() as screen:
        header = ("version", "", "created", "parent", "recall@1", "MB", "model")
        console.print_table(screen, header, rows)
    if problem:
        print(f"recommend.py: error: {problem}", file=sys.stderr)
    return not problem and not any(isinstance(each, Exception) for each in found.values())


def _manifest(push_dir: str, number: int) -> published.Manifest | Exception | None:
    """Returns a version's manifest, or why it cannot be read; None if it is gone by now."""
    try:
        with published.open_published(push_dir, number) as version:
            return version.manifest
    except published.UnknownVersionError:
        return None
    except (published.PublishedError, OSError) as error:
        return error


def _facts(found: published.Manifest | Exception) -> tuple[str, ...]:
    """Returns what `show_versions` says of a version."""
    if isinstance(found, Exception):
        return "", "", "", "", f"cannot be read: {found}"  # long, so in the last column
    size = sum(facts["bytes"] for facts in found.files.values())
    recall = found.metrics.get("recall")
    at_1 = recall.get("1") if isinstance(recall, dict) else None
    return (
        found.created,
        "-" if found.parent is None else str(found.parent),
        f"{at_1:.3f}" if isinstance(at_1, (int, float)) else "-",
        f"{size / 1e6:.1f}",
        found.model_id,
    )


def _show_table(version: int, query: str, found: list[published.Recommendation]) -> None:
    header = ("rank", "score", "clip", "class")
    rows = [(str(r.rank), f"{r.score:.4f}", r.clip_id, r.class_name) for r in found]
    with _screen() as screen:
        screen.print(f"Like {query}, by version {version}:", markup=False)
        console.print_table(screen, header, rows)


@contextlib.contextmanager
def _screen() -> Iterator[Any]:
    """Gives a console; writes to stdout what is printed to it."""
    screen = console.make_console(sys.stdout)
    # rich itself, if the reader has gone, would end the process with 1.
    with screen.capture() as captured:
        yield screen
    sys.stdout.write(captured.get())
