"""Makes every kind of fault, enough of it or for its share of the time, and prints one table.

    python -m tests.hammer [--minutes 10] [--only NAME ...] [--seed 0]

Ends with 1 where anything was lost, and says what on standard error. The same seed makes the same
faults.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.hammer.faults import FAULTS
from tests.hammer.table import HEADER, Count, hammer, losses


def main(minutes: float, only: list[str], seed: int) -> int:
    chosen = [fault for fault in FAULTS if not only or fault.name in only]
    counts: list[Count] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as in the background
    print(HEADER, flush=True)
    end = time.monotonic() + 60 * minutes
    for number, fault in enumerate(chosen):
        share = (end - time.monotonic()) / (len(chosen) - number)
        with tempfile.TemporaryDirectory() as folder:
            counts.append(hammer(fault, Path(folder) / "fault", share, seed))
        print(counts[-1].row, flush=True)
        for line in losses(counts[-1:]):
            print(line, file=sys.stderr, flush=True)
    return 1 if losses(counts) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", choices=[fault.name for fault in FAULTS]
    )
    words = parser.parse_args()
    sys.exit(main(words.minutes, words.only, words.seed))
