"""python -m tools.scoring runs/x: writes the scoring pipeline of a finished run."""

import argparse
import sys
from pathlib import Path

from lib.artifacts.run import Run
from lib.runtime.errors import InputError

ABOUT = """\
Writes RUN/scoring: the networks and the rule of a finished run as one folder that makes masks of
ultrasound images. It needs neither torch nor this repository; its README.md says how to use it."""


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tools.scoring", description=ABOUT)
    parser.add_argument("run", type=Path, help="folder of a finished run, such as runs/nerve")
    given = parser.parse_args(words)
    from tools.scoring.export import export  # slow to load: it brings torch

    print(f"the scoring pipeline: {export(Run(given.run).config())}")


if __name__ == "__main__":
    try:
        main()
    except InputError as wrong:
        sys.exit(str(wrong))
