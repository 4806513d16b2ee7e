"""Several runs -> one: the weighted mean of their probability files, its weights out of fold."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.artifacts.caveats import read_caveats
from lib.artifacts.folds import Folds, masks_in, true_mask
from lib.artifacts.probabilities import Probabilities, packed_image, provenance_of
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.inference.pieces import Member
from lib.inference.predict import presence_of
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of_file, stable_hash
from lib.runtime.threads import in_order

Weights = npt.NDArray[np.float64]

PIXELS = 256  # of an image that the weights are fitted on: its neighbours say little more
STEPS, SETTLED = 300, 1e-5
AHEAD = 16  # images read before the first of them is written


@contextmanager
def opened_members(
    path: Path, images: pd.DataFrame, folds: Folds, config: Config
) -> Iterator[list[Probabilities]]:
    """The file of this name of each run; InputError where one is of other images, folds or models.

    `images` has columns image and sha.
    """
    with ExitStack() as stack:
        files = [Path(run) / path.name for run in config.members]
        members = [stack.enter_context(Probabilities(file)) for file in files]
        for file, member in zip(files, members, strict=True):
            _require_same(file, member.provenance, provenance_of({}, images, folds), config)
        yield members


def _require_same(
    file: Path, found: dict[str, Any], expected: dict[str, Any], config: Config
) -> None:
    run = file.parent
    if found["folds"] != expected["folds"]:
        raise InputError(
            f"{file} was predicted with another folds.csv than {Run.of(config).folds}: run "
            f"01_prepare_folds.py, 02_train.py and 03_infer.py of {run} with the data, folds and "
            "label_policy of this run"
        )
    if others := sorted(found["images"].items() ^ expected["images"].items()):
        names = list(dict.fromkeys(name for name, _ in others))
        raise InputError(
            f"{file} is not of the images that this run predicts: {len(names)} differ, such as "
            f"{names[0]}: run 03_infer.py of {run} with the test set and data_sample of this run"
        )
    for name, sha in found["models"].items():
        if name.isdigit():  # the fold of a model, not a run of an ensemble
            model = run / Run.of(config).model(int(name)).relative_to(Run.of(config).folder)
            if model.is_file() and sha_of_file(model) != sha:
                raise InputError(f"{file} is older than {model}: run 03_infer.py of {run} again")
    read_caveats(found.get("caveats"), file, f"03_infer.py of {run}")


def averaged(
    members: Sequence[Probabilities], weights: Weights, images: pd.DataFrame
) -> Iterator[Member]:
    """The weighted mean of each image of the table; weights sum to 1.

    The presence is the mean too where every member has it of a head.
    """
    heads = all(member.provenance["presence_head"] for member in members)

    def mean(image: str) -> Member:
        pairs = list(zip(weights.astype(np.float32), members, strict=True))
        sums = sum(weight * member[image] for weight, member in pairs)
        probability = np.rint(sums).astype(np.uint8)
        presence = presence_of(probability)
        if heads:
            presence = np.sum([weight * m.presence[image] for weight, m in pairs], axis=0)
        return Member(packed_image(image, probability), presence)

    return in_order(mean, images["image"], AHEAD)


class Samples(NamedTuple):
    """Some pixels of the images of a fold."""

    probabilities: npt.NDArray[np.uint8]  # (runs, pixels), 0..255
    truth: npt.NDArray[np.bool_]  # (pixels,)


def sampled(members: Sequence[Probabilities], images: pd.DataFrame) -> Samples:
    """PIXELS places of each image and class, drawn by its name.

    `images` are rows of folds.csv that every member holds.
    """
    probabilities, truths = [], []
    for row in images.to_dict("records"):
        random = np.random.default_rng(stable_hash("ensemble", row["image"]))
        arrays = [member[row["image"]] for member in members]
        for number, column in enumerate(masks_in(images)):
            truth = true_mask(row, column).ravel()
            places = random.integers(truth.size, size=PIXELS)
            probabilities.append(np.stack([array[number].ravel()[places] for array in arrays]))
            truths.append(truth[places] > 0)
    return Samples(np.concatenate(probabilities, axis=1), np.concatenate(truths))


def fitted_weights(parts: Sequence[Samples]) -> Weights:
    """Weights (runs,), none negative, sum 1, whose mean has the least cross-entropy.

    A weighted mean of probabilities is a mixture, and expectation maximisation (Dempster, Laird and
    Rubin 1977) finds its weights: the loss is convex and falls with each step. To four digits.
    """
    probabilities = np.concatenate([part.probabilities for part in parts], axis=1)
    truth = np.concatenate([part.truth for part in parts])
    certainty = probabilities.astype(np.float32).clip(0.25, 254.75) / 255  # the middle of the ends
    likelihood = np.where(truth, certainty, 1 - certainty)
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(STEPS):
        before = weights
        mixture = weights.astype(np.float32) @ likelihood
        weights = weights * (likelihood / mixture).mean(axis=1, dtype=np.float64)
        weights /= weights.sum()
        if abs(weights - before).max() < SETTLED:
            break
    rounded = weights.round(4)
    return rounded / rounded.sum()
