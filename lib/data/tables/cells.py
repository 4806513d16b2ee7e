"""A .csv, .tsv, .txt or .parquet file -> cells as texts, and which of its columns tells what."""

import codecs
import csv
import difflib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from lib.config.fields import DEFAULTS, Config
from lib.data.pictures.arrays import PICTURE_SUFFIXES, ImageFile, composed
from lib.runtime.errors import InputError

TABLES = (".csv", ".tsv", ".pq", ".parquet")  # looked for in a folder
CELL_LIMIT = 32_767  # characters: what Excel keeps of a cell
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
WORKBOOK_STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # of a zip, and of Excel's before 2007
# The words that programs write where there is no mask.
NOTHING = {"", "-1", "nan", "none", "null", "na", "n/a", "<na>", "[]"}
MOST_CLASSES = 50
# images/a (1).png, of a line that may go on with the name of a mask.
_ENDS = "|".join(re.escape(suffix) for suffix in sorted(PICTURE_SUFFIXES, reverse=True))
PICTURE_NAME = re.compile(rf"(.+?(?:{_ENDS}|\.dcm))(?=[\s,;]|$)", re.IGNORECASE)


class Usual(NamedTuple):
    """The names that people give to the column which a setting names, in small letters."""

    setting: str
    names: tuple[str, ...]


IMAGES = Usual(
    "image_column",
    ("image", "imageid", "image_id", "img", "id", "filename", "file_name", "image_path", "path"),
)
RUNS = Usual(
    "rle_mask_column",
    ("rle_mask", "encodedpixels", "rle", "mask_rle", "pixels", "segmentation", "annotation"),
)
MASK_FILES = Usual(
    "rle_mask_column",
    ("mask", "mask_path", "mask_file", "mask_filename", "label", "label_path", "segmentation"),
)
CLASSES = Usual("class_name_column", ("class_id", "classid", "class", "label", "category"))
SUBJECTS = Usual(
    "group_fold_column", ("subject", "patient", "patient_id", "patientid", "case", "subject_id")
)
LABELS = {*RUNS.names, *MASK_FILES.names}  # columns of these names tell masks
IMAGES_WITH_CLASS = ("imageid_classid", "image_label")  # "0002cc93b.jpg_1"


class Recognised(NamedTuple):
    table: pd.DataFrame  # its columns called as the settings call them
    labels: bool  # it tells masks, and not names alone
    mask_files: bool  # rle_mask_column holds the paths of mask files
    class_guessed: bool  # no setting named the column of the class


def read_table(path: Path, name: str) -> pd.DataFrame:
    """All cells as texts, or lists of texts; a missing value is "".

    Columns are told by names, separated by commas, semicolons or tabs (pandas would read the image
    001 as 1, and an empty run length as no number).
    """
    if not path.is_file():
        raise InputError(f"{name}={path}: there is no such file")
    with _readable(path):
        if _is_parquet(path):
            table = _read_parquet(path)
        elif path.suffix.lower() == ".txt" and (names := _listed_in(path)):
            table = pd.DataFrame({DEFAULTS.image_column: names}, dtype=str)
        else:
            table = _read_csv(path)
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    table.columns = pd.Index([str(column).strip() for column in table.columns])
    if (doubles := table.columns[table.columns.duplicated()]).size:
        raise InputError(f"{path}: the column {doubles[0]} stands there twice")
    # Its own index goes: a parquet file brings one, which may repeat.
    with _readable(path):  # the texts of a parquet file are decoded now
        return table.reset_index(drop=True).map(text_of)


def columns_in(path: Path) -> list[str]:
    """The names of a table's columns; its rows are not looked at. InputError as `read_table`."""
    with _readable(path):
        if _is_parquet(path):
            from pyarrow import parquet  # slow to load

            names = parquet.read_schema(path).names
        else:
            _, names = next(_rows_of_csv(path), (0, []))
    return [str(name).strip() for name in names]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """InputError where the file is no table."""
    try:
        _refuse_workbook(path)
        yield
    except (OSError, ValueError, csv.Error, ArrowException) as error:
        raise InputError(f"{path}: not a table that can be read ({error})") from None


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # what pandas raises for metadata has no common base
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".pq", ".parquet")


def _refuse_workbook(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix.lower() in WORKBOOKS or start in WORKBOOK_STARTS:
        raise InputError(
            f"{path}: a spreadsheet's own format: save the sheet as CSV and give that file (its "
            f"cells keep {CELL_LIMIT:,} characters at most: longer run lengths are cut there)"
        )


def _read_csv(path: Path) -> pd.DataFrame:
    """Strict, where pandas would cut a row that is too long and fill one that is too short."""
    lines = _rows_of_csv(path)
    header = [name.strip() for name in next(lines, (0, []))[1]]
    rows = []
    for number, row in lines:
        if not any(row):  # a spreadsheet writes empty rows too
            continue
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} values, the header {len(header)} names")
        rows.append(row)
    if len(header) == 1 and PICTURE_NAME.fullmatch(header[0]):  # names without a header
        rows, header = [header, *rows], [DEFAULTS.image_column]
    return _without_empty_ends(pd.DataFrame(rows, columns=header, dtype=str))


