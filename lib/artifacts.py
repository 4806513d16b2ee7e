"""The files that the steps hand on, in runs/<experiment_name>/: for each one path, save, load.

They speak the data's language: keyed by image name, at the image's own size, axes (height, width).
Every file is written beside its place, flushed and renamed, so that it is whole or not there.
"""

import hashlib
import io
import json
import os
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import IO, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from lib import rle
from lib.config import (
    NETWORK_SETTINGS,
    TRAINING_SETTINGS,
    Config,
    InputError,
    differences,
    load_config,
    to_yaml,
    training_settings,
)

Probability = npt.NDArray[np.uint8]

# Members of a probability file that are not images.
PRESENCE, PROVENANCE = "_presence", "_provenance"
# Bytes before a member's name in a zip (APPNOTE.TXT of the zip format, 4.3.7).
LOCAL_HEADER = 30
RUN_03 = "03_infer.py, with the settings of that run,"  # the step, where another run lacks it


def run_folder(config: Config) -> Path:
    return Path(config.runs_folder) / config.experiment_name


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A binary file for writing that takes its name only when all of it is on the disk."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, str(path.parent), str(temporary)):
            raise  # of another file, read meanwhile
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def existing(path: Path, step: str) -> Path:
    """The path, or the InputError that names the step which makes it."""
    if not path.is_file():
        raise InputError(f"{path} is missing: run {step} first")
    return path


