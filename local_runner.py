"""Runs the whole pipeline on this machine and publishes the result.

exit codes: 0 published, or already up to date; 2 bad input; 3 the model was not blessed, nothing
is published; 4 another run is at work in the output folder; 1 anything else.
"""

import dataclasses
import datetime
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from components import features, published
from pipeline import console, finish, leaving, options, planning, run_lock
from pipeline.config import PipelineConfig, code_version
from pipeline.finish import Result

PIPELINE_NAME = "clip-recommender"
DONE, FAILED, BAD_INPUT, NOT_BLESSED, BUSY = range(5)

#: What the sample library's clips need; other sources take the options' own defaults.
SAMPLE_SETTINGS = {"image_size": 64}


class BadInput(Exception):
    """What was asked for cannot be done; one line says why."""


def main(argv: list[str] | None = None) -> int:
    """Runs, tells the command of --on-finish; returns the exit code."""
    parser = options.make_parser(__doc__)
    settings = options.parse_settings(parser, argv)
    if not settings.get("source"):
        settings = SAMPLE_SETTINGS | settings
    config = options.make_config(parser, settings)
    if config.on_finish:
        try:
            finish.check(config.on_finish)
        except ValueError as error:
            parser.error(options.as_option(str(error)))
    started = datetime.datetime.now()
    log_file = Path(config.output_dir) / "logs" / f"{started:%Y%m%d-%H%M%S}.log"
    result = _run_alone(config, started, log_file)
    if result.exit_code in (BAD_INPUT, BUSY):
        print(f"{parser.prog}: error: {result.message}", file=sys.stderr)
    elif result.exit_code == FAILED:
        where = f"\nThe log is {result.log}" if result.log else ""
        print(f"{result.message}{where}", file=sys.stderr)
    if config.on_finish:
        seconds = (datetime.datetime.now() - started).total_seconds()
        result = result._replace(push_dir=config.push_dir, seconds=round(seconds, 1))
        if problem := finish.tell(config.on_finish, result):
            print(f"--on-finish: {config.on_finish}: {problem}", file=sys.stderr)
    return result.exit_code


def _run_alone(config: PipelineConfig, started: datetime.datetime, log_file: Path) -> Result:
    """Runs, if no other run is at work in the output folder; returns how it ended."""
    try:
        if "://" in config.output_dir:
            raise BadInput(
                f"--output-dir: expected a folder of this machine; got {config.output_dir}: a "
                "bucket may be --push-dir, --store-dir or --checkpoint-dir"
            )
        _make_folder("--output-dir", config.output_dir)
        with run_lock.held(config.output_dir):
            for option in ("push_dir", "store_dir", "checkpoint_dir"):
                _make_folder(f"--{option.replace('_', '-')}", getattr(config, option))
            return _run_logged(config, started, log_file)._replace(log=str(log_file))
    except run_lock.BusyError as error:
        return Result(BUSY, finish.BUSY, str(error))
    except BadInput as error:
        return Result(BAD_INPUT, finish.BAD_INPUT, str(error), log=_log(log_file))
    except KeyboardInterrupt:
        message = "interrupted; the next run goes on after the last finished stage"
    except Exception as error:
        message = finish.reason(error)
    return Result(FAILED, finish.FAILED, message, log=_log(log_file))


def _run_logged(config: PipelineConfig, started: datetime.datetime, log_file: Path) -> Result:
    """Runs, with all that libraries print in the log; prints a summary."""
    with console.quiet(log_file) as terminal:
        screen = console.make_console(terminal)
        with console.Board(screen) as board:
            result, rows = _run(config, board)
        seconds = (datetime.datetime.now() - started).total_seconds()
        console.print_summary(screen, [*rows, ("took", f"{seconds:.0f} s, log in {log_file}")])
    return result


def _run(config: PipelineConfig, board: console.Board) -> tuple[Result, list[tuple[str, str]]]:
    """Runs the stages; returns how it ended and the rows of the summary."""
    if not config.source:
        config = dataclasses.replace(config, source=_sample_library(config, board))
    try:
        with board.stage("Source"):
            plan = planning.make_plan(config)
    except ValueError as error:
        raise BadInput(options.as_option(str(error))) from error
    if plan.up_to_date:
        rows = [("already up to date", plan.finding)]
        return Result(DONE, finish.UP_TO_DATE, plan.finding), rows
    pushed = _run_pipeline(config, plan.facts, board)
    clips = ", ".join(f"{split} {count}" for split, count in plan.clips_per_split.items())
    rows = [
        ("clips", clips),
        *_left_out(pushed["examples"]),
        ("evaluation", f"figures and pictures in {_from_here(pushed['evaluation'])}"),
    ]
    found = {key: pushed[key] for key in ("version", "metrics")}
    found["objections"] = tuple(pushed["objections"])
    if pushed["version"] is None:
        why = _why_not(pushed)
        rows.append(("not published", why))
        return Result(NOT_BLESSED, finish.NOT_BLESSED, why, **found), rows
    with published.open_published(config.push_dir, pushed["version"]) as version:
        where = f"version {version.version} in {version.location}"
        rows += _summary(config, pushed["metrics"], where, version.clip_ids()[0])
    return Result(DONE, finish.PUBLISHED, where, **found), rows


def _sample_library(config: PipelineConfig, board: console.Board) -> str:
    """Makes the sample library where it is not there yet; returns its path."""
    version = code_version("sample_library")[:12]
    path = Path(config.output_dir) / "sample_library" / f"UCF101_sample_{version}.zip"
    if not path.exists():
        import sample_library  # brings OpenCV: only where it is needed

        with board.stage("SampleLibrary"):
            sample_library.make_library(path)
    return str(path)


def _run_pipeline(
    config: PipelineConfig, facts: planning.RunFacts, board: console.Board
) -> dict[str, Any]:
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


def _summary(
    config: PipelineConfig, metrics: dict[str, Any], where: str, clip_id: str
) -> list[tuple[str, str]]:
    """Returns the rows of what was published."""
    recall = ", ".join(f"@{rank} {value:.3f}" for rank, value in metrics["recall"].items())
    measured_by = metrics.get("accuracy_version")
    note = f", as version {measured_by} measured it" if measured_by else ""
    asked = ["--push-dir", config.push_dir]
    # What begins like an option must be told from one.
    asked += [f"--clip-id={clip_id}"] if clip_id.startswith("-") else ["--clip-id", clip_id]
    return [
        ("test accuracy", f"{metrics['accuracy']:.3f}{note}"),
        ("recall across groups", f"{recall}; mAP@10 {metrics['map_at_10']:.3f}"),
        ("published", where),
        ("ask it", shlex.join(["python", "recommend.py", *asked])),
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


def _why_not(pushed: dict[str, Any]) -> str:
    """Returns the first objection to the candidate; a bad one fails many bars."""
    first, *others = pushed["objections"]
    more = f"; {len(others)} more in {features.RETRIEVAL_FILE}" if others else ""
    return f"{first}{more}"


def _shorten(items: list[str], path: str) -> str:
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return f"{len(items)}: {'; '.join(items[:3])}{more}; see {_from_here(path)}"


def _from_here(path: str) -> str:
    """Returns a path as one would type it here."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _make_folder(option: str, folder: str) -> None:
    if "://" in folder:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        # A file of its own: on some file systems flags say little of what may be written.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise BadInput(
            f"{option}: expected a folder that can be written; got {folder}: {error.strerror}"
        ) from error


def _log(log_file: Path) -> str:
    return str(log_file) if log_file.exists() else ""


if __name__ == "__main__":
    leaving.leave(main())
