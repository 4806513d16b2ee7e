"""A submission -> all that is wrong with it, and what its masks are like."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lib import rle
from lib.artifacts.submission import Key, Table
from lib.runtime.errors import InputError
from lib.runtime.progress import progress
from tools.submission.faults import Fault, listed, named
from tools.submission.rows import Row, Sheet, read

Shape = tuple[int, int]

SHAPE: Shape = (420, 580)  # height and width of the competition's images

QUANTILES = {"min": 0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1}


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
    sheet = read(path)
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
    sheet = read(path)
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
    missing = [Fault("missing rows", named(key)) for key in expected if key not in found]
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


def described(areas: Mapping[Key, int]) -> str:
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
