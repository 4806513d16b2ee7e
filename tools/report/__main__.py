"""The command line of the report: see tools/report/page.py."""

import argparse
import sys

from lib.runtime.errors import InputError
from tools.report import page


def _parse_arguments() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tools.report", description=page.__doc__, formatter_class=raw
    )
    parser.add_argument("runs", nargs="+", help="run folders, and key=value settings")
    return parser.parse_args()


if __name__ == "__main__":
    given = _parse_arguments()
    try:
        print(page.main(given.runs))
    except InputError as wrong:
        sys.exit(str(wrong))
