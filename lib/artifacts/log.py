"""fold{k}/log.csv: a row an epoch."""

import pandas as pd

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import save_table


def save_log(config: Config, fold: int, rows: list[dict[str, float]]) -> None:
    save_table(Run.of(config).log(fold), pd.DataFrame(rows), summed=True)