def _rows_of_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each with the number of its line; the first is the header."""
    csv.field_size_limit(2**31 - 1)
    with io.StringIO(_text_in(path), newline="") as file:
        separator = max(",;\t", key=file.readline().count)
        file.seek(0)
        reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
        for row in reader:
            yield reader.line_num, row


def _listed_in(path: Path) -> list[str]:
    """Names, one a line, of which a mask's may stand behind; [] for a table with a header."""
    lines = [line.strip() for line in _text_in(path).splitlines() if line.strip()]
    matches = [PICTURE_NAME.match(line) for line in lines]
    if any(re.search("[,;\t]", line) for line in lines) and not all(matches):
        return []
    names = [match[1] if match else line for match, line in zip(matches, lines, strict=True)]
    return names[1:] if names and small(names[0]) in IMAGES.names else names


def _text_in(path: Path) -> str:
    """UTF-16 where its mark stands ahead, else UTF-8, else the code page of western Windows."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252")
            print(f"{path} is not in UTF-8: it is read as cp1252, which older programs write")
    if "\0" in text:
        raise ValueError("it holds zero bytes: save it as CSV in UTF-8")
    return text


def _without_empty_ends(table: pd.DataFrame) -> pd.DataFrame:
    """Without the columns behind the last name, which a spreadsheet writes: `image,subject,,`."""
    width = table.shape[1]
    while width and not table.columns[width - 1] and not table.iloc[:, width - 1].any():
        width -= 1
    return table.iloc[:, :width]


def text_of(value: Any) -> str | list[str]:
    """Of one cell: a text without blanks around it, or the texts of a list."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [str(text_of(item)) for item in value]
    if isinstance(value, dict):
        return json.dumps(value, default=_plain)
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():  # of a column with gaps
        value = int(value)
    text = str(value)
    return text if len(text) == CELL_LIMIT else text.strip()  # a cut one is to be told as such


def _plain(value: Any) -> Any:
    """Of a parquet file's dictionaries: what JSON can hold."""
    if isinstance(value, bytes):
        return value.decode()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def is_nothing(text: str) -> bool:
    """Whether a cell tells that there is no mask: "", "-1", "nan", "None" and their like."""
    return text.strip().casefold() in NOTHING


def require_columns(table: pd.DataFrame, columns: Iterable[str], origin: str) -> None:
    for column in columns:
        if column not in table.columns:
            near = difflib.get_close_matches(column, table.columns, n=1)
            raise InputError(
                f"{origin} has no column {column!r}, only {', '.join(table.columns)}"
                + (f"; did you mean {near[0]}?" if near else "")
            )


def found_in(cell: str, files: Mapping[str, ImageFile]) -> str | None:
    """The name in `files` that a cell means, which may be a path, also one of another machine.

    The cell itself, else what is left of it when its folders are dropped, one by one, until there
    is such a name; None where there is none.
    """
    name = composed(cell)
    if name in files:
        return name
    return next(
        (tail for tail in ("/".join(parts) for parts in tails(name)) if tail in files), None
    )


def tails(path: str) -> list[tuple[str, ...]]:
    r"""C:\a\b.png -> its parts C:, a, b.png, then a, b.png, then b.png."""
    parts = tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))
    return [parts[start:] for start in range(len(parts))]


def recognised(
    table: pd.DataFrame, config: Config, origin: str, files: Mapping[str, ImageFile] | None = None
) -> Recognised:
    """The table with its columns renamed as the settings call them, where names are usual ones.

    A column that a setting names is taken for it. Where a setting has its default, and there is no
    column of that name, one of a usual name is taken, which is told. InputError where two fit.
    """
    taken: dict[str, str] = {}
    table = _with_image(table, config, origin, files or {}, taken)
    mask_files, guessed = False, False
    labels = config.mask_folder == "None" or holds_runs(table, config)
    if labels:
        table = _with_masks(table, config, origin, taken)
        runs = config.rle_mask_column
        mask_files = runs in table.columns and _holds_paths(table[runs])
        before = set(taken)
        table = _renamed(table, CLASSES, _classes_in(table, config), config, origin, taken)
        guessed = set(taken) != before
    if "subject" not in table.columns:
        fitting = _distinct(table, _candidates(table, SUBJECTS, config))
        table = _renamed(table, SUBJECTS, fitting, config, origin, taken)
    _say(taken, origin)
    return Recognised(table, labels, mask_files, guessed)


def with_image_column(
    table: pd.DataFrame, config: Config, origin: str, files: Mapping[str, ImageFile] | None = None
) -> pd.DataFrame:
    """As `recognised`, for a table of which only the images count, as that of a test set."""
    taken: dict[str, str] = {}
    table = _with_image(table, config, origin, files or {}, taken)
    _say(taken, origin)
    return table


def _say(taken: Mapping[str, str], origin: str) -> None:
    if taken:
        told = ", ".join(f"{column} as {setting}" for column, setting in taken.items())
        print(f"{origin}: columns are taken by their usual names: {told}")


