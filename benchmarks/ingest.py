"""How fast clips become frames: the tutorial's reader, bare loops, and ClipExampleGen on Beam.

Every measurement runs in a process of its own, so that its memory is its own; the readers take
turns, so that what else the machine does hits all of them alike. benchmarks/README.md explains
the tables.
"""

import argparse
import functools
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ingest_readers import BARE, COMPONENT, READERS, TUTORIAL, Job
from measuring import at_least, in_a_process, memory_mb

from components.clip_example_gen import archive, listing
from pipeline import console

GROUPS = 25  # of each class of UCF101; they decide the splits


class Figures(NamedTuple):
    """One measurement; imports are in no figure but the memory.

    Attributes:
      clips: that were read.
      seconds: on the clock.
      cpu_seconds: of all threads.
      start_mb: resident before the work, all libraries loaded; 10**6 bytes.
      peak_mb: the most that was resident; 10**6 bytes.
    """

    clips: int
    seconds: float
    cpu_seconds: float
    start_mb: float
    peak_mb: float


def measure(reader: str, clips_dir: str, threads: int, work_dir: str) -> Figures:
    """Measures one of READERS in a process of its own.

    Raises:
      RuntimeError: it left clips out.
    """
    with tempfile.TemporaryDirectory(dir=work_dir) as scratch_dir:
        job = Job(clips_dir, threads, scratch_dir)
        return in_a_process(Path(scratch_dir, "log"), _measure_here, reader, job)


def _measure_here(reader: str, job: Job) -> Figures:
    work = READERS[reader](job)
    start_mb = memory_mb("VmRSS")
    started, cpu_started = time.perf_counter(), time.process_time()
    done = work()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    if done != len(job.videos()):
        raise RuntimeError(f"{reader}: expected {len(job.videos())} clips, got {done}")
    return Figures(done, seconds, cpu_seconds, start_mb, memory_mb("VmHWM"))


def copy_clips(source: str, clips_dir: Path, count: int) -> None:
    """Fills a new folder with `count` clips of `source`, each as often as it takes.

    They have UCF101's names, over all its groups. Copies end in zeros, more in each, that no
    decoder looks at: the component drops files with the same bytes.

    Raises:
      SourceError: there are no clips.
    """
    clips_dir.mkdir()
    with archive.open_archive(source) as opened:
        refs = listing.list_clips(source, opened.entries()).refs
        for index, ref in enumerate(itertools.islice(itertools.cycle(refs), count)):
            # In steps of 12, as even three clips are to be in three splits.
            group, clip = 12 * index % GROUPS + 1, index // GROUPS + 1
            fetched = opened.fetch(ref.entry)
            content = Path(fetched.path).read_bytes() + bytes(index // len(refs))
            fetched.discard()
            name = f"v_Clip_g{group:02d}_c{clip:02d}{Path(ref.member).suffix}"
            (clips_dir / name).write_bytes(content)


def make_sample(path: Path, *, groups: int, num_frames: tuple[int, int]) -> str:
    """Makes a part of the sample library: a clip of each class in so many groups."""
    import sample_library

    clips_per_group = dict.fromkeys(range(1, groups + 1), 1)
    sample_library.make_library(path, clips_per_group=clips_per_group, num_frames=num_frames)
    return str(path)


def compare(
    clips_dir: str, threads: int, rounds: int, work_dir: str, say: Callable[[str], None]
) -> list[list[str]]:
    """Measures all readers `rounds` times in turn; returns a row for each."""
    figures: dict[str, list[Figures]] = {reader: [] for reader in READERS}
    for turn, reader in itertools.product(range(1, rounds + 1), READERS):
        figures[reader].append(found := measure(reader, clips_dir, threads, work_dir))
        say(f"round {turn} of {rounds}, {reader}: {found.clips / found.seconds:.1f} clips/s")
    speeds = {reader: [f.clips / f.seconds for f in each] for reader, each in figures.items()}

    def ratio(reader: str, other: str) -> str:
        pairs = zip(speeds[reader], speeds[other], strict=True)
        return f"{statistics.median(a / b for a, b in pairs):.2f}"

    return [
        [
            reader,
            f"{statistics.median(speeds[reader]):.1f}",
            f"{max(speeds[reader]):.1f}",
            ratio(reader, TUTORIAL),
            ratio(reader, BARE),
            f"{statistics.median(f.clips / f.cpu_seconds for f in each):.1f}",
            f"{max(f.peak_mb for f in each):.0f}",
            f"{max(f.start_mb for f in each):.0f}",
        ]
        for reader, each in figures.items()
    ]


COMPARED = (
    "reader", "clips/s", "best", "x tutorial", "x decode", "clips/CPU s", "peak MB", "at start MB",
)  # fmt: skip


def grow(
    source: str, counts: Sequence[int], threads: int, work_dir: str, say: Callable[[str], None]
) -> list[list[str]]:
    """Measures the component on so many clips each; returns a row for each."""
    found: list[Figures] = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=work_dir) as folder:
            clips_dir = Path(folder, "clips")
            copy_clips(source, clips_dir, count)
            found.append(measure(COMPONENT, str(clips_dir), threads, work_dir))
        say(f"{count} clips: {found[-1].seconds:.1f} s")
    rows = []
    for now, before in zip(found, [None, *found], strict=False):
        columns = [
            (1e3 * each.seconds / each.clips, 1e3 * each.cpu_seconds / each.clips, each.peak_mb)
            for each in (now, before or now)
        ]
        row = [f"{now.clips:,}", f"{now.seconds:.1f}"]
        for value, earlier in zip(*columns, strict=True):
            row += [f"{value:.1f}", f"{value / earlier:.2f}" if before else ""]
        rows.append([*row, f"{now.start_mb:.0f}"])
    return rows


