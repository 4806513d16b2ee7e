"""python -m tools.compare runs/a runs/b ...: is run b better than run a?"""

import argparse
import sys
from pathlib import Path

import tools.compare
from lib.runtime.errors import InputError
from tools.compare.comparison import compared_runs
from tools.compare.several import side_by_side
from tools.compare.text import leaderboard, report


def main(words: list[str] | None = None) -> None:
    about = (tools.compare.__doc__ or "").partition("\nBegin with")[0]
    parser = argparse.ArgumentParser(
        "python -m tools.compare",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", type=Path, help="folder of the run to compare with, such as runs/a")
    parser.add_argument("b", type=Path, nargs="+", help="folders of the runs in question")
    parser.add_argument("--page", type=Path, help="default: compare.html beside run a")
    given = parser.parse_args(words)
    found = side_by_side([given.a, *given.b])
    if len(given.b) == 1:
        print(report(compared_runs(given.a, given.b[0]), str(given.a), str(given.b[0])))
    else:
        print(leaderboard(found))
    from tools.compare.page import write_page  # slow to load

    print(write_page(found, given.page or given.a.parent / "compare.html"))


if __name__ == "__main__":
    try:
        main()
    except InputError as wrong:
        sys.exit(str(wrong))
