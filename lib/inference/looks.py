"""What a probability file keeps of the encoder's features, and what is made of them."""

from collections.abc import Callable, Sequence

import numpy as np

from lib.artifacts.folds import Folds
from lib.artifacts.probabilities import Looks, Probabilities
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.inference.predict import Features
from lib.quality.unlike import Known, known


def of_one_network(features: Features) -> Looks:
    """Of an out-of-fold image: the features themselves, (channels,)."""
    return features[0]


def unlike(known_by: Sequence[Known | None]) -> Callable[[Features], Looks | None]:
    """Of a test image: how far it is from what each network knows, (1,), the mean over networks.

    In multiples of the usual distance. None where one of the networks knows too few images.
    """
    every = [one for one in known_by if one is not None]

    def of_image(features: Features) -> Looks | None:
        if len(every) < len(known_by):
            return None
        pairs = zip(every, features, strict=True)
        times = [one.times_as_far(of_network[None]) for one, of_network in pairs]
        return np.mean(times, axis=0).astype(np.float32)

    return of_image


def known_images(folds: Folds, config: Config) -> list[Known | None]:
    """Of each fold asked for, by its out-of-fold probabilities; None where they do not tell."""
    group = folds.table.set_index("image")["group"]
    found: list[Known | None] = []
    for fold in config.fold_numbers:
        with Probabilities(Run.of(config).oof(fold)) as file:
            told, images = file.looks, list(file.presence)
            groups = group[images].to_numpy(dtype=str)
            found.append(None if told is None else known(told, groups))
    return found
