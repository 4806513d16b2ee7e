"""fold{k}/log.csv: a row an epoch."""

from pathlib import Path

import pandas as pd

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import save_table


def log_path(config: Config, fold: int) -> Path:
    return Run.of(config).log(fold)


def save_log(config: Config, fold: int, rows: list[dict[str, float]]) -> None:
    save_table(Run.of(config).log(fold), pd.DataFrame(rows))
