"""All that 04 finds out of fold: the images counted, the rules chosen, the scores."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.artifacts.audit import load_audit
from lib.artifacts.folds import Folds, load_folds
from lib.artifacts.probabilities import Probability
from lib.config.fields import Config
from lib.decision.evidence import Unseen, read_unseen
from lib.decision.nested import Decided, decide_all, parts_of
from lib.decision.rule import Mask, decide
from lib.decision.scores import content, image_rows
from lib.decision.search import Parts
from lib.metric import Metric


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
    def metric(self) -> Metric:
        """What the rule was chosen by."""
        return Metric(self.config.metric)

    def masks_of(
        self,
        row: Mapping[str, Any],
        planes: Probability,
        presence: npt.NDArray[np.float32],
    ) -> list[Mask]:
        """One a class, as the image is scored: by the rule that was chosen without its part.

        `row` is one of `unseen.table` and its number `place`; `planes` (classes, height, width) and
        `presence` (classes,) are of its probability file.
        """
        part = int(self.part[row["place"]])
        rules = [found.nested_rules[part] for found in self.decided]
        of_classes = zip(planes, presence.tolist(), rules, strict=True)
        return [decide(*of_class) for of_class in of_classes]


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
