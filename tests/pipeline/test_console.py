"""What a person sees, and what goes to the log."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import rich.console

from components import progress
from pipeline import console

ROOT = Path(__file__).resolve().parent.parent.parent

NOISY = """
import logging, os, sys, threading
from pathlib import Path
from pipeline import console
over = threading.Event()
def tell_late():
    over.wait()
    logging.getLogger("anyone").info("late noise")
late = threading.Thread(target=tell_late)
late.start()
with console.quiet(Path(sys.argv[1])) as terminal:
    print("python noise")
    print("error noise", file=sys.stderr)
    os.write(1, b"C noise\\n")
    logging.getLogger("anyone").info("logged noise")
    print("shown", file=terminal)
over.set()
late.join()
print("after")
print("error after", file=sys.stderr)
"""


def test_quiet_leaves_only_what_is_meant_for_a_person(tmp_path):
    """Python's, logging's and C's output goes to the log; the terminal gets its own, in order.

    What threads log after the end goes nowhere.
    """
    log = tmp_path / "logs" / "run.log"
    done = subprocess.run(
        [sys.executable, "-c", NOISY, str(log)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "shown\nafter\n"
    assert done.stderr == "error after\n"
    logged = log.read_text()
    assert "late noise" not in logged
    for noise in ("python noise", "error noise", "C noise", "INFO anyone: logged noise"):
        assert noise in logged


def run_stage(board):
    with board, board.stage("Trainer"):
        for epoch in range(101):
            progress.report("epochs", epoch, 100, loss=1 / (1 + epoch), eval_accuracy=0.5)


def test_plain_lines_without_a_terminal():
    """Without a terminal there are a few plain lines, the last count among them."""
    stream = io.StringIO()
    run_stage(console.Board(console.make_console(stream)))
    lines = stream.getvalue().splitlines()
    assert 5 <= len(lines) <= 15
    assert "epochs 100/100, loss 0.010, eval_accuracy 0.500" in lines[-2]
    assert re.fullmatch(
        r"✓ Trainer +done +\d+\.\d s  epochs 100/100, loss 0\.010, eval_accuracy 0\.500",
        lines[-1].strip(),
    )
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_notes_stay(terminal):
    """What a stage says in a sentence is shown with its name, also above a bar, as it is."""
    stream = io.StringIO()
    screen = rich.console.Console(file=stream, force_terminal=terminal, width=100, highlight=False)
    board = console.Board(screen)
    with board, board.stage("DriftValidator"):
        progress.report("features", 1, 2)
        progress.note("missing classes: [Rise]")
    assert re.search(r"  DriftValidator +missing classes: \[Rise\]", stream.getvalue())


def test_live_bars_on_a_terminal():
    """On a terminal the bar is drawn while the stage runs, and its result stays."""
    stream = io.StringIO()
    terminal = rich.console.Console(file=stream, force_terminal=True, width=100, highlight=False)
    run_stage(console.Board(terminal))
    shown = stream.getvalue()
    assert "\x1b" in shown
    assert "epochs 100/100" in shown
    assert "✓" in shown and " s  epochs" in shown


def test_prints_of_others_stay_off_the_terminal(capsys):
    """What a library prints while a bar is shown goes where stdout goes, not onto the board."""
    stream = io.StringIO()
    terminal = rich.console.Console(file=stream, force_terminal=True, width=40)
    with console.Board(terminal) as board, board.stage("Trainer"):
        print("noise")
        print("trouble", file=sys.stderr)
        progress.report("epochs", 1, 1, a_metric_of_a_long_name=1.0, and_another_one=2.0)
    assert capsys.readouterr() == ("noise\n", "trouble\n")
    assert "noise" not in stream.getvalue() and "trouble" not in stream.getvalue()
    last = next(line for line in stream.getvalue().splitlines() if "✓" in line)
    assert "another_one" not in last  # cropped, not wrapped


def test_how_a_stage_ended():
    """A stage is done, or cached where its body says so, or failed where it raises."""
    stream = io.StringIO()
    with console.Board(console.make_console(stream)) as board:
        with board.stage("First"):
            pass
        with board.stage("Second") as stage:
            stage.state = "cached"
        with pytest.raises(KeyboardInterrupt), board.stage("Third"):
            raise KeyboardInterrupt
    ends = [line.split()[:3] for line in stream.getvalue().splitlines()]
    assert ends == [["✓", "First", "done"], ["=", "Second", "cached"], ["✗", "Third", "failed"]]


def test_names_are_shown_as_they_are():
    """Square brackets in a name are no markup."""
    stream = io.StringIO()
    console.print_summary(console.make_console(stream), [("published", "in /data/[bold]x")])
    assert "/data/[bold]x" in stream.getvalue()
