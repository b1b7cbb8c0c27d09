"""How fast training is: the tutorial's network on its input, and ours on ours and from memory.

Each network is measured in a process of its own; they take turns, so that what else the machine
does hits both alike. benchmarks/README.md explains the table.
"""

import argparse
import functools
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest import copy_clips, make_sample
from measuring import at_least, in_a_process
from train_networks import (
    FIRST,
    LATER,
    MEMORY,
    Job,
    Speed,
    measure_ours,
    measure_tutorial,
    prepare,
)

from components.clip_example_gen import archive
from pipeline import console


def compare(job: Job, rounds: int, say: Callable[[str], None]) -> list[list[str]]:
    """Measures both networks `rounds` times in turn; returns a row for each way to feed them."""
    found: dict[str, list[Speed]] = {}
    log = Path(job.work_dir, "log")
    for turn in range(1, rounds + 1):
        for work in (measure_tutorial, measure_ours):
            for name, speed in in_a_process(log, work, job).items():
                found.setdefault(name, []).append(speed)
                say(f"round {turn} of {rounds}, {name}: {speed.steps_per_sec:.2f} steps/s")

    def ratio(name: str, other: str) -> str:
        pairs = zip(found[name], found[other], strict=True)
        return f"{statistics.median(a.steps_per_sec / b.steps_per_sec for a, b in pairs):.2f}"

    rows = []
    for name, each in found.items():
        speeds = [speed.steps_per_sec for speed in each]
        median = statistics.median(speeds)
        rows.append(
            [
                name,
                f"{median:.2f}",
                f"{median * job.batch_size:.1f}",
                f"{max(speeds) * job.batch_size:.1f}",
                *(ratio(name, other) for other in (FIRST, LATER, MEMORY)),
                f"{statistics.median(speed.share for speed in each):.2f}",
                _per_cpu_second(each, job.batch_size),
            ]
        )
    return rows


def _per_cpu_second(speeds: Sequence[Speed], batch_size: int) -> str:
    measured = [s.steps_per_cpu_sec for s in speeds if s.steps_per_cpu_sec is not None]
    return f"{statistics.median(measured) * batch_size:.2f}" if measured else ""


COMPARED = (
    "training", "steps/s", "clips/s", "best", "x first", "x later", "x memory", "x matmul",
    "clips/CPU s",
)  # fmt: skip


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    positive = functools.partial(at_least, 1)
    add = functools.partial(parser.add_argument, metavar="N")
    add("--clips", metavar="DIR", help="videos to train on; default: 50 of the sample library")
    add("--steps", type=positive, default=10, help="in each measurement; default: 10")
    add("--rounds", type=positive, default=3, help="default: 3")
    size = functools.partial(at_least, 32)
    add("--image-size", type=size, default=224, help="pixels; default: 224, the tutorial's")
    add("--batch-size", type=positive, default=8, help="clips in a step; default: 8, likewise")
    add("--work-dir", metavar="DIR", help="for temporary files; default: the system's")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints a table."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    screen = console.make_console(sys.stdout)
    say = functools.partial(screen.print, markup=False)
    with tempfile.TemporaryDirectory(dir=args.work_dir) as work_dir:
        clips_dir = Path(work_dir, "clips")
        source = args.clips or make_sample(
            Path(work_dir, "sample.zip"), groups=5, num_frames=(60, 120)
        )
        try:
            copy_clips(source, clips_dir, args.steps * args.batch_size)
        except archive.SourceError as error:
            parser.error(str(error))
        job = Job(str(clips_dir), work_dir, args.steps, args.batch_size, args.image_size)
        in_a_process(Path(work_dir, "log"), prepare, job)
        rows = compare(job, args.rounds, say)
        say(
            f"\n{args.steps} steps of {args.batch_size} clips of "
            f"{args.clips or 'the sample library'}, {args.image_size} pixels"
        )
        console.print_table(screen, COMPARED, rows)


if __name__ == "__main__":
    main()
