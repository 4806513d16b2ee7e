"""A .csv or .parquet file -> cells as texts."""

import csv
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.runtime.errors import InputError


def read_table(path: Path, name: str) -> pd.DataFrame:
    """All cells as texts, or lists of texts; a missing value is "".

    Columns are told by names, separated by commas, semicolons or tabs (pandas would read the image
    001 as 1, and an empty run length as no number).
    """
    if not path.is_file():
        raise InputError(f"{name}={path}: there is no such file")
    try:
        if path.suffix.lower() in (".pq", ".parquet"):
            table = pd.read_parquet(path)
        else:
            table = _read_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a table that can be read ({error})") from None
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    if (doubles := table.columns[table.columns.duplicated()]).size:
        raise InputError(f"{path}: the column {doubles[0]} stands there twice")
    # Its own index goes: a parquet file brings one, which may repeat.
    return table.reset_index(drop=True).map(text_of)


def _read_csv(path: Path) -> pd.DataFrame:
    """Strict, where pandas would cut a row that is too long and fill one that is too short."""
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        separator = max(",;\t", key=file.readline().count)
        file.seek(0)
        reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
        header = [name.strip() for name in next(reader, [])]
        rows = []
        for row in filter(None, reader):
            if len(row) != len(header):
                raise ValueError(
                    f"line {reader.line_num} has {len(row)} values, the header {len(header)} names"
                )
            rows.append(row)
    return pd.DataFrame(rows, columns=header, dtype=str)


def text_of(value: Any) -> str | list[str]:
    """Of one cell: a text without blanks around it, or the texts of a list."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [str(text_of(item)) for item in value]
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():  # of a column with gaps
        value = int(value)
    return str(value).strip()


def require_columns(table: pd.DataFrame, columns: Iterable[str], origin: str) -> None:
    for column in columns:
        if column not in table.columns:
            near = difflib.get_close_matches(column, table.columns, n=1)
            raise InputError(
                f"{origin} has no column {column!r}, only {', '.join(table.columns)}"
                + (f"; did you mean {near[0]}?" if near else "")
            )
