"""test.npz and the rules -> the masks of the test images."""

from collections.abc import Sequence

import pandas as pd

from lib import rle
from lib.artifacts.folds import Folds
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.masks import Drawn
from lib.artifacts.probabilities import Probabilities, open_current
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.table import with_sha
from lib.decision.rule import Rule, decide
from lib.runtime.errors import InputError
from lib.runtime.threads import with_bar


def drawn_masks(
    test: pd.DataFrame,
    folds: Folds,
    rules: Sequence[Rule],
    inference: InferenceSettings,
    config: Config,
) -> dict[str, Drawn]:
    """The masks of each test image by its name, but of those that are not to be used.

    `rules` are one a class; `inference` is how the images that chose them were predicted.
    InputError where the test images were predicted otherwise.
    """
    usable = with_sha(test.dropna(subset="file"))
    path, numbers = Run.of(config).test, config.fold_numbers
    with open_current(path, config, numbers, usable, folds) as probabilities:
        _require_same_settings(probabilities, inference)

        def draw(image: str) -> Drawn:
            planes, presence = probabilities[image], probabilities.presence[image].tolist()
            of_classes = zip(planes, presence, rules, strict=True)
            masks = [decide(*of_class) for of_class in of_classes]
            return Drawn(planes[0].shape, [rle.encode(mask) for mask in masks])

        images = [image for image in test["image"] if image in probabilities.presence]
        return dict(zip(images, with_bar(draw, images, "encoding"), strict=True))


def _require_same_settings(probabilities: Probabilities, expected: InferenceSettings) -> None:
    """InputError where test images were predicted otherwise than those the rule was chosen on."""
    if changed := InferenceSettings.read(probabilities.provenance).differences(expected):
        raise InputError(
            "test.npz was predicted otherwise than the out-of-fold images that chose the rule "
            f"(there, here): {'; '.join(changed)}: run 03_infer.py again"
        )
