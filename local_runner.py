"""Runs the whole pipeline on this machine and publishes the result.

exit codes: 0 published, or already up to date; 2 bad input; 3 the model was not blessed, nothing
is published; 1 anything else.
"""

import atexit
import dataclasses
import datetime
import json
import os
import sys
from pathlib import Path

from components import published
from pipeline import console, options, planning
from pipeline.config import PipelineConfig, code_version

PIPELINE_NAME = "clip-recommender"
DONE, FAILED, BAD_INPUT, NOT_BLESSED = 0, 1, 2, 3

#: What the sample library's clips need; other sources take the options' own defaults.
SAMPLE_SETTINGS = {"image_size": 64, "epochs": 30}


class BadInput(Exception):
    """What was asked for cannot be done; one line says why."""


def main(argv: list[str] | None = None) -> int:
    """Runs; returns the exit code."""
    parser = options.make_parser(__doc__)
    settings = options.parse_settings(parser, argv)
    if not settings.get("source"):
        settings = SAMPLE_SETTINGS | settings
    config = options.make_config(parser, settings)
    started = datetime.datetime.now()
    log_file = Path(config.output_dir) / "logs" / f"{started:%Y%m%d-%H%M%S}.log"
    try:
        _make_folders(config.output_dir, config.push_dir)
        with console.quiet(log_file) as terminal:
            screen = console.make_console(terminal)
            with console.Board(screen) as board:
                code, rows = _run(config, board)
            seconds = (datetime.datetime.now() - started).total_seconds()
            console.print_summary(screen, [*rows, ("took", f"{seconds:.0f} s, log in {log_file}")])
            return code
    except BadInput as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\ninterrupted; the next run goes on after the last finished stage", file=sys.stderr)
        return FAILED
    except Exception as error:
        print(f"{_reason(error)}\nThe log is {log_file}", file=sys.stderr)
        return FAILED


def _run(config: PipelineConfig, board: console.Board) -> tuple[int, list[tuple[str, str]]]:
    """Runs the stages; returns the exit code and the rows of the summary."""
    if not config.source:
        config = dataclasses.replace(config, source=_sample_library(config, board))
    try:
        with board.stage("Source"):
            plan = planning.make_plan(config)
    except ValueError as error:
        raise BadInput(options.as_option(str(error))) from error
    if plan.up_to_date:
        return DONE, [("already up to date", plan.finding)]
    result = _run_pipeline(config, plan.facts, board)
    clips = ", ".join(f"{split} {count}" for split, count in plan.clips_per_split.items())
    rows = [
        ("clips", clips),
        *_left_out(result["examples"]),
        ("evaluation", f"figures and pictures in {result['evaluation']}"),
    ]
    if result["version"] is None:
        return NOT_BLESSED, [*rows, ("not published", _why_not(result))]
    return DONE, [*rows, *_summary(config)]


def _sample_library(config: PipelineConfig, board: console.Board) -> str:
    """Makes the sample library where it is not there yet; returns its path."""
    version = code_version("sample_library")[:12]
    path = Path(config.output_dir) / "sample_library" / f"UCF101_sample_{version}.zip"
    if not path.exists():
        import sample_library  # brings OpenCV: only where it is needed

        with board.stage("SampleLibrary"):
            sample_library.make_library(path)
    return str(path)


def _run_pipeline(config: PipelineConfig, facts: planning.RunFacts, board: console.Board) -> dict:
    """Runs the DAG; returns what Pusher says."""
    with board.stage("TFX"):  # imports take seconds
        from pipeline import local, pipeline

    output_dir = Path(config.output_dir).resolve()
    dag = pipeline.create_pipeline(
        config,
        facts,
        name=PIPELINE_NAME,
        root=str(output_dir / "pipeline"),
        metadata_path=str(output_dir / "metadata.sqlite"),
    )
    outputs = local.run_pipeline(dag, board, pipeline.UNCACHED_NODES)
    return json.loads(Path(outputs["Pusher"]["pushed"][0].uri, "result.json").read_text())


def _summary(config: PipelineConfig) -> list[tuple[str, str]]:
    with published.open_published(config.push_dir) as live:
        clip_id, location = live.clip_ids()[0], live.location
        metrics = live.manifest.metrics
    recall = ", ".join(f"@{rank} {value:.3f}" for rank, value in metrics["recall"].items())
    return [
        ("test accuracy", f"{metrics['accuracy']:.3f}"),
        ("recall across groups", f"{recall}; mAP@10 {metrics['map_at_10']:.3f}"),
        ("published", f"version {live.version} in {location}"),
        ("ask it", f"python recommend.py --push-dir {config.push_dir} --clip-id {clip_id}"),
    ]


def _left_out(examples_uri: str) -> list[tuple[str, str]]:
    """Returns a row for the clips that were rejected, and one for those that are alike."""
    from components.clip_example_gen import duplicates, listing, tables  # brings TensorFlow

    rejects = tables.read_table(f"{examples_uri}/{tables.REJECTS_FILE}", listing.Reject)
    alike = tables.read_table(f"{examples_uri}/{tables.DUPLICATES_FILE}", duplicates.Duplicate)
    found = {
        ("rejected", tables.REJECTS_FILE): [
            f"{row.clip_id or row.member} ({row.stage}: {row.reason})" for row in rejects
        ],
        ("same bytes, kept once", tables.DUPLICATES_FILE): [
            f"{row.clip_id} is {row.other_clip_id}" for row in alike if row.kind == "exact"
        ],
        ("alike across splits", tables.DUPLICATES_FILE): [
            f"{row.clip_id} ({row.split}) and {row.other_clip_id} ({row.other_split})"
            for row in alike
            if row.kind == "near"
        ],
    }
    return [
        (name, _shorten(items, f"{examples_uri}/{file}"))
        for (name, file), items in found.items()
        if items
    ]


def _why_not(result: dict) -> str:
    """Returns the first objection to the candidate; a bad one fails many bars."""
    first, *others = result["objections"]
    more = f"; {len(others)} more in retrieval.json" if others else ""
    return f"{first}{more}"


def _shorten(items: list[str], path: str) -> str:
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return f"{len(items)}: {'; '.join(items[:3])}{more}; see {path}"


def _make_folders(*folders: str) -> None:
    for folder in folders:
        if "://" in folder:
            continue
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{folder}: expected a folder that can be written: {error}") from error


def _reason(error: BaseException) -> str:
    """Returns what failed and why: a stage's cause, the error's kind and its first line."""
    stage = f"{error}: " if error.__cause__ else ""
    cause = error.__cause__ or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return f"{stage}{type(cause).__name__}: {lines[0] if lines else ''}".rstrip(": ")


if __name__ == "__main__":
    exit_code = main()
    # C++ threads of the libraries now and then abort a process that unloads them, and with it the
    # exit code. All is written; this process ends without unloading anything.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
