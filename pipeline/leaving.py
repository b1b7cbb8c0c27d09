"""How the commands end."""

import atexit
import contextlib
import os
import signal
import sys
from typing import NoReturn, TextIO

#: Exit code after Ctrl-C, as shells have it.
INTERRUPTED = 130


def leave(exit_code: int) -> NoReturn:
    """Ends the process without unloading anything.

    C++ threads of the libraries now and then abort a process that unloads them, and with it the
    exit code. All is written by then.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def end_when_interrupted() -> None:
    """Has Ctrl-C end the process: libraries that are being imported swallow KeyboardInterrupt."""
    stderr = os.dup(2)  # the real one, also while `console.quiet` has another in its place

    def end(*unused: object) -> None:
        with contextlib.suppress(OSError):
            os.write(stderr, b"interrupted\n")
        atexit._run_exitfuncs()  # temporary folders go
        os._exit(INTERRUPTED)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup and `&` ignore it
        signal.signal(signal.SIGINT, end)


def flush_stdout() -> None:
    """Writes out what is buffered, as long as it can be told if that fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        raise OSError(error.errno, error.strerror, "stdout") from error


def discard(stream: TextIO) -> None:
    """Drops what could not be written; Python would try again at the exit, and complain."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
