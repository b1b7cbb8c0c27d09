"""How fast a library is embedded: this project's BulkInferrer, TFX's, and the network alone.

A component is measured on two libraries, one three times as large as the other: the difference is
what clips cost, the rest what starting costs. Each measurement has a process of its own; the ways
take turns. benchmarks/README.md explains the table.
"""

import argparse
import functools
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embed_ways import BARE, GROWING, STOCK, WAYS, WHOLE, Job, prepare
from ingest import copy_clips, make_sample
from measuring import at_least, in_a_process, memory_mb
from train_networks import Job as Clips

from components.bulk_inferrer.settings import OPENVINO, TENSORFLOW
from components.clip_example_gen import archive
from pipeline import console

TIMES_LARGER = 3
#: A difference of two measurements that may be chance.
_NOISE_SEC = 0.2
#: UCF101's clips.
_LIBRARY = 13_320


class Cost(NamedTuple):
    """What a way costs in one round.

    Attributes:
      clips_per_sec: once it has started.
      start_sec: before and after; 0 of the network alone.
      peaks_mb: the most that was resident, of the smaller library and of the larger; 10**6 bytes.
    """

    clips_per_sec: float
    start_sec: float
    peaks_mb: tuple[float, ...]

    def seconds(self, clips: int) -> float:
        """Returns what so many clips cost."""
        return self.start_sec + clips / self.clips_per_sec


def _with_peak(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Returns what `work(*arguments)` does, and the most memory of this process in MB."""
    result = work(*arguments)
    return result, memory_mb("VmHWM")


def measure_way(name: str, small: Job, log: Path) -> Cost:
    """Runs a component on both libraries; RuntimeError where it cannot."""
    jobs = small, small._replace(clips=TIMES_LARGER * small.clips)
    (less, low), (more, high) = (in_a_process(log, _with_peak, WAYS[name].run, job) for job in jobs)
    # Where most vectors are known before, noise may be more than what is left to do.
    per_clip = max(more - less, _NOISE_SEC) / (jobs[1].clips - jobs[0].clips)
    return Cost(1 / per_clip, max(less - jobs[0].clips * per_clip, 0.0), (low, high))


def measure_bare(engine: str, small: Job, log: Path) -> Cost:
    """Runs the network alone."""
    clips_per_sec, peak = in_a_process(log, _with_peak, BARE[engine], small)
    return Cost(clips_per_sec, 0.0, (peak,))


def compare(
    small: Job, engines: Sequence[str], rounds: int, say: Callable[[str], None]
) -> tuple[dict[str, list[Cost]], dict[str, list[Cost]]]:
    """Measures all in turn; returns the costs of the engines alone, and of the components."""
    log = Path(small.work_dir, "log")
    bare: dict[str, list[Cost]] = {engine: [] for engine in engines}
    ways: dict[str, list[Cost]] = {name: [] for name in WAYS if WAYS[name].engine in engines}
    for turn in range(1, rounds + 1):
        for engine in engines:
            bare[engine].append(cost := measure_bare(engine, small, log))
            say(f"round {turn} of {rounds}, {engine} alone: {cost.clips_per_sec:.1f} clips/s")
        for name in list(ways):
            try:
                ways[name].append(cost := measure_way(name, small, log))
            except Exception as error:
                if name != STOCK:
                    raise
                del ways[name]
                lines = str(error).strip().splitlines()
                reason = next((line for line in lines if "Could not" in line), lines[-1])
                say(f"{name}: {reason[:100]}")
            else:
                say(f"round {turn} of {rounds}, {name}: {cost.clips_per_sec:.1f} clips/s")
    return bare, ways


COMPARED = ("way", "clips/s", "x alone", "start, s", f"s for {_LIBRARY:,} clips", "peak MB")


def make_rows(bare: dict[str, list[Cost]], ways: dict[str, list[Cost]]) -> list[list[str]]:
    """Returns a row for each way; ratios are medians of those within a round."""
    rows = []
    of_engine = {f"{engine} alone": (engine, costs) for engine, costs in bare.items()}
    of_ways = {name: (WAYS[name].engine, costs) for name, costs in ways.items()}
    for name, (engine, costs) in (of_engine | of_ways).items():
        pairs = zip(costs, bare[engine], strict=True)
        share = statistics.median(a.clips_per_sec / b.clips_per_sec for a, b in pairs)
        rows.append(
            [
                name,
                f"{statistics.median(cost.clips_per_sec for cost in costs):.1f}",
                "" if name == GROWING else f"{share:.2f}",
                f"{statistics.median(cost.start_sec for cost in costs):.1f}",
                f"~{statistics.median(cost.seconds(_LIBRARY) for cost in costs):,.0f}",
                " to ".join(f"{peak:,.0f}" for peak in costs[-1].peaks_mb),
            ]
        )
    return rows


def findings(bare: dict[str, list[Cost]], ways: dict[str, list[Cost]]) -> list[str]:
    """Returns, as sentences, what is to be read of the engines beside each other."""
    if OPENVINO not in bare:
        return ["openvino is not installed"]
    pairs = zip(bare[OPENVINO], bare[TENSORFLOW], strict=True)
    faster = statistics.median(a.clips_per_sec / b.clips_per_sec for a, b in pairs)
    pairs = zip(ways[GROWING], ways[WHOLE], strict=True)
    share = statistics.median(a.seconds(_LIBRARY) / b.seconds(_LIBRARY) for a, b in pairs)
    return [
        f"openvino alone is {faster:.2f}x as fast as tensorflow alone",
        f"1 % new clips cost ~{share:.1%} of embedding all {_LIBRARY:,}",
    ]


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = functools.partial(parser.add_argument, metavar="N")
    add("--clips", metavar="DIR", help="videos to embed; default: 100 of the sample library")
    library = functools.partial(at_least, 20)
    add("--library", type=library, default=100, help="clips of the smaller library; default: 100")
    add("--rounds", type=functools.partial(at_least, 1), default=1, help="default: 1")
    size = functools.partial(at_least, 32)
    add("--image-size", type=size, default=224, help="pixels; default: 224")
    add("--work-dir", metavar="DIR", help="for temporary files; default: the system's")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints a table."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    screen = console.make_console(sys.stdout)
    say = functools.partial(screen.print, markup=False)
    engines = [e for e in BARE if e != OPENVINO or importlib.util.find_spec("openvino")]
    with tempfile.TemporaryDirectory(dir=args.work_dir) as work_dir:
        source = args.clips or make_sample(
            Path(work_dir, "sample.zip"), groups=10, num_frames=(60, 120)
        )
        sizes = args.library, TIMES_LARGER * args.library
        clips = Clips(str(Path(work_dir, "clips")), work_dir, 1, 1, args.image_size)
        try:
            copy_clips(source, Path(clips.clips_dir), sizes[-1])
        except archive.SourceError as error:
            parser.error(str(error))
        in_a_process(Path(work_dir, "log"), prepare, clips, sizes)
        small = Job(work_dir, sizes[0], clips.config().num_windows)
        bare, ways = compare(small, engines, args.rounds, say)
        say(
            f"\nclips of {args.clips or 'the sample library'}, {small.num_windows} windows each, "
            f"{args.image_size} pixels; libraries of {sizes[0]} and {sizes[1]}"
        )
        console.print_table(screen, COMPARED, make_rows(bare, ways))
        for finding in findings(bare, ways):
            say(finding)


if __name__ == "__main__":
    main()
