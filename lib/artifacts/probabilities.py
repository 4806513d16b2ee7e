"""oof_fold{k}.npz, test.npz: a probability array an image.

Keyed by image name, at the image's own size, axes (height, width); with what they were made from.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.artifacts.folds import Folds
from lib.artifacts.npz import MemberWriter, Packed, members_of, packed, packed_image
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import existing, sha_of_file
from lib.runtime.threads import PARSING

Probability = npt.NDArray[np.uint8]
# Of an out-of-fold image the features of `lib.unet.seen_by`, (channels,); of a test image, (1,),
# how many times as far from those it is as they are from each other (lib.quality.unlike).
Looks = npt.NDArray[np.float32]

# Members of a probability file that are not images.
NOT_IMAGES = PRESENCE, LOOKS, PROVENANCE = "_presence", "_looks", "_provenance"
# What zipfile and NumPy raise where some bit is another; RuntimeError: where it says "encrypted".
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError)
RUN_03 = "03_infer.py, with the settings of that run,"  # the step, where another run lacks it


class ProbabilityWriter:
    """Writes a probability file an image at a time, so that memory does not grow with their number.

    The file is a NumPy .npz: one member an image, named as the image, uint8 (height, width), or
    (classes, height, width) where there are several, 0..255 = probability 0..1; `_presence` float32
    in the order of the images, (images,) or (images, classes); `_looks` a row an image, where every
    image has some; `_provenance` a JSON text of what the file was made from. The same content gives
    the same bytes. A context manager.
    """

    def __init__(self, file: IO[bytes], provenance: dict[str, Any]) -> None:
        self._members, self._provenance = MemberWriter(file), provenance
        self._presence: list[npt.NDArray[np.float32]] = []
        self._looks: list[Looks] = []

    def add(self, image: str, probability: Probability, presence: npt.NDArray[np.float32]) -> None:
        """Probability (classes, height, width), presence (classes,)."""
        self.add_packed(packed_image(image, probability), presence)

    def add_packed(
        self, member: Packed, presence: npt.NDArray[np.float32], looks: Looks | None = None
    ) -> None:
        """What packed_image made of an image, and its presence (classes,)."""
        self._members.add(member)
        self._presence.append(presence[0] if len(presence) == 1 else presence)
        if looks is not None:
            self._looks.append(looks)

    def add_all_of(self, path: Path) -> None:
        """The images of another probability file, as they are compressed there."""
        with np.load(path) as arrays:
            presence = arrays[PRESENCE]
            self._looks += list(arrays[LOOKS]) if LOOKS in arrays.files else []
        self._presence += list(presence)
        for member in islice(members_of(path), len(presence)):  # the others stand behind them
            self._members.add(member)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            return  # a file that nobody will read
        self._members.add(packed(PRESENCE, np.array(self._presence, dtype=np.float32)))
        if self._looks and len(self._looks) == len(self._presence):
            self._members.add(packed(LOOKS, np.stack(self._looks)))
        provenance = np.array(json.dumps(self._provenance, sort_keys=True))
        self._members.add(packed(PROVENANCE, provenance))
        self._members.close()


def is_sound(path: Path) -> bool:
    """Whether every member of a probability file is as its checksum says."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, *DAMAGES):
        return False


class Probabilities:
    """A probability file, read an image at a time, by any number of threads; a context manager.

    `presence` is (classes,) for each image by name, `looks` a row an image in the order of
    `presence`; None where the file has none.
    """

    def __init__(self, path: Path) -> None:
        self._path = existing(path, "03_infer.py")
        try:
            self._arrays = np.load(path)
            names = [name for name in self._arrays.files if name not in NOT_IMAGES]
            presence = self._arrays[PRESENCE]
            presence = presence.reshape(len(names), -1) if names else presence
            self.provenance: dict[str, Any] = json.loads(str(self._arrays[PROVENANCE]))
            self.presence = dict(zip(names, presence, strict=True))
            told = LOOKS in self._arrays.files
            self.looks: Looks | None = self._arrays[LOOKS] if told else None
        except (OSError, KeyError, *DAMAGES) as error:
            raise InputError(
                f"{path} is not a probability file ({error}): delete it and run 03_infer.py"
            ) from error

    def __getitem__(self, image: str) -> Probability:
        """uint8 (classes, height, width)."""
        try:
            with PARSING:  # zipfile too counts its open members without a lock
                file = self._arrays.zip.open(f"{image}.npy")  # NumPy's own look-up tries two names
                np.lib.format.read_magic(file)
                shape, columns_first, dtype = np.lib.format.read_array_header_1_0(file)
            values = np.frombuffer(bytearray(file.read()), dtype)  # one that may be written to
            array = values.reshape(shape, order="F" if columns_first else "C")
        except DAMAGES as error:
            raise InputError(
                f"{self._path}: {image} is damaged ({error}): delete the file and run 03_infer.py"
            ) from error
        with PARSING:
            file.close()
        return array[None] if array.ndim == 2 else array

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._arrays.close()


def provenance_of(origins: Mapping[str, str], images: pd.DataFrame, folds: Folds) -> dict[str, Any]:
    """What a probability file depends on: sha of its origins, of each image, and of folds.csv.

    `images` has columns image and sha.
    """
    return {
        "models": dict(origins),
        "images": dict(zip(images["image"], images["sha"], strict=True)),
        "folds": folds.sha,
    }


def origins_of(path: Path, config: Config, fold_numbers: list[int]) -> dict[str, str]:
    """sha of each fold's model.pt; for an ensemble of each run's file of the same name."""
    if config.ensemble:
        files = {run: existing(Path(run) / path.name, RUN_03) for run in config.members}
    else:
        files = {str(k): existing(Run.of(config).model(k), "02_train.py") for k in fold_numbers}
    return {name: sha_of_file(file) for name, file in files.items()}


def open_current(
    path: Path, config: Config, fold_numbers: list[int], images: pd.DataFrame, folds: Folds
) -> Probabilities:
    """The probabilities of these images by the present models; InputError where they are others."""
    probabilities = Probabilities(path)
    origins = origins_of(path, config, fold_numbers)
    for name, expected in provenance_of(origins, images, folds).items():
        if probabilities.provenance.get(name) != expected:
            models = "probability files of the ensemble" if config.ensemble else "model.pt"
            what = {"models": models, "images": "images", "folds": "folds.csv"}[name]
            raise InputError(
                f"{path} was made from other {what} than the present: run 03_infer.py again"
            )
    return probabilities
