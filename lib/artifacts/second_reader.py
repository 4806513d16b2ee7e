"""second_reader.csv: the masks of a second person, of training images that both labelled."""

import pandas as pd

from lib.artifacts.labels import load_labels, save_labels
from lib.artifacts.run import Run
from lib.config.fields import Config

COLUMNS = ["image", "height", "width"]


def save_second_reader(config: Config, table: pd.DataFrame | None) -> None:
    """Columns COLUMNS and the run lengths; no file without a second reader."""
    save_labels(Run.of(config).second_reader, COLUMNS, table)


def load_second_reader(config: Config) -> pd.DataFrame | None:
    """None where 01 was given no second reader."""
    return load_labels(Run.of(config).second_reader)
