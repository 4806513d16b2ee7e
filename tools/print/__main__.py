"""python -m tools.print runs/x: writes what a paper needs of a run."""

import argparse
import sys
from pathlib import Path

from lib.runtime.errors import InputError

ABOUT = """\
Writes runs/x/print/: figures as SVG, PDF and PNG at 85 and 174 mm, tables as LaTeX and CSV, the
text of methods and results, a model card, a card of the data, the items of CLAIM 2024, and a figure
of examples. The run has gone through all four scripts. Give the settings again that 02 to 04 were
given on top of the run's config.yaml.

    python -m tools.print runs/x [key=value ...]"""


def main(words: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(
        "python -m tools.print",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder of the run, such as runs/nerve")
    parser.add_argument("settings", nargs="*", metavar="key=value")
    given = parser.parse_args(words)
    from tools.print.folder import write_print  # slow to load
    from tools.print.sources import read_finished

    return write_print(read_finished(given.run, given.settings))


if __name__ == "__main__":
    try:
        print(main())
        print("It names people and images as the data do: look it through before you publish it.")
    except InputError as wrong:
        sys.exit(str(wrong))