def _candidates(table: pd.DataFrame, usual: Usual, config: Config) -> list[str]:
    """Columns of a usual name, the most usual first; none where the setting names one itself."""
    wanted = getattr(config, usual.setting)
    if wanted in table.columns or wanted != getattr(DEFAULTS, usual.setting):
        return []
    return [c for name in usual.names for c in table.columns if small(c) == name]


def small(column: str) -> str:
    """Image ID -> image_id."""
    return re.sub(r"[\s-]+", "_", column.casefold())


def _renamed(
    table: pd.DataFrame,
    usual: Usual,
    fitting: list[str],
    config: Config,
    origin: str,
    taken: dict[str, str],
) -> pd.DataFrame:
    """The one that fits now has the setting's name, and stands in `taken`."""
    if len(fitting) > 1:
        first, second = fitting[:2]
        raise InputError(
            f"{origin}: the columns {first} and {second} both fit: set "
            f"{usual.setting}={first} or {usual.setting}={second}"
        )
    for column in fitting:
        taken[column] = usual.setting
        table = table.rename(columns={column: getattr(config, usual.setting)})
    return table


def _with_image(
    table: pd.DataFrame,
    config: Config,
    origin: str,
    files: Mapping[str, ImageFile],
    taken: dict[str, str],
) -> pd.DataFrame:
    columns = _candidates(table, IMAGES, config)
    if not columns and len(table.columns) == 1 and config.image_column == DEFAULTS.image_column:
        columns = [c for c in table.columns if c != config.image_column]
    if not columns:
        return _split(table, config, origin, taken)
    if len(columns) > 1 and files:
        columns = _of_images(table, columns, files) or columns
    return _renamed(table, IMAGES, columns, config, origin, taken)


def _of_images(
    table: pd.DataFrame, columns: list[str], files: Mapping[str, ImageFile]
) -> list[str]:
    """The columns that name images; one of those that name the same."""
    meant: list[list[ImageFile | None]] = []
    fitting = []
    for column in columns:
        names = [found_in(cell, files) if isinstance(cell, str) else None for cell in table[column]]
        images = [files[name] if name else None for name in names]
        if any(names) and images not in meant:
            meant.append(images)
            fitting.append(column)
    return fitting


def _split(table: pd.DataFrame, config: Config, origin: str, taken: dict[str, str]) -> pd.DataFrame:
    """A column ImageId_ClassId as two."""
    usual = IMAGES._replace(names=IMAGES_WITH_CLASS)
    for column in _candidates(table, usual, config)[:1]:
        parts = table[column].map(lambda cell: str(cell).rpartition("_"))
        if (alone := parts.map(lambda three: not three[0])).any():
            cell = table.loc[alone, column].iloc[0]
            raise InputError(f"{origin}: column {column} holds {cell!r}: IMAGE_CLASS was expected")
        table = table.assign(**{config.image_column: parts.str[0]})
        if config.class_name_column not in table.columns:
            table = table.assign(**{config.class_name_column: parts.str[2]})
        taken[column] = "image_column and, behind the last _, class_name_column"
    return table


def _with_masks(
    table: pd.DataFrame, config: Config, origin: str, taken: dict[str, str]
) -> pd.DataFrame:
    """Run lengths, or paths of mask files, whichever a column of a usual name holds."""
    columns = _candidates(table, RUNS, config)
    files = [c for c in _candidates(table, MASK_FILES, config) if _holds_paths(table[c])]
    runs = [c for c in columns if c not in files and _holds_runs(table[c])]
    return _renamed(table, RUNS, runs + files or columns, config, origin, taken)


def _classes_in(table: pd.DataFrame, config: Config) -> list[str]:
    columns = [
        column
        for column in _candidates(table, CLASSES, config)
        if not _holds_paths(table[column]) and table[column].map(str).nunique() <= MOST_CLASSES
    ]
    return _distinct(table, columns)


def _distinct(table: pd.DataFrame, columns: list[str]) -> list[str]:
    """Without the columns that divide the rows as one before them does."""
    kept: dict[tuple[int, ...], str] = {}
    for column in columns:
        kept.setdefault(tuple(pd.factorize(table[column].map(str))[0].tolist()), column)
    return list(kept.values())


def _holds_paths(cells: pd.Series) -> bool:
    """Whether most of those that are not empty end as the names of pictures do."""
    told = [c for c in cells if isinstance(c, list) or not is_nothing(c)]
    pictures = [c for c in told if str(c).strip("[]'\" ").lower().endswith(tuple(PICTURE_SUFFIXES))]
    return len(pictures) > len(told) / 2


def holds_runs(table: pd.DataFrame, config: Config) -> bool:
    """Whether the column of masks, by its setting or a usual name, holds run lengths."""
    own = [config.rle_mask_column] if config.rle_mask_column in table.columns else []
    return any(_holds_runs(table[column]) for column in own or _candidates(table, RUNS, config))


def _holds_runs(cells: pd.Series) -> bool:
    told = [c for c in cells if isinstance(c, list) or not is_nothing(c)]
    runs = [c for c in told if isinstance(c, list) or re.match(r"[\[{]|\d+\s+\d+", c)]
    return len(runs) > len(told) / 2
