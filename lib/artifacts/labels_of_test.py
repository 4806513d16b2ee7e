"""test_labels.csv: the true masks of the test images that have a label."""

import pandas as pd

from lib.artifacts.labels import load_labels, save_labels
from lib.artifacts.run import Run
from lib.config.fields import Config

COLUMNS = ["image", "height", "width", "subject", "sha", "spacing"]  # the last as in folds.csv


def save_test_labels(config: Config, table: pd.DataFrame | None) -> None:
    """Columns COLUMNS and the run lengths; no file where no test image has a label."""
    save_labels(Run.of(config).test_labels, COLUMNS, table)


def load_test_labels(config: Config) -> pd.DataFrame | None:
    """None where there are none, or the images are those of the setting `test`."""
    return load_labels(Run.of(config).test_labels) if config.test == "None" else None
