"""Tables of masks beside those of folds.csv: of the test images, of a second reader."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lib.artifacts.folds import masks_in
from lib.runtime.files import existing, save_table


def save_labels(path: Path, columns: Sequence[str], table: pd.DataFrame | None) -> None:
    """The columns and the run lengths, as in folds.csv; without a table no such file."""
    if table is None:
        path.unlink(missing_ok=True)
        return
    save_table(path, table[[*columns, *masks_in(table)]], summed=True)


def load_labels(path: Path) -> pd.DataFrame | None:
    """Texts, but height and width; None where there is no such file. 01 makes it."""
    if not path.is_file():
        return None
    existing(path, "01_prepare_folds.py")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.astype({"height": int, "width": int})
