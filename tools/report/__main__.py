"""python -m tools.report runs/x: makes report.html anew."""

import argparse
import sys
from pathlib import Path

from lib.runtime.errors import InputError

ABOUT = """\
Makes report.html of a run anew, from what the four scripts left in its folder. If you name other
runs, their scores stand beside those of the first. Give the settings again that 02 to 04 were given
on top of the run's config.yaml. Folds without probabilities are left out, and the page names them.

    python -m tools.report runs/x [runs/y ...] [key=value ...]"""


def main(words: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(
        "python -m tools.report",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", help="run folders, and key=value settings")
    given = parser.parse_args(words).runs
    from tools.report.page import write_report  # slow to load
    from tools.report.run import read_run

    runs = [Path(word) for word in given if "=" not in word or Path(word).is_dir()]
    overrides = [word for word in given if Path(word) not in runs]
    if not runs:
        raise InputError("which run? Give a folder, such as runs/nerve")
    return write_report(read_run(runs[0], overrides), runs[1:])


if __name__ == "__main__":
    try:
        print(main())
    except InputError as wrong:
        sys.exit(str(wrong))