def sha_of(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def sha_of_file(path: Path) -> str:
    """sha_of its content, without having all of it in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def save_table(path: Path, table: pd.DataFrame) -> None:
    """A .csv in UTF-8; fractions to six digits."""
    with written_whole(path) as file:
        file.write(table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())


# config.yaml: every setting of the run


def save_config(config: Config) -> None:
    with written_whole(run_folder(config) / "config.yaml") as file:
        file.write(to_yaml(config).encode())


def with_drawn_seed(config: Config) -> Config:
    """Where the seed is -1, that of the run's config.yaml, else one drawn now; prints it."""
    if config.seed != -1:
        return config
    path = run_folder(config) / "config.yaml"
    if path.is_file():
        seed, origin = load_config(path).seed, f"kept in {path}"
    else:
        seed, origin = random.SystemRandom().randrange(1_000_000), "drawn"
    print(f"seed: {seed} ({origin})")
    return replace(config, seed=seed)


# folds.csv: one row an image


RLE = "rle_mask"
FOLD_COLUMNS = ["image", "height", "width", "subject", "group", "fold", "weight", "sha"]


def mask_columns(classes: Sequence[str]) -> list[str]:
    """The columns of run lengths: rle_mask for one class, else rle_mask_NAME for each."""
    return [RLE] if len(classes) == 1 else [f"{RLE}_{name}" for name in classes]


def masks_in(table: pd.DataFrame) -> list[str]:
    """The columns of run lengths that the table has."""
    return [name for name in table.columns if name == RLE or name.startswith(f"{RLE}_")]


def true_mask(row: Mapping[str, Any], column: str) -> rle.Mask:
    """Of a row of folds.csv: the mask (height, width) of its run lengths in `column`."""
    return rle.decode(row[column], (row["height"], row["width"]), row["image"])


def folds_path(config: Config) -> Path:
    return run_folder(config) / "folds.csv"


def save_folds(config: Config, folds: pd.DataFrame) -> None:
    """Columns FOLD_COLUMNS and the run lengths; `subject` is "" where it is not known.

    The fold is -1 for an image that every network is trained on and none is scored on.
    """
    save_table(folds_path(config), folds[["image", *masks_in(folds), *FOLD_COLUMNS[1:]]])


class Folds(NamedTuple):
    table: pd.DataFrame  # texts, but height, width, fold whole numbers, and weight
    sha: str  # of the file's content

    @property
    def masks(self) -> list[str]:
        """The columns of run lengths, one a class."""
        return masks_in(self.table)

    @property
    def classes(self) -> list[str]:
        """Names of the classes; [""] where there is only one."""
        return [name.removeprefix(RLE).removeprefix("_") for name in self.masks]

    @property
    def class_names(self) -> list[str]:
        """The same, the only one being called nerve."""
        return [name or "nerve" for name in self.classes]


def load_folds(config: Config) -> Folds:
    """The table of 01; InputError where it has not the folds that `folds` asks for."""
    path = existing(folds_path(config), "01_prepare_folds.py")
    content = path.read_bytes()
    table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    needed = {*FOLD_COLUMNS, *(masks_in(table) or [RLE])}
    if missing := needed - set(table.columns):
        raise InputError(f"{path} lacks the columns {sorted(missing)}: run 01_prepare_folds.py")
    if strange := set(map(str, config.fold_numbers)) - set(table["fold"]):
        raise InputError(
            f"{path} has the folds {sorted(set(table['fold']))}, not {sorted(strange)}: give the "
            "validation_strategy, n_folds and folds that 01_prepare_folds.py was run with, or run "
            "it again"
        )
    numbers = {"height": int, "width": int, "fold": int, "weight": float}
    return Folds(table.astype(numbers), sha_of(content))


# folds_audit.json: the inventory, and what the folds share; quarantine.csv, duplicates.csv,
# contradictions.csv: the images it counts


def audit_path(config: Config) -> Path:
    return run_folder(config) / "folds_audit.json"


def save_audit(config: Config, audit: dict[str, Any]) -> None:
    """With the sha of the folds.csv it is of."""
    sha = sha_of(folds_path(config).read_bytes())
    _save_json(audit_path(config), {"folds_sha": sha} | audit)


def load_audit(config: Config, folds: Folds) -> dict[str, Any]:
    path = existing(audit_path(config), "01_prepare_folds.py")
    try:
        audit: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        audit = {}
    if audit.get("folds_sha") != folds.sha:
        raise InputError(f"{path} is of another folds.csv: run 01_prepare_folds.py again")
    return audit


def quarantine_path(config: Config) -> Path:
    return run_folder(config) / "quarantine.csv"


def save_quarantine(config: Config, train: dict[str, str], test: dict[str, str]) -> None:
    """Columns part, image, reason: a row an image that was left out."""
    rows = [
        {"part": part, "image": image, "reason": reason}
        for part, images in (("train", train), ("test", test))
        for image, reason in images.items()
    ]
    save_table(quarantine_path(config), pd.DataFrame(rows, columns=["part", "image", "reason"]))


def quarantined_tests(config: Config) -> list[str]:
    """The test images that 01 left out."""
    path = existing(quarantine_path(config), "01_prepare_folds.py")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table["image"][table["part"] == "test"].tolist()


# fold{k}/model.pt: weights, settings, fold, and the folds.csv it was trained on


def model_path(config: Config, fold: int) -> Path:
    return run_folder(config) / f"fold{fold}" / "model.pt"


# The settings that every model depends on; others, such as the number of workers, none knows.
MODEL_SETTINGS = sorted(NETWORK_SETTINGS | TRAINING_SETTINGS)


class Model(NamedTuple):
    """The content of a model.pt."""

    weights: dict[str, torch.Tensor]
    classes: list[str]
    config: Config  # of the settings it depends on, the others at their defaults
    fold: int
    folds_sha: str
    log: list[dict[str, float]]  # a row an epoch
    sha: str  # of the file


def save_model(
    config: Config,
    fold: int,
    folds: Folds,
    weights: dict[str, torch.Tensor],
    log: list[dict[str, float]],
) -> None:
    """`folds` are those trained on. The same model gives the same bytes."""
    names = sorted(NETWORK_SETTINGS | training_settings(config))
    content = {
        "weights": {name: tensor.cpu().contiguous() for name, tensor in weights.items()},
        "classes": folds.classes,
        "config": {name: getattr(config, name) for name in names},
        "fold": fold,
        "folds_sha": folds.sha,
        # Names that are one object each, as pickle writes those that are two in another way.
        "log": [{sys.intern(name): value for name, value in row.items()} for row in log],
    }
    buffer = io.BytesIO()  # torch.save puts the name of a path into the file
    torch.save(content, buffer)
    with written_whole(model_path(config, fold)) as file:
        file.write(buffer.getbuffer())


def load_model(config: Config, fold: int, folds_sha: str) -> Model:
    """What save_model wrote; InputError for one of another folds.csv, fold or kind of network."""
    path = existing(model_path(config, fold), "02_train.py")
    model = read_model(path)
    if model.fold != fold:
        raise InputError(f"{path} is the model of fold {model.fold}: run 02_train.py again")
    if model.folds_sha != folds_sha:
        raise InputError(
            f"{path} was trained on another folds.csv, so images it has seen could be scored as "
            "unseen: run 02_train.py again"
        )
    if changed := differences(config, model.config, NETWORK_SETTINGS):
        raise InputError(
            f"{path} was trained with other settings (asked for, trained with):\n  "
            + "\n  ".join(changed)
        )
    return model


def read_model(path: Path) -> Model:
    """A checkpoint's content; InputError where the file is not one."""
    try:
        content = path.read_bytes()
        parts = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        settings = Config(**parts.pop("config"))
        return Model(**parts, config=settings, sha=sha_of(content))
    except Exception as error:  # torch.load raises what its many formats raise
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path} is not a model of this version ({reason}): delete it and run 02_train.py"
        ) from error


