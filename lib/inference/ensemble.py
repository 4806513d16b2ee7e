"""Several runs -> one: the weighted mean of their probability files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.artifacts.caveats import Caveat, read_caveats
from lib.artifacts.folds import Folds
from lib.artifacts.npz import packed_image
from lib.artifacts.probabilities import Probabilities, provenance_of
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.inference.pieces import Member
from lib.inference.predict import presence_of
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of_file
from lib.runtime.threads import in_order

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
            model = Run(run).model(int(name))
            if model.is_file() and sha_of_file(model) != sha:
                raise InputError(f"{file} is older than {model}: run 03_infer.py of {run} again")
    read_caveats(found.get("caveats"), file, f"03_infer.py of {run}")


def caveats_of(members: Sequence[Probabilities]) -> list[Caveat]:
    """What flatters the scores of any of the runs."""
    return [caveat for member in members for caveat in member.provenance["caveats"]]


def averaged(
    members: Sequence[Probabilities], weights: Sequence[float], images: pd.DataFrame
) -> Iterator[Member]:
    """The weighted mean of each image of the table; weights sum to 1.

    The presence is the mean too where every member has it of a head.
    """
    heads = all(member.provenance["presence_head"] for member in members)

    def mean(image: str) -> Member:
        pairs = list(zip(np.array(weights, dtype=np.float32), members, strict=True))
        sums = sum(weight * member[image] for weight, member in pairs)
        probability = np.rint(sums).astype(np.uint8)
        presence = presence_of(probability)
        if heads:
            presence = np.sum([weight * m.presence[image] for weight, m in pairs], axis=0)
        return Member(packed_image(image, probability), presence, None)

    return in_order(mean, images["image"], AHEAD)
