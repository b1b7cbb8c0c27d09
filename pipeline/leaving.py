"""How the commands end."""

import atexit
import os
import sys
from typing import NoReturn


def leave(exit_code: int) -> NoReturn:
    """Ends the process without unloading anything.

    C++ threads of the libraries now and then abort a process that unloads them, and with it the
    exit code. All is written by then.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