# fold{k}/state.pt: all that a training needs to go on; state.before.pt: the one before


def state_path(config: Config, fold: int) -> Path:
    return model_path(config, fold).with_name("state.pt")


def save_state(config: Config, fold: int, state: dict[str, Any]) -> None:
    """Keeps the one before, which is deleted when the next is whole."""
    path = state_path(config, fold)
    with written_whole(path.with_name("state.new.pt")) as file:
        torch.save(state, file)
    if path.is_file():
        path.replace(path.with_name("state.before.pt"))
    path.with_name("state.new.pt").replace(path)


def delete_state_before(config: Config, fold: int) -> None:
    """Of a training that is finished, one state is enough."""
    state_path(config, fold).with_name("state.before.pt").unlink(missing_ok=True)


def load_state(config: Config, fold: int) -> dict[str, Any] | None:
    """The last state that is whole; says which are not. None where there is none."""
    path = state_path(config, fold)
    for candidate in (path, path.with_name("state.before.pt")):
        if not candidate.is_file():
            continue
        try:
            state: dict[str, Any] = torch.load(candidate, map_location="cpu", weights_only=True)
            return state
        except Exception as error:  # torch.load raises what its many formats raise
            reason = str(error).partition("\n")[0]
            print(f"{candidate} is damaged and is not used ({reason})")
    return None


# fold{k}/log.csv: a row an epoch


def log_path(config: Config, fold: int) -> Path:
    return model_path(config, fold).with_name("log.csv")


def save_log(config: Config, fold: int, rows: list[dict[str, float]]) -> None:
    save_table(log_path(config, fold), pd.DataFrame(rows))


# oof_fold{k}.npz, test.npz: a probability array an image


def oof_path(config: Config, fold: int) -> Path:
    return run_folder(config) / f"oof_fold{fold}.npz"


def test_path(config: Config) -> Path:
    return run_folder(config) / "test.npz"


class Packed(NamedTuple):
    """A compressed member of a probability file."""

    name: str  # of the file in the zip
    size: int  # in bytes, before
    checksum: int  # CRC-32, before
    deflated: bytes


def packed(name: str, array: npt.NDArray[Any]) -> Packed:
    """An array as a member. Any thread may do it: zlib holds up no other."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    content = buffer.getbuffer()
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)  # without zlib's own header
    deflated = deflate.compress(content) + deflate.flush()
    return Packed(f"{name}.npy", len(content), zlib.crc32(content), deflated)


def packed_image(image: str, probability: Probability) -> Packed:
    """Probability (classes, height, width)."""
    return packed(image, probability[0] if len(probability) == 1 else probability)


class ProbabilityWriter:
    """Writes a probability file an image at a time, so that memory does not grow with their number.

    The file is a NumPy .npz: one member an image, named as the image, uint8 (height, width), or
    (classes, height, width) where there are several, 0..255 = probability 0..1; `_presence` float32
    in the order of the images, (images,) or (images, classes); `_provenance` a JSON text of what
    the file was made from. The same content gives the same bytes. A context manager.
    """

    def __init__(self, file: IO[bytes], provenance: dict[str, Any]) -> None:
        self._file, self._archive = file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self._provenance = provenance
        self._presence: list[npt.NDArray[np.float32]] = []

    def add(self, image: str, probability: Probability, presence: npt.NDArray[np.float32]) -> None:
        """Probability (classes, height, width), presence (classes,)."""
        self.add_packed(packed_image(image, probability), presence)

    def add_packed(self, member: Packed, presence: npt.NDArray[np.float32]) -> None:
        """What packed_image made of an image, and its presence (classes,)."""
        self._write(member)
        self._presence.append(presence[0] if len(presence) == 1 else presence)

    def add_all_of(self, path: Path) -> None:
        """The images of another probability file, as they are compressed there."""
        with np.load(path) as arrays:
            presence = arrays[PRESENCE]
        self._presence += list(presence)
        for member in islice(_members_of(path), len(presence)):  # the others stand behind them
            self._write(member)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write(packed(PRESENCE, np.array(self._presence, dtype=np.float32)))
        self._write(packed(PROVENANCE, np.array(json.dumps(self._provenance, sort_keys=True))))
        self._archive.close()

    def _write(self, member: Packed) -> None:
        """Does what ZipFile.writestr does, which would compress, one member at a time."""
        info = zipfile.ZipInfo(member.name)  # dated 1980, whenever it is written
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        info.CRC, info.file_size = member.checksum, member.size
        info.compress_size, info.header_offset = len(member.deflated), self._file.tell()
        self._file.write(info.FileHeader())
        self._file.write(member.deflated)
        self._archive.filelist.append(info)
        self._archive.start_dir = self._file.tell()  # where the next one begins, or the end


def _members_of(path: Path) -> Iterator[Packed]:
    """The members of a zip that ProbabilityWriter wrote, in its order."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + LOCAL_HEADER - 4)
            name, extra = struct.unpack("<HH", file.read(4))  # lengths of what follows the header
            file.seek(name + extra, os.SEEK_CUR)
            deflated = file.read(info.compress_size)
            yield Packed(info.filename, info.file_size, info.CRC, deflated)


