"""All that 04 finds out of fold: the images counted, the rules chosen, the scores."""

from typing import Any, NamedTuple

import pandas as pd

from lib import rle
from lib.artifacts.audit import load_audit
from lib.artifacts.folds import Folds, load_folds
from lib.artifacts.masks import Drawn
from lib.config.fields import Config
from lib.decision.evidence import Unseen, read_unseen
from lib.decision.measures import measured, told_measures
from lib.decision.nested import Decided, decide_all, parts_of
from lib.decision.rule import Mask, Rule
from lib.decision.scores import content, image_rows
from lib.decision.search import Parts
from lib.decision.strata import strata_of
from lib.decision.trust import expectations, trust_content, trust_tables
from lib.metric import Metric
from lib.quality.expected import Expectation


class Results(NamedTuple):
    """Of the folds asked for; `unseen` and `decided` have one entry a class."""

    config: Config
    folds: Folds
    audit: dict[str, Any]  # folds_audit.json
    unseen: Unseen
    part: Parts  # of each image: its rule was chosen without it
    decided: list[Decided]
    drawn: dict[str, Drawn]  # the masks that are scored, by image
    rows: pd.DataFrame  # oof_iou.csv
    expected: list[Expectation]  # of new masks
    decision: dict[str, Any]  # decision.json
    readers: pd.DataFrame | None = None  # readers.csv, where lib/readers has added it

    @property
    def metric(self) -> Metric:
        """What the rule was chosen by."""
        return Metric(self.config.metric)

    @property
    def rules(self) -> list[Rule]:
        """Those for new images, one a class."""
        return [found.rule for found in self.decided]

    def masks_of(self, image: str) -> list[Mask]:
        """One a class, as the image is scored: by the rule that was chosen without its part."""
        shape, runs, _ = self.drawn[image]
        return [rle.decode(text, shape, image) for text in runs]


def results_of(config: Config) -> Results:
    """Reads the probabilities of every image of the folds asked for; InputError as its parts do."""
    folds = load_folds(config)
    unseen = read_unseen(folds, config)
    part = parts_of(unseen.table, config)
    decided = decide_all(unseen, part, folds, config)
    found = measured(unseen, decided, part, folds, config)
    trust = trust_tables(unseen, decided, found.believed, config)
    columns = [table.join(more) for table, more in zip(found.tables, trust, strict=True)]
    rows = image_rows(unseen, decided, folds, measures=columns)
    audit = load_audit(config, folds)
    decision = content(rows, unseen, decided, folds, audit, config)
    decision |= {"measures": told_measures(rows, config), "strata": strata_of(rows, config)}
    expected = expectations(unseen, decided, found.believed, config)
    decision["quality"] = trust_content(rows, unseen, expected, found.believed, folds, config)
    return Results(
        config, folds, audit, unseen, part, decided, found.drawn, rows, expected, decision
    )
