"""fold{k}/log.csv: a row an epoch."""

from pathlib import Path

import pandas as pd

from lib.artifacts.model import model_path
from lib.config.fields import Config
from lib.runtime.files import save_table

# fold{k}/log.csv: a row an epoch


def log_path(config: Config, fold: int) -> Path:
    return model_path(config, fold).with_name("log.csv")


def save_log(config: Config, fold: int, rows: list[dict[str, float]]) -> None:
    save_table(log_path(config, fold), pd.DataFrame(rows))
