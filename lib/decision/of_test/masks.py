"""test.npz and the rules -> the masks of the test images."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from lib import rle
from lib.artifacts.folds import Folds
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.masks import Drawn
from lib.artifacts.probabilities import Probabilities, open_current
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.table import with_sha
from lib.decision.rule import Rule, against_gate, decide
from lib.metric import Metric
from lib.quality.expected import believed
from lib.runtime.errors import InputError
from lib.runtime.threads import with_bar


class TestMasks(NamedTuple):
    """By image, of those that are to be used."""

    drawn: dict[str, Drawn]
    presence: dict[str, list[float]]  # one a class: what its rule holds against the gate
    unlike: dict[str, float]  # lib.quality.unlike.Known.times_as_far; no image where not told


def masks_of_test(
    test: pd.DataFrame,
    folds: Folds,
    rules: Sequence[Rule],
    inference: InferenceSettings,
    config: Config,
) -> TestMasks:
    """`rules` are one a class; `inference` is how the images that chose them were predicted.

    InputError where the test images were predicted otherwise.
    """
    usable = with_sha(test.dropna(subset="file"))
    path, numbers, metric = Run.of(config).test, config.fold_numbers, Metric(config.metric)
    with open_current(path, config, numbers, usable, folds) as probabilities:
        _require_same_settings(probabilities, inference)

        def draw(image: str) -> tuple[Drawn, list[float]]:
            planes, presence = probabilities[image], probabilities.presence[image].tolist()
            of_classes = list(zip(planes, presence, rules, strict=True))
            masks = [decide(*of_class) for of_class in of_classes]
            told = [believed(*pair, metric) for pair in zip(planes, masks, strict=True)]
            drawn = Drawn(planes[0].shape, [rle.encode(mask) for mask in masks], told)
            return drawn, [against_gate(*of_class) for of_class in of_classes]

        images = [image for image in test["image"] if image in probabilities.presence]
        found = dict(zip(images, with_bar(draw, images, "encoding"), strict=True))
        looks = probabilities.looks
        far = {} if looks is None else dict(zip(probabilities.presence, looks[:, 0], strict=True))
    return TestMasks(
        {image: drawn for image, (drawn, _) in found.items()},
        {image: presence for image, (_, presence) in found.items()},
        {image: float(times) for image, times in far.items()},
    )


def _require_same_settings(probabilities: Probabilities, expected: InferenceSettings) -> None:
    """InputError where test images were predicted otherwise than those the rule was chosen on."""
    if changed := InferenceSettings.read(probabilities.provenance).differences(expected):
        raise InputError(
            "test.npz was predicted otherwise than the out-of-fold images that chose the rule "
            f"(there, here): {'; '.join(changed)}: run 03_infer.py again"
        )
