"""How long 04 takes for as many frames as the competition has, most of them with a mask.

    python -m benchmarks.scores FOLDER [--frames 120] [--rounds 3]

Writes what 01 to 03 leave of 47 people, so many frames of 420x580 each, into FOLDER: 41 % of them
have a nerve of the usual size, and every map of probabilities is a blurred mask, a few pixels off;
a tenth of the others has one too. There are no images, so the page has no pictures. Then 04 runs as
a process of its own. Prints a line a round.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.scripts import script
from lib import rle
from lib.artifacts.audit import save_audit, save_quarantine
from lib.artifacts.caveats import training_caveats
from lib.artifacts.folds import FOLD_COLUMNS, load_folds, save_folds
from lib.artifacts.probabilities import ProbabilityWriter, provenance_of
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.runtime.files import sha_of, written_whole
from lib.runtime.progress import progress

PEOPLE, SIZE = 47, (420, 580)
WITH_NERVE, ALARMS, OFF = 0.41, 0.1, 8  # shares of frames, and pixels

Mask = npt.NDArray[np.uint8]


def main(folder: Path, frames: int, rounds: int) -> None:
    settings = [f"runs_folder={folder}", "experiment_name=scores", "quiet=true"]
    config = load_settings(DEFAULT_FILE, settings)
    if not Run.of(config).oof(config.fold_numbers[-1]).is_file():
        write(config, frames)
    for _ in range(rounds):
        usage = script(4, settings)
        print(f"04, {PEOPLE * frames:,} frames: {usage.seconds:.1f} s, {usage}", flush=True)


def write(config: Config, frames: int) -> None:
    random, rows = np.random.default_rng(0), []
    for number in range(PEOPLE * frames):
        person, name = str(number // frames), f"{number // frames}_{number % frames}"
        truth = rle.encode(nerve(random)) if random.random() < WITH_NERVE else ""
        fold = number // frames % len(config.fold_numbers)
        rows.append((name, truth, *SIZE, person, person, fold, 1.0, sha_of(name.encode())))
    save_folds(config, pd.DataFrame(rows, columns=["image", "rle_mask", *FOLD_COLUMNS[1:]]))
    save_quarantine(config, {}, {})
    nothing = {"images": 0, "iou": None, "dice": None}
    none = {"train": 0, "test": 0}
    ceiling = {"all": nothing, "with_mask": nothing}
    about = {"leaks": [], "quarantine": none, "test_set": ["None", "None"]}
    save_audit(config, {**about, "label_noise_ceiling": ceiling})
    folds, run = load_folds(config), Run.of(config)
    for fold, table in progress(folds.table.groupby("fold"), "maps", unit="folds"):
        run.fold(fold).mkdir(exist_ok=True)
        run.model(fold).write_bytes(b"")
        provenance = provenance_of({str(fold): sha_of(b"")}, table, folds)
        provenance["caveats"] = training_caveats(config)
        with written_whole(run.oof(fold)) as file, ProbabilityWriter(file, provenance) as writer:
            for image, text in zip(table["image"], table["rle_mask"], strict=True):
                found = near(rle.decode(text, SIZE), random)
                writer.add(image, found[None], np.array([found.max() / 255], np.float32))


def nerve(random: np.random.Generator) -> Mask:
    """An ellipse of the competition's sizes and places."""
    centre = (int(random.integers(150, 500)), int(random.integers(46, 356)))
    axes = (int(random.integers(50, 90)), int(random.integers(25, 42)))
    mask = np.zeros(SIZE, np.uint8)
    cv2.ellipse(mask, centre, axes, -55, 0, 360, 1, -1)
    return mask


def near(mask: Mask, random: np.random.Generator) -> Mask:
    """Probabilities, 0..255: high a few pixels beside the mask; sometimes where there is none."""
    if not mask.any():
        mask = nerve(random) if random.random() < ALARMS else mask
    moved = np.roll(mask, tuple(random.integers(-OFF, OFF + 1, 2).tolist()), (0, 1))
    level = random.uniform(100, 230)
    return np.asarray(cv2.GaussianBlur(level * moved.astype(np.float32), (0, 0), 6), np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m benchmarks.scores",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    main(**vars(parser.parse_args()))
