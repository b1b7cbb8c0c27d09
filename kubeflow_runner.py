"""Compiles the pipeline for Kubeflow Pipelines 2, runs it there, and schedules retraining.

exit codes: 0 done; 2 bad input; 1 anything else, such as a run that failed.

environment: KFP_HOST or KF_PIPELINES_ENDPOINT, KFP_NAMESPACE, and what no option takes because
other users see options: KFP_TOKEN, KFP_COOKIES. KF_PIPELINES_SA_TOKEN_PATH names a file with a
token, KF_PIPELINES_UI_ENDPOINT the address for people where it is another.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import console, leaving, options
from pipeline.config import PipelineConfig
from pipeline.kubeflow.settings import KubeflowConfig
from pipeline.parser import OptionParser

if TYPE_CHECKING:
    from pipeline.kubeflow.client import Kubeflow
    from pipeline.kubeflow.connection import Connection
    from pipeline.kubeflow.package import Package

DONE, FAILED, BAD_INPUT = 0, 1, 2

_MARKS = {"SUCCEEDED": "✓", "FAILED": "✗", "SYSTEM_ERROR": "✗"}
_PACKAGE_HELP = "a file that compile has written"
#: Settings that `ValueError`s name -> where a user gives them.
_ORIGINS = {
    "host": "--host",
    "ui_host": "KF_PIPELINES_UI_ENDPOINT",
    "token": "KFP_TOKEN",
    "cookies": "KFP_COOKIES",
    "token_file": "--token-file",
    "ca_cert": "--ca-cert",
    "timeout": "--timeout",
    "param": "--param",
    "cron": "--cron",
}

_DID = {"pause": "paused", "resume": "resumed", "delete": "deleted"}

Row = tuple[str, str]


def main(argv: list[str] | None = None) -> int:
    """Does what a subcommand says; returns the exit code."""
    parser = _make_parser()
    settings = options.parse_settings(parser, argv)
    act: Callable[[OptionParser, dict[str, Any]], int] = settings.pop("act")
    try:
        return act(parser, settings)
    except KeyboardInterrupt:
        print("\ninterrupted; what was started on Kubeflow goes on", file=sys.stderr)
    except Exception as error:
        # The first line: libraries' errors are long, and errors of Kubeflow have but one.
        reason = (str(error).strip().splitlines() or [""])[0]
        kind = "" if type(error).__name__ == "KubeflowError" else f"{type(error).__name__}: "
        print(f"{parser.prog}: error: {kind}{reason}".rstrip(": "), file=sys.stderr)
    return FAILED


def _make_parser() -> OptionParser:
    style: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    parser = OptionParser(description=__doc__, **style)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add_options, act, name, text in (
        (_add_compile_options, _compile, "compile", "write the pipeline to a file for Kubeflow"),
        (_add_submit_options, _submit, "submit", "upload a compiled pipeline and run it"),
        (_add_schedule_options, _schedule, "schedule", "upload one and run it on a schedule"),
    ):
        command = commands.add_parser(name, help=text, description=text, **style)
        command.set_defaults(act=act)
        add_options(command)
    return parser


def _add_compile_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out",
        default="pipeline.yaml",
        metavar="FILE",
        help="the compiled pipeline (default: %(default)s)",
    )
    options.add_options(command, KubeflowConfig)
    options.add_options(command, PipelineConfig)


def _add_submit_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("package", metavar="PACKAGE", help=_PACKAGE_HELP)
    command.add_argument(
        "--wait", action="store_true", help="until the run has ended; exit with 1 if it failed"
    )
    _add_run_options(command)


def _add_schedule_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("package", nargs="?", metavar="PACKAGE", help=_PACKAGE_HELP)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--cron",
        metavar="EXPRESSION",
        help="when: second, minute, hour, day, month, weekday; '0 0 3 * * *' is daily at three, in "
        "the cluster's time zone, mostly UTC",
    )
    for name, text in {
        "status": "show the recurring run",
        "pause": "let it start no runs",
        "resume": "let it start runs again",
        "delete": "delete it; its runs stay",
    }.items():
        what.add_argument(f"--{name}", dest="do", action="store_const", const=name, help=text)
    _add_run_options(command)


def _add_run_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the pipeline; repeatable",
    )
    add("--pipeline-name", default="", metavar="NAME", help="default: as compiled")
    add("--pipeline-root", default="", metavar="URI", help="of artifacts; default: as compiled")
    add("--experiment", default="", metavar="NAME", help="default: the pipeline's name")
    add("--host", metavar="URL", help="the API's address (default: KFP_HOST)")
    add("--namespace", metavar="NAME", help="the user's, if there are several users")
    add("--token-file", metavar="FILE", help="a file with a token, such as a service account's")
    add("--ca-cert", metavar="FILE", help="certificates to trust, instead of the system's")
    add(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long the server may be silent (default: %(default)g)",
    )


def _compile(parser: OptionParser, settings: dict[str, Any]) -> int:
    out = Path(settings["out"])
    config = options.make_config(parser, settings, PipelineConfig)
    platform = options.make_config(parser, settings, KubeflowConfig)
    if not out.parent.is_dir() or out.is_dir():
        parser.error(f"--out: expected a file in a folder that is there; got {out}")
    try:
        with console.quiet(Path(os.devnull)):  # imports of TFX tell much
            from pipeline.kubeflow import compile as compiler
            from pipeline.kubeflow import lint

            text = compiler.compile_pipeline(config, platform)
            lint.check(text)
    except ValueError as error:
        parser.error(options.as_option(options.as_option(str(error)), KubeflowConfig))
    try:
        _write(out.resolve(), text)
    except OSError as error:
        parser.error(f"--out: expected a file that can be written; got {out}: {error.strerror}")
    command = shlex.join(["python", "kubeflow_runner.py", "submit", str(out), "--wait"])
    _show([("compiled", str(out)), ("run it", command)])
    return DONE


def _write(path: Path, text: str) -> None:
    """Writes a file as a whole; what is no file, such as a pipe, takes the text as it comes."""
    if path.exists() and not path.is_file():
        path.write_text(text, "utf-8")
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, "utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _submit(parser: OptionParser, settings: dict[str, Any]) -> int:
    from pipeline.kubeflow import client

    package = _read_package(parser, settings["package"])
    parameters = _checked(parser, package.arguments, settings["param"])
    kubeflow = client.Kubeflow(_connection(parser, settings))
    run = kubeflow.submit(package, parameters, **_names(settings))
    _show([_version_row(package, run.version.new), ("run", run.link)])
    if not settings["wait"]:
        return DONE
    outcome = kubeflow.wait(run.run_id, _tell)
    _show([(outcome.state.lower(), outcome.error or run.link)])
    return DONE if outcome.state == client.SUCCEEDED else FAILED


def _schedule(parser: OptionParser, settings: dict[str, Any]) -> int:
    from pipeline.kubeflow import client, schedules

    path, cron, texts = settings["package"], settings["cron"], settings["param"]
    if cron is not None and path is None:
        parser.error("PACKAGE: expected a compiled pipeline beside --cron")
    if cron is None and texts:
        parser.error("--param: expected --cron beside it")
    package = _read_package(parser, path) if path else None
    name = settings["pipeline_name"] or (package.name if package else KubeflowConfig.pipeline_name)
    if package is None or cron is None:
        return _change(client.Kubeflow(_connection(parser, settings)), name, settings["do"])
    _checked(parser, schedules.check_cron, cron)
    parameters = _checked(parser, package.arguments, texts)
    kubeflow = client.Kubeflow(_connection(parser, settings))
    done = schedules.schedule(kubeflow, package, cron, parameters, **_names(settings))
    rows = [_version_row(package, done.version.new), (done.done, f"{name}, {cron}")]
    if done.removed:
        rows.append(("deleted", f"{done.removed} that had the name before"))
    _show([*rows, ("see", done.link)])
    return DONE


def _change(kubeflow: "Kubeflow", name: str, do: str) -> int:
    """Shows a recurring run or changes it, as `do` says."""
    from pipeline.kubeflow import schedules

    if do == "status":
        found = schedules.find(kubeflow, name)
        count = len(found)
        for one in found:
            _show([("recurring run", name), *schedules.describe(kubeflow, one)])
    else:
        count = getattr(schedules, do)(kubeflow, name)
        if count:
            _show([(_DID[do], name)])
    if not count:
        print(f"no recurring run is called {name}")
        return FAILED if do in ("pause", "resume") else DONE
    if count > 1 and do != "delete":
        print(f"{count} recurring runs are called {name}; schedule --cron leaves one")
    return DONE


def _connection(parser: OptionParser, settings: dict[str, Any]) -> "Connection":
    from pipeline.kubeflow import connection

    names = ("host", "namespace", "token_file", "ca_cert", "timeout")
    given = {name: settings[name] for name in names}
    return _checked(parser, lambda _: connection.from_environment(os.environ, **given), None)


def _read_package(parser: OptionParser, path: str) -> "Package":
    from pipeline.kubeflow import package

    return _checked(parser, package.read_package, path)


def _checked(parser: OptionParser, make: Callable[[Any], Any], given: Any) -> Any:
    """Returns what is made; exits with 2 and one line where it cannot be."""
    try:
        return make(given)
    except ValueError as error:
        name, colon, rest = str(error).partition(": ")
        parser.error(f"{_ORIGINS.get(name, name)}{colon}{rest}")


def _names(settings: dict[str, Any]) -> dict[str, str]:
    return {name: settings[name] for name in ("pipeline_name", "pipeline_root", "experiment")}


def _version_row(package: "Package", new: bool) -> Row:
    return "version", f"{package.version} ({'uploaded' if new else 'already there'})"


def _tell(task: str, state: str) -> None:
    print(f"{_MARKS.get(state, ' ')} {task:<20} {state.lower()}", flush=True)


def _show(rows: list[Row]) -> None:
    console.print_summary(console.make_console(sys.stdout), rows)
    sys.stdout.flush()


if __name__ == "__main__":
    leaving.leave(main())