GROWN = ("clips", "seconds", "ms/clip", "x", "CPU ms/clip", "x", "peak MB", "x", "at start MB")


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    positive = functools.partial(at_least, 1)
    clips = functools.partial(at_least, 3)  # one for each split
    add = functools.partial(parser.add_argument, metavar="N")
    add("--clips", metavar="DIR", help="videos to compare on; default: 50 of the sample library")
    add("--count", type=clips, default=500, help="clips to compare on; default: 500")
    add(
        "--grow",
        type=lambda text: [clips(part) for part in text.split(",")],
        default=[100, 1000, 10_000],
        metavar="N,N,...",
        help="short clips for the component alone; default: 100,1000,10000",
    )
    add("--threads", type=positive, default=2, help="that decode; default: 2")
    add("--rounds", type=positive, default=3, help="of the comparison; default: 3")
    add("--work-dir", metavar="DIR", help="for temporary files, some 2 GB; default: the system's")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints two tables."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    screen = console.make_console(sys.stdout)
    say = functools.partial(screen.print, markup=False)
    with tempfile.TemporaryDirectory(dir=args.work_dir) as work_dir:
        folder = Path(work_dir)
        source = args.clips or make_sample(folder / "sample.zip", groups=5, num_frames=(60, 120))
        try:
            copy_clips(source, folder / "clips", args.count)
        except archive.SourceError as error:
            parser.error(str(error))
        rows = compare(str(folder / "clips"), args.threads, args.rounds, work_dir, say)
        say(f"\n{args.count} clips of {args.clips or 'the sample library'}, {args.threads} threads")
        console.print_table(screen, COMPARED, rows)
        short = make_sample(folder / "short.zip", groups=3, num_frames=(10, 12))
        rows = grow(short, args.grow, args.threads, work_dir, say)
        say(f"\nthe component on short clips, {args.threads} threads")
        console.print_table(screen, GROWN, rows)


if __name__ == "__main__":
    main()
