"""The command line of the phantom: see tools/phantom/dataset.py."""

import argparse
import sys
from pathlib import Path

from lib.runtime.errors import InputError
from tools.phantom import dataset
from tools.phantom.dataset import Settings, generate
from tools.phantom.formats import FORMATS


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(dataset.__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name in ("subjects", "frames", "test_subjects", "test_frames", "seed"):
        default = getattr(Settings, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--vessel", action="store_true", help="a second class")
    parser.add_argument("--format", choices=FORMATS, default=Settings.format)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        generate(**vars(_parse_arguments()))
    except InputError as wrong:
        sys.exit(str(wrong))
