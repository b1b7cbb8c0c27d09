"""What a person sees of a run: stages with state and time, bars with counts, a summary.

On a terminal the board is live; elsewhere it is plain lines. Everything else that Python or the
libraries below it print goes to a log file, also what C++ writes to the file descriptors.
"""

import contextlib
import dataclasses
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import rich.box
import rich.console
import rich.progress
import rich.table
import rich.text

from components import progress

_MARKS = {"done": "[green]✓[/]", "cached": "[cyan]=[/]", "failed": "[red]✗[/]"}


@contextlib.contextmanager
def quiet(log_file: Path) -> Iterator[TextIO]:
    """Sends stdout, stderr and logging to `log_file`; yields the real stdout."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with open(log_file, "ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    try:
        with open(saved[0], "w", closefd=False, encoding="utf-8") as terminal:
            yield terminal
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Threads of Beam may outlast the body; they have nothing to tell any more.
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
        for target, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, target)
            os.close(descriptor)


@dataclasses.dataclass
class Stage:
    """How a stage ended: "done", unless the body says "cached" or raises."""

    state: str = "done"


class Board(logging.Handler):
    """Shows stages and the progress that they report."""

    def __init__(self, console: rich.console.Console):
        """Takes the console to draw on."""
        super().__init__()
        self._console = console
        self._stage = ""
        self._task: rich.progress.TaskID | None = None
        self._message = ""
        self._last_share = 0.0
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("  {task.description:<20}"),
            rich.progress.BarColumn(bar_width=20),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.fields[count]}", markup=False),
            console=console,
            transient=True,
            # What others print belongs into the log, not above the bars.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "Board":
        """Starts to show."""
        progress.logger.setLevel(logging.INFO)
        progress.logger.addHandler(self)
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *unused: object) -> None:
        """Ends it."""
        if self._console.is_terminal:
            self._bars.stop()
        progress.logger.removeHandler(self)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator["Stage"]:
        """Shows a stage while the body runs, then how it ended and how long it took."""
        stage = Stage()
        started = time.monotonic()
        self._stage, self._message, self._last_share = name, "", 0.0
        if self._console.is_terminal:
            self._task = self._bars.add_task(name, total=None, count="")
        try:
            yield stage
        except BaseException:
            stage.state = "failed"
            raise
        finally:
            if self._task is not None:
                self._bars.remove_task(self._task)
                self._task = None
            seconds = f"{time.monotonic() - started:7.1f} s"
            line = f"{_MARKS[stage.state]} {name:<20} {stage.state:<7} {seconds}  {self._message}"
            self._console.print(line.rstrip(), no_wrap=True, overflow="ellipsis")

    def emit(self, record: logging.LogRecord) -> None:
        """Shows progress, and notes above it."""
        if hasattr(record, "note"):
            self._console.print(f"  {self._stage:<20} {record.note}", markup=False)
        shown = getattr(record, "progress", None)
        if shown is None:
            return
        self._message = record.getMessage()
        if self._task is not None:
            self._bars.update(
                self._task, completed=shown.done, total=shown.total, count=self._message
            )
        elif shown.done == shown.total or shown.done / shown.total >= self._last_share + 0.1:
            self._last_share = shown.done / shown.total
            self._console.print(f"  {self._stage:<20} {self._message}", markup=False)


def make_console(stream: TextIO) -> rich.console.Console:
    """Returns a console on `stream`; where it is no terminal, lines are as long as they are."""
    width = None if stream.isatty() else 10_000
    return rich.console.Console(file=stream, width=width, highlight=False, emoji=False)


def print_summary(console: rich.console.Console, rows: list[tuple[str, str]]) -> None:
    """Prints names and what they are, aligned."""
    width = max(len(name) for name, _ in rows)
    console.print()
    for name, value in rows:
        line = rich.text.Text.assemble((f"{name:<{width}}", "bold"), "  ", value)
        console.print(line, soft_wrap=True)


def print_table(
    console: rich.console.Console, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Prints rows under a header."""
    table = rich.table.Table(*header, box=rich.box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(rich.text.Text, row))
    console.print(table)
