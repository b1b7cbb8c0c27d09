"""How well clips of a class are found: UCF101's retrieval protocol on any library and split.

Runs the whole pipeline, without its bars for quality, and prints a table beside published figures.
Options that are not listed here go to local_runner.py. benchmarks/README.md explains the table.
"""

import argparse
import functools
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import retrieval_table
import seed_system

import local_runner
from components import published
from components.clip_example_gen import archive, listing
from pipeline import console, options
from pipeline.config import PipelineConfig, code_version

ROOT = Path(__file__).resolve().parent.parent

#: Nothing keeps a model from being measured.
_NO_BARS = {
    "min_accuracy": 0,
    "min_recall": 0,
    "max_recall_drop": 1,
    "min_class_recall": 0,
    "max_class_recall_drop": 1,
    "max_drift": 1,
    "max_class_drift": 1,
}
#: All clips, with the default's proportion of train and eval.
_ALL_CLIPS = "30000,10000,10000"


class Run(NamedTuple):
    """The pipeline on one split, with one seed.

    Attributes:
      arguments: of local_runner.py.
      config: what it makes of them.
    """

    arguments: tuple[str, ...]
    config: PipelineConfig

    def start(self) -> None:
        """Runs local_runner.py; SystemExit with its exit code where it fails."""
        sys.stdout.flush()
        command = [sys.executable, str(ROOT / "local_runner.py"), *self.arguments]
        code = subprocess.run(command, check=False).returncode
        # A model that is not blessed, all bars down, has been measured all the same.
        if code not in (local_runner.DONE, local_runner.NOT_BLESSED):
            raise SystemExit(code)

    def artifact(self, stage: str, output: str) -> Path:
        """Returns the folder of what the stage gave last, perhaps from the cache."""
        from ml_metadata import metadata_store, proto

        connection = proto.ConnectionConfig()
        connection.sqlite.filename_uri = str(Path(self.config.output_dir, "metadata.sqlite"))
        store = metadata_store.MetadataStore(connection)
        node = f"{local_runner.PIPELINE_NAME}.{stage}"
        context = store.get_context_by_type_and_name("node", node)
        if context is None:
            raise LookupError(f"{self.config.output_dir}: expected a run of {stage}, found none")
        last = max(execution.id for execution in store.get_executions_by_context(context.id))
        (found,) = (
            event.artifact_id
            for event in store.get_events_by_execution_ids([last])
            if event.type == proto.Event.OUTPUT and event.path.steps[0].key == output
        )
        (artifact,) = store.get_artifacts_by_id([found])
        return Path(artifact.uri)

    def report(self) -> dict[str, Any]:
        """Returns the model's part of retrieval.json."""
        file = self.artifact("RetrievalEvaluator", "evaluation") / "retrieval.json"
        return json.loads(file.read_text())["candidate"]

    def training_seconds(self) -> float:
        """Returns how long the training took, from its first step's preparation to its end."""
        file = self.artifact("Trainer", "model_run") / "training.json"
        return json.loads(file.read_text())["seconds"]


def plan_runs(
    args: argparse.Namespace, passed: Sequence[str], say: Callable[[str], None]
) -> list[Run]:
    """Checks all options, then finds the source and its classes; returns what is to be run."""
    output_dir = Path(args.output_dir)
    defaults = _NO_BARS | {"clips_per_class": _ALL_CLIPS, "store_dir": output_dir / "clip_store"}
    if not args.source:
        defaults |= local_runner.SAMPLE_SETTINGS
    given = [*_as_options(defaults), *passed]
    first = _make_config(given)
    drawn = list(itertools.product(args.split or [first.split], args.seed or [first.seed]))
    for split, seed in drawn:
        _make_config([*given, *_as_options({"split": split, "seed": seed})])
    own = {"source": args.source or _sample_library(output_dir, say)}
    own["classes"] = args.classes or _count_classes(_make_config([*given, *_as_options(own)]))
    runs = []
    for split, seed in drawn:
        chosen = [*given, *_as_options({**own, "split": split, "seed": seed})]
        # A folder for each set of options: there is no champion to be measured beside the model.
        digest = hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:8]
        chosen.append(f"--output-dir={output_dir / f'{split}-seed{seed}-{digest}'}")
        runs.append(Run(tuple(chosen), _make_config(chosen)))
    return runs


