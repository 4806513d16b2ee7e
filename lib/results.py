"""All that 04 finds out of fold: the images counted, the rules chosen, the scores."""

from typing import Any, NamedTuple

import pandas as pd

from lib.artifacts import Folds, load_audit, load_folds
from lib.config import Config
from lib.nested import Decided, decide_all, parts_of
from lib.scores import content, image_rows
from lib.tuning import Parts
from lib.unseen import Unseen, read_unseen


class Results(NamedTuple):
    """Of the folds asked for; `unseen` and `decided` have one entry a class."""

    config: Config
    folds: Folds
    audit: dict[str, Any]  # folds_audit.json
    unseen: Unseen
    part: Parts  # of each image: its rule was chosen without it
    decided: list[Decided]
    rows: pd.DataFrame  # oof_iou.csv
    decision: dict[str, Any]  # decision.json

    @property
    def metric(self) -> str:
        """The column of `rows` that the rule was chosen by."""
        return self.config.metric.lower()


def results_of(config: Config) -> Results:
    """Reads the probabilities of every image of the folds asked for; InputError as its parts do."""
    folds = load_folds(config)
    unseen = read_unseen(folds, config)
    part = parts_of(unseen.table, config)
    decided = decide_all(unseen, part, folds, config)
    rows = image_rows(unseen, decided, folds)
    audit = load_audit(config, folds)
    decision = content(rows, unseen, decided, folds, audit, config)
    return Results(config, folds, audit, unseen, part, decided, rows, decision)