class Probabilities:
    """A probability file, read an image at a time, by any number of threads; a context manager.

    `presence` is (classes,) for each image by name.
    """

    def __init__(self, path: Path) -> None:
        existing(path, "03_infer.py")
        self._opening = Lock()  # zipfile counts its open members without one
        try:
            self._arrays = np.load(path)
            names = [name for name in self._arrays.files if name not in (PRESENCE, PROVENANCE)]
            presence = self._arrays[PRESENCE].reshape(len(names), -1)
            self.provenance: dict[str, Any] = json.loads(str(self._arrays[PROVENANCE]))
            self.presence = dict(zip(names, presence, strict=True))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} is not a probability file ({error}): delete it and run 03_infer.py"
            ) from error

    def __getitem__(self, image: str) -> Probability:
        """uint8 (classes, height, width)."""
        with self._opening:
            file = self._arrays.zip.open(f"{image}.npy")  # NumPy's own look-up tries two names
        array = np.lib.format.read_array(file)
        with self._opening:
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
        files = {str(k): existing(model_path(config, k), "02_train.py") for k in fold_numbers}
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


# decision.json: the rule and its scores


def decision_path(config: Config) -> Path:
    return run_folder(config) / "decision.json"


def save_decision(config: Config, decision: dict[str, Any]) -> None:
    """With the sha of each fold's model that it was chosen for."""
    _save_json(decision_path(config), decision | {"models": _model_shas(config)})


def load_decision(config: Config) -> dict[str, Any]:
    """InputError where it was not chosen for the present models."""
    path = existing(decision_path(config), "04_make_submission.py")
    try:
        decision: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        decision = {}
    if decision.get("models") != _model_shas(config):
        raise InputError(
            f"{path} was chosen for other models than the present: run 03_infer.py and "
            "04_make_submission.py"
        )
    return decision


def _model_shas(config: Config) -> dict[str, str]:
    paths = {str(fold): model_path(config, fold) for fold in config.fold_numbers}
    return {fold: sha_of(path.read_bytes()) for fold, path in paths.items() if path.is_file()}


# mask_pca.npz: the shapes that masks are projected on, where a rule does that


def shapes_path(config: Config) -> Path:
    return run_folder(config) / "mask_pca.npz"


def save_shapes(config: Config, shapes: Mapping[str, Any]) -> None:
    """Of each class by name, lib.shapes.Shapes or None: float32 NAME_mean, NAME_components.

    Where there are none, no file is left.
    """
    members = {
        f"{name}_{part}": array
        for name, found in shapes.items()
        if found is not None
        for part, array in found._asdict().items()
    }
    path = shapes_path(config)
    if not members:
        path.unlink(missing_ok=True)
        return
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **members)


def load_shapes(config: Config) -> dict[str, npt.NDArray[np.float32]]:
    """The members of the file by their names; none where there is no file."""
    path = shapes_path(config)
    if not path.is_file():
        return {}
    with np.load(path) as members:
        return dict(members)


def _save_json(path: Path, content: dict[str, Any]) -> None:
    with written_whole(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
