"""Submissions, of this pipeline or another's: checked, blended, compared.

    python -m tools.submission check FILE [--sample SAMPLE] [--min-area N]
    python -m tools.submission blend A B:2 [C ...] --out FILE [--votes N]
    python -m tools.submission compare A B

A submission is a .csv of the columns img,pixels, or img,class_id,pixels where there are several
classes: a row an image (and class), run lengths as in lib/rle.py, nothing for the empty mask.

check    names every fault with its line (the header is line 1), then tells how many masks are
         not empty and how large they are. Ends with status 1 where there is a fault.
blend    a pixel vote: nerve is what more than half of the votes say, or --votes of them. B:2 has
         two votes. All must name the same images; the rows stand in the order of the first.
compare  how far two submissions agree, and the images in which they differ most.

All images have one size, 420x580 unless --height and --width tell another.
"""

import argparse
import csv
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lib import rle
from lib.artifacts.submission import CLASSES, ONE_CLASS, Key, Table, save
from lib.metric import Overlap, dice, overlap
from lib.runtime.errors import InputError
from lib.runtime.progress import progress

Shape = tuple[int, int]

SHAPE: Shape = (420, 580)  # height and width of the competition's images

SHOWN = 5  # faults of one kind that are named; the others are counted

DIFFERENT_SHOWN = 10

# Of a pair of masks: 1 is added where A is not empty, 2 where B is not.
KINDS = ("both empty", "only A", "only B", "both have a mask")

QUANTILES = {"min": 0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1}


class Fault(NamedTuple):
    kind: str
    where: str
    what: str = ""  # of this one, where `kind` does not say all


class Row(NamedTuple):
    line: int  # of the file, from 1
    image: str
    name: str  # of the class; "" where there is only one
    pixels: str | None  # None where the row does not tell

    @property
    def key(self) -> Key:
        return self.image, self.name

    def __str__(self) -> str:
        return f"line {self.line} ({_named(self.key)})"


class Sheet(NamedTuple):
    """What a file holds, whatever it is worth."""

    columns: list[str]  # ONE_CLASS or CLASSES
    rows: list[Row]
    faults: list[Fault]


@dataclass(frozen=True)
class Report:
    """Of one submission."""

    table: Table  # of the rows whose masks can be read
    areas: dict[Key, int]  # of the same, in pixels
    rows: int  # of the file
    faults: list[Fault]
    notes: list[str]


def load(path: Path, shape: Shape = SHAPE) -> Table:
    """The run lengths by image and class; InputError that tells all faults, where there are any.

    `shape` is the (height, width) of every image.
    """
    report = inspected(path, shape)
    if report.faults:
        raise InputError(f"{path} cannot be used:\n{listed(report.faults)}")
    return report.table


def inspected(
    path: Path, shape: Shape = SHAPE, sample: Path | None = None, min_area: int = 0
) -> Report:
    """All that is wrong with a submission for images of `shape`, and what its masks are like.

    The images asked for are those of `sample`; without one only the rows can be looked at. A mask
    that is not empty and has fewer than `min_area` pixels is a fault. InputError where `path`
    cannot be read at all, or the sample has faults itself.
    """
    sheet = _read(path)
    table, areas, row_faults = _masks(sheet.rows, shape, min_area)
    faults, notes = [*sheet.faults, *_doubled(sheet.rows), *row_faults], []
    asked = _read_sample(sample) if sample else None
    if asked and asked.columns != sheet.columns:
        what = f"the sample has {','.join(asked.columns)}"
        faults.append(Fault("other columns than the sample", "line 1", what))
    expected = _expected(sheet, asked)
    faults += _missing_and_foreign(sheet, expected)
    if asked:
        notes += _out_of_order(sheet.rows, expected)
    else:
        notes.append("without --sample nobody knows which images are missing or foreign")
    return Report(table, areas, len(sheet.rows), faults, notes)


