"""python -m tools.compare runs/a runs/b: is run b better than run a?"""

import argparse
import sys
from pathlib import Path

import tools.compare
from lib.runtime.errors import InputError
from tools.compare.comparison import compared_runs
from tools.compare.text import report


def main(words: list[str] | None = None) -> None:
    about = (tools.compare.__doc__ or "").partition("\nBegin with")[0]
    parser = argparse.ArgumentParser(
        "python -m tools.compare",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", type=Path, help="folder of the run to compare with, such as runs/a")
    parser.add_argument("b", type=Path, help="folder of the run in question")
    given = parser.parse_args(words)
    print(report(compared_runs(given.a, given.b), str(given.a), str(given.b)))


if __name__ == "__main__":
    try:
        main()
    except InputError as wrong:
        sys.exit(str(wrong))
