"""test_quality.csv: how far the mask of each test image can be trusted."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.artifacts.folds import Folds
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.of_test.masks import TestMasks
from lib.decision.trust import column_of
from lib.quality.expected import Expectation
from lib.quality.unlike import percentile
from lib.runtime.files import save_table

UNLIKE = 0.95  # of the images that the networks know, so many are less unlike


def quality_of_test(
    test: pd.DataFrame,
    masks: TestMasks,
    expected: Sequence[Expectation],
    steps: list[float] | None,
    folds: Folds,
    config: Config,
) -> None:
    """Writes test_quality.csv, a row a test image, and class where there are several.

    `expected` are one a class, `steps` the percentiles of decision.json. A cell is empty where
    nothing can be told. Says how many images are unlike those of the training.
    """
    images = test["image"].tolist()
    times = np.array([masks.unlike.get(image, np.nan) for image in images])
    unlike = percentile(times, steps) if steps else np.full(len(images), np.nan)
    tables = []
    for k, name in enumerate(folds.classes):
        table = pd.DataFrame({"image": images})
        if len(folds.classes) > 1:
            table.insert(0, "class_id", name)
        tables.append(table.assign(**{column_of(config): _of_class(images, masks, expected, k)}))
    rows = pd.concat([table.assign(unlike=unlike) for table in tables])
    save_table(Run.of(config).test_quality, rows.sort_index(kind="stable"))
    strange = int((unlike >= UNLIKE).sum())
    print(f"how far each can be trusted: {Run.of(config).test_quality}" + _strange(strange))


def _of_class(
    images: list[str], masks: TestMasks, expected: Sequence[Expectation], k: int
) -> np.ndarray:
    there = [image in masks.drawn for image in images]
    usable = [image for image in images if image in masks.drawn]
    found = np.full(len(images), np.nan)
    believed = np.array([masks.drawn[image].believed[k] for image in usable])
    presence = np.array([masks.presence[image][k] for image in usable])
    found[there] = expected[k].of(believed, presence)
    return found


def _strange(number: int) -> str:
    if not number:
        return ""
    share = f"{100 * UNLIKE:g} %"
    return f"; {number} images are more unlike the training images than {share} of those are"
