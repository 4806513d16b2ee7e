"""python -m tools.phantom FOLDER: draws a data set of ultrasound frames with a nerve."""

import argparse
import sys
from pathlib import Path

from lib.runtime.errors import InputError
from tools.phantom.dataset import generate
from tools.phantom.formats import FORMATS
from tools.phantom.plan import Settings

HELP = {
    "subjects": "people to train on",
    "frames": "frames of each of them",
    "test_subjects": "people to test on",
    "test_frames": "frames of each of them",
    "seed": "another number draws other people",
}


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tools.phantom",
        description="Draws a data set of ultrasound frames with a nerve, and its labels.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a new folder for the data set")
    for name, text in HELP.items():
        default = getattr(Settings, name)
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=default, metavar="N", help=text)
    parser.add_argument("--vessel", action="store_true", help="label the great vessel too")
    second = "write second_reader.csv too: what another person would label"
    parser.add_argument("--second-reader", action="store_true", help=second)
    layout = "the layout of the data set"
    parser.add_argument("--format", choices=FORMATS, default=Settings.format, help=layout)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        generate(**vars(_parse_arguments()))
    except InputError as wrong:
        sys.exit(str(wrong))
