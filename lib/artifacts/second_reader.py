"""second_reader.csv: the masks of a second person, of training images that both labelled."""

import pandas as pd

from lib.artifacts.folds import masks_in
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import existing, save_table

COLUMNS = ["image", "height", "width"]


def save_second_reader(config: Config, table: pd.DataFrame | None) -> None:
    """Columns COLUMNS and the run lengths, as in folds.csv; no file without a second reader."""
    if table is None:
        Run.of(config).second_reader.unlink(missing_ok=True)
        return
    save_table(Run.of(config).second_reader, table[[*COLUMNS, *masks_in(table)]], summed=True)


def load_second_reader(config: Config) -> pd.DataFrame | None:
    """None where 01 was given no second reader."""
    path = Run.of(config).second_reader
    if not path.is_file():
        return None
    existing(path, "01_prepare_folds.py")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.astype({"height": int, "width": int})