def _as_options(settings: dict[str, Any]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]


def _make_config(arguments: list[str]) -> PipelineConfig:
    """Reads options as local_runner.py does; exits with 2 and one line where one is wrong."""
    parser = options.make_parser("")
    return options.make_config(parser, options.parse_settings(parser, arguments))


def _sample_library(output_dir: Path, say: Callable[[str], None]) -> str:
    path = output_dir / "sample_library" / f"{code_version('sample_library')[:12]}.zip"
    if not path.exists():
        import sample_library

        say("making the sample library")
        sample_library.make_library(path)
    return str(path)


def _count_classes(config: PipelineConfig) -> int:
    try:
        with seed_system.open_source(config) as opened:
            refs = listing.list_clips(config.source, opened.entries()).refs
    except archive.SourceError as error:
        options.make_parser("").error(str(error))
    return len({ref.class_name for ref in refs if ref.class_name})


def run_seed_system(
    run: Run, minutes: float | None, image_size: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Trains and measures the seed system on the same clips, as long as the run's own training.

    Args:
      run: that is done.
      minutes: of training instead; None: as long.
      image_size: of its frames, pixels.
      say: prints a line.

    Returns:
      Its figures, as those of a model in retrieval.json.
    """
    seconds = run.training_seconds() if minutes is None else 60 * minutes
    outcome = seed_system.run(
        seed_system.Job(
            config=run.config,
            clips_file=str(run.artifact("ClipExampleGen", "examples") / published.CLIPS_FILE),
            seconds=seconds,
            image_size=image_size,
            log_file=Path(run.config.output_dir, "logs", "seed_system.log"),
        )
    )
    steps, seconds = outcome.training
    say(f"seed system: {steps} steps on {outcome.num_clips} clips in {seconds / 60:.1f} minutes")
    return outcome.figures


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--source", metavar="SOURCE", help="zip, URL or folder; default: the sample library")
    add("--split", action="append", metavar="RULE", help="repeatable; default: ucf101-1")
    add("--seed", action="append", type=int, metavar="N", help="repeatable; default: 42")
    add("--classes", metavar="N|NAMES", help="default: all")
    add("--output-dir", default="output/retrieval", metavar="DIR", help="default: %(default)s")
    add("--seed-system", action="store_true", help="train and measure the tutorial's network too")
    add("--minutes", type=float, metavar="M", help="of its training; default: as long as ours")
    size = functools.partial(parser.add_argument, type=int, default=224, metavar="N")
    size("--seed-system-size", help="height and width of its frames, pixels; default: 224")
    return parser


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.seed_system_size < seed_system.MIN_IMAGE_SIZE:
        parser.error(
            f"--seed-system-size: expected at least {seed_system.MIN_IMAGE_SIZE}; "
            f"got {args.seed_system_size}"
        )
    if args.minutes is not None and not (args.seed_system and args.minutes > 0):
        parser.error(f"--minutes: expected more than 0, with --seed-system; got {args.minutes}")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs all splits and seeds, and prints a table."""
    parser = _make_parser()
    args, passed = parser.parse_known_args(argv)
    _check(parser, args)
    screen = console.make_console(sys.stdout)
    say = functools.partial(screen.print, markup=False)
    found: dict[str, list[retrieval_table.Row]] = {}
    notes = []
    for run in plan_runs(args, passed, say):
        split, seed = run.config.split, run.config.seed
        say(f"\n{split}, seed {seed}")
        run.start()
        report = run.report()
        notes.append(retrieval_table.comparability(split, report))
        systems = {"this pipeline": report}
        if args.seed_system:
            systems["seed system"] = run_seed_system(run, args.minutes, args.seed_system_size, say)
        for name, figures in systems.items():
            row = retrieval_table.Row(name, split, str(seed), figures)
            found.setdefault(name, []).append(row)
    say("\nrecall and mAP in percent, with 95 % intervals: source videos drawn anew")
    rows = retrieval_table.all_rows(found.values())
    console.print_table(screen, retrieval_table.COLUMNS, [row.cells() for row in rows])
    for line in (*dict.fromkeys(notes), *retrieval_table.sources()):
        say(line)


if __name__ == "__main__":
    main()
