"""What holds for all tests."""

import signal


def pytest_configure():
    """Has Ctrl-C reach what tests start, also where they run in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
