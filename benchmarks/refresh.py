"""What `--refresh` costs when a few clips are new, beside the run that trained.

Runs the pipeline on the sample library, then refreshes, each after more new clips, in the same
output folder. benchmarks/README.md explains the table.
"""

import argparse
import functools
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from measuring import at_least

import sample_library
from pipeline import console
from sample_library.library import CLIPS_PER_GROUP
from sample_library.motions import MOTIONS

ROOT = Path(__file__).resolve().parent.parent
#: Those of the sample library, in the same proportion, with room for clips to come.
_SETTINGS = ("--image-size", "64", "--clips-per-class", "60,20,20")
#: Of no stage: Python's own start, what is imported before, and the end.
_REST = "the rest"
COMPARED = ("stage", "full run, s", "refresh, s")


class Cost(NamedTuple):
    """What a run costs, from its process's start to its end.

    Attributes:
      seconds: by the clock.
      cpu_seconds: of all threads.
      stages: seconds by stage.
    """

    seconds: float
    cpu_seconds: float
    stages: dict[str, float]


def run(output_dir: Path, *arguments: str) -> Cost:
    """Runs local_runner.py; SystemExit with what it said where it publishes nothing."""
    command = [sys.executable, str(ROOT / "local_runner.py"), "--output-dir", str(output_dir)]
    used, started = _cpu_seconds(), time.monotonic()
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode or "\npublished " not in done.stdout:
        raise SystemExit(f"{done.stdout}{done.stderr}\nexpected a run that publishes")
    return Cost(seconds, _cpu_seconds() - used, read_stages(done.stdout))


def read_stages(text: str) -> dict[str, float]:
    """Returns the seconds of each stage, by its name, from what a run prints."""
    found = re.findall(r"^[✓=] (\w+) +(?:done|cached) +([0-9.]+) s", text, re.MULTILINE)
    return {name: float(seconds) for name, seconds in found}


def add_clips(library: Path, count: int, group: int) -> None:
    """Adds a source video's first clip to so many classes of a library."""
    more = sample_library.make_library(
        library.with_suffix(".more.zip"),
        classes=sorted(MOTIONS)[:count],
        clips_per_group={group: 1},
    )
    with zipfile.ZipFile(library, "a") as grown, zipfile.ZipFile(more) as new:
        for member in new.infolist():
            grown.writestr(member, new.read(member))


def make_rows(full: Cost, refreshes: Sequence[Cost]) -> list[tuple[str, str, str]]:
    """Returns a row for each stage, the medians of the refreshes, and their sums."""
    rows = []
    for stage in full.stages:
        of_refresh = [cost.stages[stage] for cost in refreshes if stage in cost.stages]
        shown = f"{statistics.median(of_refresh):.1f}" if of_refresh else ""
        rows.append((stage, f"{full.stages[stage]:.1f}", shown))
    rest = statistics.median(cost.seconds - sum(cost.stages.values()) for cost in refreshes)
    rows.append((_REST, f"{full.seconds - sum(full.stages.values()):.1f}", f"{rest:.1f}"))
    for name, field in (("all", "seconds"), ("CPU", "cpu_seconds")):
        median = statistics.median(getattr(cost, field) for cost in refreshes)
        rows.append((name, f"{getattr(full, field):.1f}", f"{median:.1f}"))
    return rows


def finding(full: Cost, refreshes: Sequence[Cost], clips: int) -> str:
    """Returns, as a sentence, what is to be read of the table."""
    shares = [cost.seconds / full.seconds for cost in refreshes]
    of_cpu = [cost.cpu_seconds / full.cpu_seconds for cost in refreshes]
    return (
        f"a refresh after {clips} new clips costs {statistics.median(shares):.1%} of the full run "
        f"({min(shares):.1%} to {max(shares):.1%}), {statistics.median(of_cpu):.1%} of its CPU time"
    )


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = functools.partial(parser.add_argument, metavar="N")

    def new(text: str) -> int:
        if (number := at_least(1, text)) > len(MOTIONS):
            raise argparse.ArgumentTypeError(f"expected at most {len(MOTIONS)}, got {number}")
        return number

    add("--clips", type=new, default=5, help="new clips before each refresh; default: 5")
    positive = functools.partial(at_least, 1)
    add("--rounds", type=positive, default=3, help="refreshes; default: 3")
    add("--epochs", type=positive, default=30, help="of the training; default: 30")
    add("--work-dir", metavar="DIR", help="for temporary files, 1 GB; default: the system's")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints a table."""
    args = _make_parser().parse_args(argv)
    screen = console.make_console(sys.stdout)
    say = functools.partial(screen.print, markup=False)
    with tempfile.TemporaryDirectory(dir=args.work_dir) as folder:
        library, output_dir = Path(folder, "library.zip"), Path(folder, "output")
        sample_library.make_library(library)
        settings = ("--source", str(library), "--epochs", str(args.epochs), *_SETTINGS)
        full = run(output_dir, *settings)
        say(f"the full run: {full.seconds:.1f} s")
        refreshes = []
        for turn in range(1, args.rounds + 1):
            add_clips(library, args.clips, max(CLIPS_PER_GROUP) + turn)
            refreshes.append(run(output_dir, *settings, "--refresh"))
            say(f"refresh {turn} of {args.rounds}: {refreshes[-1].seconds:.1f} s")
        say(f"\nthe sample library; {args.clips} new clips before each refresh")
        console.print_table(screen, COMPARED, make_rows(full, refreshes))
        say(finding(full, refreshes, args.clips))


if __name__ == "__main__":
    main()
