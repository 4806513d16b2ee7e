"""How far each mask can be trusted without its truth, and how far that can be believed itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lib.artifacts.folds import Folds
from lib.config.fields import Config
from lib.decision.evidence import Unseen
from lib.decision.nested import Decided, parts_of
from lib.decision.scores import drawn_by, subjects_known
from lib.metric import Floats, Metric, Score
from lib.quality.expected import Expectation, expectation, nested
from lib.quality.referral import curve, rank_correlation, referral
from lib.quality.unlike import percentile, steps_of

ABOUT = (
    "expected: by class, the score to expect of a new mask: x is what its map believes of it (the "
    "expected overlap over the expected union), or for an empty mask the presence with its sign "
    "turned; between the knots x the lines through y. The figures beside it are of images that did "
    "not choose the knots. believed_rank_correlation: of x itself, in which nothing was fitted, "
    "over the masks that are not empty. referral: the score of the rest where so large a share of "
    "the images, those of least expectation, is referred to a person; perfect: where the truth "
    "tells which. unlike: the 0th to 100th percentile of the distance from the images that the "
    "networks know, in multiples of the usual one."
)


def column_of(config: Config) -> str:
    """expected_iou, or expected_dice: the score that the rule was chosen by."""
    return f"expected_{Metric(config.metric).column}"


def trust_tables(
    unseen: Unseen, decided: Sequence[Decided], believed: Sequence[Floats], config: Config
) -> list[pd.DataFrame]:
    """Columns `column_of` and unlike, a table a class, a row an image; those without a value not.

    The expected score is learnt from the other parts of the images, at least of five where there
    are fewer than three folds.
    """
    part = parts_of(unseen.table, replace(config, tune_decision=True))
    steps = steps_of(unseen.unlike)
    unlike = percentile(unseen.unlike, steps) if steps else np.full(len(part), np.nan)
    tables = []
    for known in _known(unseen, decided, believed, config):
        table = pd.DataFrame({column_of(config): nested(*known, part), "unlike": unlike})
        tables.append(table.dropna(axis=1, how="all"))
    return tables


def expectations(
    unseen: Unseen, decided: Sequence[Decided], believed: Sequence[Floats], config: Config
) -> list[Expectation]:
    """For new masks, one a class: learnt from all images, as the rules scored them."""
    return [expectation(*known) for known in _known(unseen, decided, believed, config)]


def _known(
    unseen: Unseen, decided: Sequence[Decided], believed: Sequence[Floats], config: Config
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Of each class, one value an image: what its map believes, its presence, its nested score."""
    for evidence, rules, of_class in zip(unseen.evidence, decided, believed, strict=True):
        area, both = rules.nested
        scores = Metric(config.metric).of_counts(evidence.truth, area, both)
        yield of_class, rules.presence, scores


def trust_content(
    rows: pd.DataFrame,
    unseen: Unseen,
    found: Sequence[Expectation],
    believed: Sequence[Floats],
    folds: Folds,
    config: Config,
) -> dict[str, Any]:
    """Of decision.json; `rows` are those of oof_iou.csv."""
    classes = dict(zip(folds.class_names, found, strict=True))
    content: dict[str, Any] = {
        "about": ABOUT,
        "metric": config.metric,
        "expected": {name: _knots(one) for name, one in classes.items()},
        "unlike": steps_of(unseen.unlike),
    }
    if column_of(config) not in rows:
        return content
    told = rows.dropna(subset=column_of(config))
    expected, scores = told[column_of(config)].to_numpy(), told[Metric(config.metric).column]
    subjects = drawn_by(told, subjects_known(told))
    return content | {
        "masks": len(told),
        "mean_error": float(np.abs(expected - scores).mean()),
        "mean_error_of_the_mean": float(np.abs(scores.mean() - scores).mean()),
        "rank_correlation": _told(rank_correlation(expected, scores.to_numpy(), subjects)),
        "believed_rank_correlation": _of_believed(rows, believed, config),
        **_referral(told, config),
    }


def by_image(rows: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Mean expectation and score of each image over its classes; its subject."""
    of = {column_of(config): "mean", Metric(config.metric).column: "mean", "subject": "first"}
    return rows.groupby("image", sort=False).agg(of).reset_index()


def _referral(told: pd.DataFrame, config: Config) -> dict[str, Any]:
    images = by_image(told, config)
    expected = images[column_of(config)].to_numpy()
    scores = images[Metric(config.metric).column].to_numpy()
    subjects = drawn_by(images, subjects_known(images))
    return {
        "images": len(images),
        "score": float(scores.mean()),
        "referral": referral(expected, scores, subjects),
        "referral_curve": curve(expected, scores),
    }


def _of_believed(
    rows: pd.DataFrame, believed: Sequence[Floats], config: Config
) -> dict[str, Any] | None:
    values = np.stack(believed, axis=1).ravel()  # the rows are image by image, then class by class
    told = rows[~np.isnan(values)]
    if told.empty:
        return None
    scores = told[Metric(config.metric).column].to_numpy(dtype=float)
    subjects = drawn_by(told, subjects_known(told))
    return _told(rank_correlation(values[~np.isnan(values)], scores, subjects))


def _told(score: Score) -> dict[str, Any]:
    return {"value": score.mean, "interval": score.interval}


def _knots(found: Expectation) -> dict[str, Any]:
    return {
        name: None if line is None else line._asdict() for name, line in found._asdict().items()
    }
