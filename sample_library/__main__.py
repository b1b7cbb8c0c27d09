"""Makes the sample library: `python -m sample_library --out FILE [--seed N] [--hard]`."""

import argparse
import logging
import sys
from pathlib import Path

from sample_library.library import SEED, make_library


def main(arguments: list[str] | None = None) -> int:
    """Makes the library that the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sample_library", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="zip to be made")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--hard", action="store_true", help="add noise, camera shake, distractors and occlusion"
    )
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed must be at least 0, got {options.seed}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(make_library(options.out, seed=options.seed, hard=options.hard))
    return 0


if __name__ == "__main__":
    sys.exit(main())
