"""A probability file that 03 makes: of which images, made from what, and whether it is done."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lib.artifacts.caveats import Caveat, without_doubles
from lib.artifacts.folds import Folds
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.probabilities import provenance_of
from lib.inference.pieces import Make, is_whole, remove_pieces, write_in_pieces
from lib.runtime.processes import of_first


class PredictionFile(NamedTuple):
    path: Path
    fold: int | None  # whose images they are; None: the test set
    images: pd.DataFrame  # columns image, file, sha; of a fold all those of folds.csv


def provenance(
    file: PredictionFile,
    folds: Folds,
    origins: Mapping[str, str],
    settings: InferenceSettings,
    caveats: Sequence[Caveat],
) -> dict[str, Any]:
    """All that the file depends on, to be kept in it.

    `origins` are the sha of each fold's model, or of each run's file of an ensemble; `caveats` what
    flatters the scores of its images.
    """
    return {
        **provenance_of(origins, file.images, folds),
        **settings.content(),
        "caveats": without_doubles(caveats),
    }


def write_unless_done(
    file: PredictionFile, made_from: dict[str, Any], by: str, batch_size: int, make: Make
) -> None:
    """Writes the file by `make`, unless it is there and was made from the same; says what it did.

    Of several processes each makes its share of the images.
    """
    if of_first(partial(is_whole, file.path, made_from)):
        of_first(partial(remove_pieces, file.path))
        print(f"{file.path} is predicted already")
        return
    start = time.monotonic()
    new = write_in_pieces(file.path, made_from, file.images, batch_size, make)
    speed = f"{new / (time.monotonic() - start):.1f} images a second"
    begun = f", {len(file.images) - new} of them before" if new < len(file.images) else ""
    print(f"{file.path}: {len(file.images)} images {by}{begun}, {speed}")
