"""test_labels.csv: the true masks of the test images that have a label."""

import pandas as pd

from lib.artifacts.folds import masks_in
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import existing, save_table

COLUMNS = ["image", "height", "width", "subject", "sha", "spacing"]  # the last as in folds.csv


def save_test_labels(config: Config, table: pd.DataFrame | None) -> None:
    """Columns COLUMNS and the run lengths; no file where no test image has a label."""
    if table is None:
        Run.of(config).test_labels.unlink(missing_ok=True)
        return
    save_table(Run.of(config).test_labels, table[[*COLUMNS, *masks_in(table)]], summed=True)


def load_test_labels(config: Config) -> pd.DataFrame | None:
    """None where there are none, or the images are those of the setting `test`."""
    path = Run.of(config).test_labels
    if config.test != "None" or not path.is_file():
        return None
    existing(path, "01_prepare_folds.py")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.astype({"height": int, "width": int})