def listed(faults: Iterable[Fault]) -> str:
    """By kind: their number, and the first few by name."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind, []).append(fault)
    lines = []
    for kind, those in kinds.items():
        lines.append(f"  {kind}: {len(those)}")
        lines += ["    " + ": ".join(filter(None, fault[1:])) for fault in those[:SHOWN]]
        if (more := len(those) - SHOWN) > 0:
            lines.append(f"    ... and {more} more")
    return "\n".join(lines)


def blended(
    tables: Sequence[Table], weights: Sequence[int], votes: int, shape: Shape = SHAPE
) -> Table:
    """The pixels that at least `votes` of the votes call nerve; `weights` are each table's votes.

    All tables have the same keys; the result has the order of the first.
    """
    result = {}
    for key in progress(tables[0], "blending"):
        counts = np.zeros(shape, dtype=np.int32)
        for table, weight in zip(tables, weights, strict=True):
            if table[key]:
                counts += rle.decode(table[key], shape) * np.int32(weight)
        result[key] = rle.encode(counts >= votes)
    return result


def compared(first: Table, second: Table, shape: Shape = SHAPE) -> dict[Key, Overlap]:
    """Pixels by image and class: `truth` those of the first, `prediction` those of the second."""
    bar = progress(first.items(), "comparing")
    return {
        key: overlap(rle.decode(text, shape), rle.decode(second[key], shape)) for key, text in bar
    }


def require_same_images(tables: Mapping[str, Table]) -> None:
    """InputError that names the images which one of the tables, by their names, has alone."""
    (name, first), *others = tables.items()
    for other, table in others:
        if first.keys() != table.keys():
            alone = {name: first.keys() - table.keys(), other: table.keys() - first.keys()}
            faults = [
                Fault(f"only in {whose}", _named(key))
                for whose, keys in alone.items()
                for key in sorted(keys)
            ]
            raise InputError(f"{name} and {other} are of different images:\n{listed(faults)}")


def _read(path: Path) -> Sheet:
    """Line by line, so that an open quote or a missing comma spoils no other row."""
    lines = _lines(path)
    header, _ = _cells(lines[0])
    places, faults = _understood(header, path)
    rows = []
    for number, line in enumerate(lines, 1):
        if number == 1 and not places.headless:
            continue
        if not line.strip():
            faults.append(Fault("blank lines", f"line {number}"))
            continue
        row, wrong = _read_row(number, line, places)
        rows.append(row)
        faults += wrong
    if not rows:
        faults.append(Fault("no rows", "after line 1"))
    return Sheet(places.columns, rows, faults)


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is no text in UTF-8 (is it packed?)") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _cells(line: str) -> tuple[list[str], str]:
    """The values between commas, out of their quotes, and what is wrong with these."""
    if '"' not in line:
        return line.split(","), ""
    csv.field_size_limit(2**31 - 1)
    try:
        return next(csv.reader([line], strict=True)), ""
    except csv.Error as error:
        return line.split(","), str(error)


class _Places(NamedTuple):
    """Where in a line the values stand."""

    image: int
    name: int | None
    pixels: int
    width: int
    headless: bool = False  # line 1 is a row already

    @property
    def columns(self) -> list[str]:
        return ONE_CLASS if self.name is None else CLASSES

    def row(self, line: int, cells: list[str]) -> Row:
        """Of a row that is too short or too long only the names are believed."""
        image = cells[self.image] if self.image < len(cells) else ""
        name = cells[self.name] if self.name is not None and self.name < len(cells) else ""
        return Row(line, image, name, cells[self.pixels] if len(cells) == self.width else None)


def _understood(header: list[str], path: Path) -> tuple[_Places, list[Fault]]:
    """What the header says, or, with a fault, what it most likely means."""
    width = len(header)
    by_place = _Places(0, 1 if width == 3 else None, width - 1, width)
    if header in (ONE_CLASS, CLASSES):
        return by_place, []
    what = f"{','.join(header)[:80]!r}, not {','.join(ONE_CLASS)} or {','.join(CLASSES)}"
    faults = [Fault("a wrong header", "line 1", what)]
    names = [name.strip().removeprefix("\ufeff").lower() for name in header]
    if set(ONE_CLASS) <= set(names):
        name = names.index("class_id") if "class_id" in names else None
        return _Places(names.index("img"), name, names.index("pixels"), width), faults
    if width not in (2, 3):
        raise InputError(f"{path}: its header is {what}, and tells nothing")
    numbers_only = not header[-1].strip(" 0123456789")
    return by_place._replace(headless=numbers_only), faults


def _read_row(number: int, line: str, places: _Places) -> tuple[Row, list[Fault]]:
    cells, complaint = _cells(line)
    row, faults = places.row(number, cells), []
    if complaint:
        row = row._replace(pixels=None)
        faults.append(Fault("quotes that do not match", str(row), complaint))
    elif len(cells) != places.width:
        what = f"{len(cells)} values, the header has {places.width}"
        faults.append(Fault("rows that are too short or too long", str(row), what))
    elif not row.image:
        faults.append(Fault("rows without an image", f"line {number}"))
    elif places.columns is CLASSES and not row.name:
        faults.append(Fault("rows without a class", str(row)))
    return row, faults


def _masks(
    rows: list[Row], shape: Shape, min_area: int
) -> tuple[Table, dict[Key, int], list[Fault]]:
    """Run lengths and areas of the rows that hold a mask; what is wrong with the others."""
    table: Table = {}
    areas: dict[Key, int] = {}
    faults = []
    for row in progress(rows, "reading masks", unit="rows"):
        if row.pixels is None:
            continue
        try:
            area = _area(row.pixels, shape)
        except rle.RleError as error:
            # The codec's complaint without the numbers of this row is the kind.
            faults.append(Fault(re.sub(r"`.*`|^\d+", "…", str(error)), str(row), str(error)))
            continue
        if 0 < area < min_area:
            faults.append(Fault(f"masks under {min_area} pixels", str(row), f"{area} pixels"))
        if row.image:
            table.setdefault(row.key, " ".join(row.pixels.split()))
            areas.setdefault(row.key, area)
    return table, areas, faults


def _area(pixels: str, shape: Shape) -> int:
    return int(np.count_nonzero(rle.decode(pixels, shape))) if pixels else 0


def _doubled(rows: list[Row]) -> list[Fault]:
    first: dict[Key, int] = {}
    return [
        Fault("doubled rows", str(row), f"stands in line {first[row.key]} already")
        for row in rows
        if row.image and first.setdefault(row.key, row.line) != row.line
    ]


def _read_sample(path: Path) -> Sheet:
    sheet = _read(path)
    if faults := [*sheet.faults, *_doubled(sheet.rows)]:
        raise InputError(f"{path} is no sample submission:\n{listed(faults)}")
    return sheet


def _expected(sheet: Sheet, asked: Sheet | None) -> list[Key]:
    """The rows there should be: an image has a row for each class."""
    if asked and asked.columns == sheet.columns:
        return [row.key for row in asked.rows]
    images = dict.fromkeys(row.image for row in (asked or sheet).rows if row.image)
    return list(product(images, _class_names(sheet.rows)))


def _class_names(rows: list[Row]) -> list[str]:
    """In the order of the rows; [""] where no row names one."""
    return list(dict.fromkeys(row.name for row in rows if row.name)) or [""]


def _missing_and_foreign(sheet: Sheet, expected: list[Key]) -> list[Fault]:
    """Rows whose names are not whole are faults of another kind."""
    found, known = {row.key for row in sheet.rows}, set(expected)
    missing = [Fault("missing rows", _named(key)) for key in expected if key not in found]
    names = len(sheet.columns) - 1
    foreign = [row for row in sheet.rows if all(row.key[:names]) and row.key not in known]
    return missing + [Fault("rows that are not asked for", str(row)) for row in foreign]


def _out_of_order(rows: list[Row], expected: list[Key]) -> list[str]:
    lines = {row.key: row.line for row in reversed(rows)}
    order = [lines[key] for key in expected if key in lines]
    if order == sorted(order):
        return []
    moved = sum(a != b for a, b in zip(order, sorted(order), strict=True))
    return [f"{moved} rows stand in another order than the sample's; Kaggle pairs them by image"]


def _named(key: Key) -> str:
    return f"img {key[0]}, class_id {key[1]}" if key[1] else f"img {key[0]}"


def _described(areas: Mapping[Key, int]) -> str:
    """Share of masks that are not empty and their areas, in all and for each class."""
    names = list(dict.fromkeys(name for _, name in areas))
    groups = {name: [area for key, area in areas.items() if key[1] == name] for name in names}
    if len(groups) != 1:
        groups = {"all": list(areas.values()), **groups}
    return "\n".join(_described_group(name, np.array(a)) for name, a in groups.items())


def _described_group(name: str, areas: npt.NDArray[np.int64]) -> str:
    there = areas[areas > 0]
    title = f"{name}: " if name else ""
    text = f"{title}{len(there)} of {len(areas)} readable masks are not empty"
    if not len(there):
        return text
    sizes = np.quantile(there, list(QUANTILES.values()))
    shown = ", ".join(f"{q} {size:.0f}" for q, size in zip(QUANTILES, sizes, strict=True))
    return f"{text} ({len(there) / len(areas):.1%}); area in pixels: {shown}"


def _check(options: argparse.Namespace) -> bool:
    """Prints all; whether there is no fault."""
    shape = (options.height, options.width)
    report = inspected(options.file, shape, options.sample, options.min_area)
    print(f"{options.file}: {report.rows} rows for images of {shape[0]}x{shape[1]}")
    for note in report.notes:
        print(f"note: {note}")
    if report.faults:
        print(f"FAULTS: {len(report.faults)}\n{listed(report.faults)}")
    print(_described(report.areas))
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
    print(_agreement(pairs))
    print(_most_different(pairs))


def _agreement(pairs: Mapping[Key, Overlap]) -> str:
    scores: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for counts in pairs.values():
        scores[KINDS[bool(counts.truth) + 2 * bool(counts.prediction)]].append(dice(counts))
    mean = np.mean([score for values in scores.values() for score in values])
    lines = [f"mean Dice, both empty counting 1: {mean:.4f}"]
    lines += [f"  {kind:17}{len(values):6}" for kind, values in scores.items()]
    if both := scores[KINDS[3]]:
        lines[-1] += f", their mean Dice {np.mean(both):.4f}"
    return "\n".join(lines)


def _most_different(pairs: Mapping[Key, Overlap]) -> str:
    """The masks of which most pixels are in one only."""

    def different(key: Key) -> int:
        return pairs[key].truth + pairs[key].prediction - 2 * pairs[key].both

    keys = sorted(filter(different, pairs), key=different, reverse=True)
    lines = [f"{len(keys)} masks differ, most of all:" if keys else "no mask differs"]
    for key in keys[:DIFFERENT_SHOWN]:
        counts = pairs[key]
        lines.append(
            f"  {_named(key)}: {different(key)} pixels in one only "
            f"(A {counts.truth}, B {counts.prediction}), Dice {dice(counts):.3f}"
        )
    return "\n".join(lines)


def _parse_arguments() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tools.submission", description=__doc__, formatter_class=raw
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


def main(options: argparse.Namespace) -> int:
    """The exit status: 1 where a check found a fault."""
    if min(options.height, options.width) < 1:
        raise InputError("--height and --width are 1 pixel at least")
    if options.command == "check":
        return 0 if _check(options) else 1
    (_blend if options.command == "blend" else _compare)(options)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(_parse_arguments()))
    except InputError as wrong:
        sys.exit(str(wrong))
