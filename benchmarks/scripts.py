"""01 and 03 on data sets as large as the competition's, each as a process of its own.

Rows of benchmarks/speed.py. What they need is made in the folder given, once: phantom frames of
420x580, half and a quarter of them, and networks of random weights, which are as fast as trained
ones.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import torch

from benchmarks.timing import (
    NETWORKS,
    REPOSITORY,
    Line,
    Usage,
    alternating,
    answer_of,
    missing,
    used_by,
)
from lib.artifacts.folds import load_folds
from lib.artifacts.model import save_model
from lib.artifacts.run import Run
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.data.pictures.arrays import image_files
from lib.unet import build_model
from tools.phantom.dataset import generate

SUBJECTS, FRAMES = 47, 120
DIVISORS = (1, 2, 4)  # all frames, half, a quarter
SCRIPTS = ("01_prepare_folds", "02_train", "03_infer", "04_make_submission")
QUICK = ["image_height=64", "image_width=64", "n_folds=2", "folds=['0','1']", "epochs=1"]


def script(number: int, settings: list[str]) -> Usage:
    return used_by([sys.executable, REPOSITORY / f"{SCRIPTS[number - 1]}.py", *settings])


def scaling(
    measure: Callable[[int], Usage],
    images: int,
    rounds: int,
    peers: Mapping[str, Callable[[], float]] = MappingProxyType({}),
) -> list[Line]:
    """A line for each share of the data set (linear is 1, .5, .25), then one for each peer."""
    last: dict[str, Usage] = {}

    def seconds(name: str, divisor: int) -> float:
        last[name] = measure(divisor)
        return last[name].seconds

    shares = {f"ours, {images // divisor} images": divisor for divisor in DIVISORS}
    measures = {name: partial(seconds, name, divisor) for name, divisor in shares.items()}
    times = alternating({**measures, **peers}, rounds)
    return [Line(name, times[name], "s", str(last.get(name, ""))) for name in times]


def frames_of(quick: bool) -> tuple[int, int]:
    """Subjects, and frames of each."""
    return (6, 4) if quick else (SUBJECTS, FRAMES)


def large(folder: Path, quick: bool) -> Path:
    """As many phantom frames as the competition has, and one test frame."""
    path = folder / "phantom_large"
    generate(path, *frames_of(quick), 1, 1)
    return path


def share_of(data: Path, divisor: int) -> Path:
    """Every divisor-th image of each subject of a data set in the competition's layout."""
    if divisor == 1:
        return data
    path = data.with_name(f"{data.name}_{divisor}")
    if not (path / "train_masks.csv").exists():
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(data / "test", path / "test")
        (path / "train").mkdir()
        table = pd.read_csv(data / "train_masks.csv", dtype=str, keep_default_na=False)
        kept = table[table["img"].astype(int) % divisor == 0]
        for stem in kept["subject"] + "_" + kept["img"]:
            for name in (f"{stem}.tif", f"{stem}_mask.tif"):
                os.link(data / "train" / name, path / "train" / name)
        shutil.copyfile(data / "sample_submission.csv", path / "sample_submission.csv")
        kept.to_csv(path / "train_masks.csv", index=False)
    return path


def settings_of(data: Path, folder: Path) -> list[str]:
    return [f"data={data}", f"runs_folder={folder / 'runs'}", f"experiment_name={data.name}"]


def preparing(folder: Path, peers: str, quick: bool, rounds: int) -> list[Line]:
    """01 with all its checks, beside imagededup's hashing of the same images alone."""
    data = large(folder, quick)
    subjects, frames = frames_of(quick)
    name, why = "imagededup, PHash alone", missing("imagededup", peers)
    pictures = images_of(data)

    def ours(divisor: int) -> Usage:
        return script(1, settings_of(share_of(data, divisor), folder))

    def theirs() -> float:
        answer = answer_of(peers, "benchmarks.peers", "imagededup", pictures)
        return float(answer["seconds"])

    lines = scaling(ours, subjects * frames, rounds, {} if why else {name: theirs})
    return [*lines, Line(name, [], note=why)] if why else lines


def images_of(data: Path) -> Path:
    """A folder of the images without the masks."""
    path = data.with_name(f"{data.name}_images")
    path.mkdir(exist_ok=True)
    for file in image_files(data / "train").values():
        if not file.path.stem.endswith("_mask") and not (path / file.path.name).exists():
            os.link(file.path, path / file.path.name)
    return path


def predicting(folder: Path, quick: bool, rounds: int) -> list[Line]:
    """03 with five networks of random weights: each predicts its fold, all of them one test image.

    resnet34 at 448x448 on a GPU, lite0 at 192x256 on a processor.
    """
    data = large(folder, quick)
    kind = NETWORKS["resnet34" if torch.cuda.is_available() else "lite0"]
    size = [f"image_height={kind.image_height}", f"image_width={kind.image_width}"]
    more = [f"backbone={kind.backbone}", "mixed_precision_inference=true", *size]
    more += QUICK if quick else []
    for divisor in DIVISORS:
        with_random_networks([*settings_of(share_of(data, divisor), folder), *more])

    def ours(divisor: int) -> Usage:
        settings = [*settings_of(share_of(data, divisor), folder), *more]
        for path in Run.of(load_settings(DEFAULT_FILE, settings)).folder.glob("*.npz"):
            path.unlink()
        return script(3, settings)

    subjects, frames = frames_of(quick)
    return scaling(ours, subjects * frames, rounds)


def with_random_networks(settings: list[str]) -> None:
    """What 01 and 02 leave."""
    script(1, settings)
    save_random_networks(settings)


def save_random_networks(settings: list[str]) -> None:
    """What 02 leaves, after 01."""
    config = load_settings(DEFAULT_FILE, settings)
    folds = load_folds(config)
    for fold in config.fold_numbers:
        torch.manual_seed(fold)
        save_model(config, fold, folds, build_model(config).state_dict(), [])
