"""The command line of the export: see tools/scoring/export.py."""

import argparse
import sys
from pathlib import Path

from lib.runtime.errors import InputError
from tools.scoring import export


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.scoring", description=export.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, help="folder of a finished run, such as runs/nerve")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        print(f"the scoring pipeline: {export.export(export.config_of(_parse_arguments().run))}")
    except InputError as wrong:
        sys.exit(str(wrong))
