"""python -m tools.submission check, blend or compare."""

import argparse
import re
import sys
from pathlib import Path

import tools.submission
from lib.artifacts.submission import save
from lib.runtime.errors import InputError
from tools.submission.agreement import agreement, compared, most_different
from tools.submission.blend import blended, require_same_images
from tools.submission.check import SHAPE, described, inspected, load
from tools.submission.faults import listed


def main(options: argparse.Namespace) -> int:
    """The exit status: 1 where a check found a fault."""
    if min(options.height, options.width) < 1:
        raise InputError("--height and --width are 1 pixel at least")
    if options.command == "check":
        return 0 if _check(options) else 1
    if options.command == "blend":
        _blend(options)
    else:
        _compare(options)
    return 0


def _check(options: argparse.Namespace) -> bool:
    """Prints all; whether there is no fault."""
    shape = (options.height, options.width)
    report = inspected(options.file, shape, options.sample, options.min_area)
    print(f"{options.file}: {report.rows} rows for images of {shape[0]}x{shape[1]}")
    for note in report.notes:
        print(f"note: {note}")
    if report.faults:
        print(f"FAULTS: {len(report.faults)}\n{listed(report.faults)}")
    print(described(report.areas))
    print("NOT SOUND" if report.faults else "no faults")
    return not report.faults


def _blend(options: argparse.Namespace) -> None:
    shape = (options.height, options.width)
    weighted = [_weighted(word) for word in options.files]
    total = sum(weight for _, weight in weighted)
    votes = total // 2 + 1 if options.votes is None else options.votes
    if len(weighted) < 2:
        raise InputError("a blend needs two files at least")
    if not 0 < votes <= total:
        raise InputError(f"--votes {votes}: the files have {total} votes: choose 1 to {total}")
    tables = [load(path, shape) for path, _ in weighted]
    # Numbered, as one file may stand there twice.
    names = [f"{path} (file {number})" for number, (path, _) in enumerate(weighted, 1)]
    require_same_images(dict(zip(names, tables, strict=True)))
    result = blended(tables, [weight for _, weight in weighted], votes, shape)
    save(options.out, result)
    for name, table in zip([*names, options.out], [*tables, result], strict=True):
        print(f"{name}: {sum(map(bool, table.values()))} of {len(table)} masks are not empty")
    print(f"pixels of at least {votes} of {total} votes: {options.out}")


def _weighted(word: str) -> tuple[Path, int]:
    """A file and its votes, as in A.csv or A.csv:2."""
    name, colon, weight = word.rpartition(":")
    if not colon or Path(word).is_file():
        return Path(word), 1
    if not re.fullmatch(r"[1-9][0-9]{0,2}", weight):
        raise InputError(f"{word}: no such file, and votes are 1 to 999, as in {name}:2")
    return Path(name), int(weight)


def _compare(options: argparse.Namespace) -> None:
    shape = (options.height, options.width)
    first, second = load(options.a, shape), load(options.b, shape)
    require_same_images({f"A = {options.a}": first, f"B = {options.b}": second})
    pairs = compared(first, second, shape)
    print(f"A = {options.a}, B = {options.b}: {len(pairs)} masks")
    print(agreement(pairs))
    print(most_different(pairs))


def _parse_arguments() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    about = (tools.submission.__doc__ or "").partition("\nBegin with")[0]
    parser = argparse.ArgumentParser(
        "python -m tools.submission", description=about, formatter_class=raw
    )
    commands = parser.add_subparsers(dest="command", required=True)
    size = argparse.ArgumentParser(add_help=False)
    size.add_argument("--height", type=int, default=SHAPE[0], help="of the images (%(default)s)")
    size.add_argument("--width", type=int, default=SHAPE[1], help="of the images (%(default)s)")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, parents=[size])

    check = command("check", "names every fault of a submission; status 1 where there is one")
    check.add_argument("file", type=Path)
    check.add_argument("--sample", type=Path, help="the competition's sample_submission.csv")
    about = "count smaller masks that are not empty as faults"
    check.add_argument("--min-area", type=int, default=0, metavar="PIXELS", help=about)
    blend = command("blend", "lets submissions of the same images vote on every pixel")
    about = "A.csv, or A.csv:2 for two votes"
    blend.add_argument("files", nargs="+", metavar="FILE[:VOTES]", help=about)
    blend.add_argument("--out", type=Path, required=True, help="the submission to write")
    blend.add_argument("--votes", type=int, help="so many make a pixel nerve (more than half)")
    compare = command("compare", "tells how far two submissions of the same images agree")
    compare.add_argument("a", type=Path, metavar="A")
    compare.add_argument("b", type=Path, metavar="B")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main(_parse_arguments()))
    except InputError as wrong:
        sys.exit(str(wrong))
