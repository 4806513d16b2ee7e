"""Whether 01, 03 and 04 stay linear in time and small in memory on far more frames than usual.

    python -m benchmarks.growth FOLDER [--frames 5635 22540 90160]

Draws small frames of people (FRAMES each) in the competition's layout, and test frames, a fifth as
many. 01 prepares them. Two networks of random weights at 32x32 stand in for trained ones, so that
03 shows what is around a network. Before 04, what they say is replaced by blurred true masks, lest
every mask be empty. Prints one Markdown table.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.scripts import save_random_networks, script
from benchmarks.timing import Usage
from lib import rle
from lib.artifacts.folds import load_folds, true_mask
from lib.artifacts.probabilities import Probabilities, ProbabilityWriter
from lib.artifacts.run import Run
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.runtime.files import written_whole
from lib.runtime.progress import progress

FRAMES = 115  # of each person, so that 49 people have as many as the competition's 47
HEIGHT, WIDTH = 105, 145  # a quarter of the competition's frames
STEP = 7  # pixels from frame to frame: neighbours are no near-duplicates
COPIES = 10  # every tenth frame is a copy of the one before
STRANGERS = 20  # every twentieth person begins with the frame that the one before began with
SHARE = 0.4  # of the frames, with a nerve
SETTINGS = [
    *("backbone=tu-test_resnet", "pretrained=false", "quiet=true", "seed=0"),
    *("image_height=32", "image_width=32", "n_folds=2", "folds=['0','1']"),
]
STEPS = (1, 3, 4)
HEADER = (
    "| frames | step | seconds | of processors | ms a frame | GiB at most |\n" + "|---" * 6 + "|"
)

Grey = npt.NDArray[np.uint8]


def main(folder: Path, frames: list[int]) -> None:
    print(HEADER)
    for count in frames:
        data = folder / f"frames_{count}"
        draw(data, count // FRAMES)
        for step, usage in measured(data, folder):
            per_frame = 1000 * usage.of_processors / count
            print(
                f"| {count:,} | {step:02} | {usage.seconds:.0f} | {usage.of_processors:.0f} | "
                f"{per_frame:.2f} | {usage.gib:.2f} |",
                flush=True,
            )


def measured(data: Path, folder: Path) -> Iterator[tuple[int, Usage]]:
    """What each of STEPS takes in a run of its own; the last answers are left for a person."""
    words = [f"data={data}", f"runs_folder={folder / 'runs'}", f"experiment_name={data.name}"]
    settings = [*words, *SETTINGS]
    run = Run.of(load_settings(DEFAULT_FILE, settings))
    for path in run.folder.glob("*.npz"):
        path.unlink()
    for step in STEPS:
        if step == 3:
            save_random_networks(settings)
        if step == 4:
            answer_well(settings)
        yield step, script(step, settings)


def draw(folder: Path, people: int) -> None:
    """The competition's layout, of so many people, and test frames of a fifth as many."""
    if (folder / "train_masks.csv").exists():
        return
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    others = max(1, people // 5)
    for person in progress(range(people + others), f"{folder.name}", people + others, "people"):
        for frame, (image, mask) in enumerate(video(person), 1):
            if person >= people:
                name = f"test/{(person - people) * FRAMES + frame}.png"
                cv2.imwrite(str(folder / name), image)
                continue
            cv2.imwrite(str(folder / f"train/{person}_{frame}.png"), image)
            cv2.imwrite(str(folder / f"train/{person}_{frame}_mask.png"), mask * 255)
            rows.append((person, frame, rle.encode(mask)))
    tests = pd.DataFrame({"img": range(1, others * FRAMES + 1), "pixels": "1 1"})
    tests.to_csv(folder / "sample_submission.csv", index=False)
    table = pd.DataFrame(rows, columns=["subject", "img", "pixels"])
    table.to_csv(folder / "train_masks.csv", index=False)


def video(person: int) -> Iterator[tuple[Grey, Grey]]:
    """Frames of one person and their masks: speckle that passes by, darker in an ellipse."""
    random = np.random.default_rng([person, 1])
    whole = speckle_of(person)
    for frame in range(FRAMES):
        place = STEP * (frame - (frame % COPIES == COPIES - 1))
        image = whole[:, place : place + WIDTH]
        if frame == 0 and person % STRANGERS == STRANGERS - 1:
            image = speckle_of(person - 1)[:, :WIDTH]
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if random.random() < SHARE:
            centre = (random.uniform(50, 95), random.uniform(25, 60))
            axes = (random.uniform(24, 36), random.uniform(14, 20))
            cv2.ellipse(mask, (centre, axes, -55), 1, -1)
        noisy = image - 15 * mask + random.normal(0, 2, image.shape)
        yield noisy.clip(0, 255).astype(np.uint8), mask


def speckle_of(person: int) -> npt.NDArray[np.float64]:
    """(HEIGHT, wide): all that the frames of a person pass by."""
    noise = np.random.default_rng(person).normal(size=(HEIGHT, WIDTH + STEP * FRAMES))
    speckle = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.linspace(150, 50, HEIGHT)[:, None] + 20 * speckle / speckle.std()


def answer_well(settings: list[str]) -> None:
    """Puts blurred true masks into the files of 03; test images get those of training images."""
    config = load_settings(DEFAULT_FILE, settings)
    folds, run = load_folds(config), Run.of(config)
    for path in (*map(run.oof, config.fold_numbers), run.test):
        rows = folds.table.to_dict("records")
        with Probabilities(path) as before:
            provenance, names = before.provenance, list(before.presence)
        if path != run.test:
            by_name = {row["image"]: row for row in rows}
            rows = [by_name[name] for name in names]
        with written_whole(path) as file, ProbabilityWriter(file, provenance) as writer:
            for name, row in zip(names, rows, strict=False):
                mask = true_mask(row, folds.masks[0])
                blurred = np.asarray(cv2.GaussianBlur(230 * mask, (0, 0), 4), np.uint8)
                writer.add(name, blurred[None], np.array([blurred.max() / 255], np.float32))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", default=[5635, 22540, 90160])
    main(**vars(parser.parse_args()))
