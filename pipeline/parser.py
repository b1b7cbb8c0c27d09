"""The parser that all commands share."""

import argparse
import sys
from typing import NoReturn


class OptionParser(argparse.ArgumentParser):
    """Says what is wrong in one line and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Prints `message` and exits."""
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        raise SystemExit(2)
