"""Does the score that 04 quotes hold on people nobody has seen? On phantoms the truth is known.

    python -m benchmarks.honesty [FOLDER] [--seeds 20] [setting=value ...]

Of each seed a phantom data set (24 people, half of them to train on and half to score on, and 36
others as the test set, with the real set's shares of nerves and its contradictory twins), the four
scripts on it with a small network, and the submission scored by the masks that the phantom keeps.
A line a seed: the score on the people left out by the fixed threshold, by the rule chosen on these
images, by rules chosen without the images they score (nested, with its 95 % interval over people),
all as expected at the test set's share of nerves; and the score on the test set. Last, how often
the interval holds it.

One network predicts both sets, so that they differ by chance alone. With several folds the test set
gets their mean, and its score may well lie higher:

    python -m benchmarks.honesty FOLDER validation_strategy=grouped n_folds=3 "folds=[0,1,2]"

The test set has more people than are scored before, for its score to be nearly that of all people:
an interval for the mean must not be blamed for the luck of a small test set. Even so, by the spread
of both, 18 of 20 are to be expected, not 19.

FOLDER (default: data/honesty) needs 200 MB a seed; a seed that is done is read and not run again.
"""

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib import rle
from lib.artifacts.decision import load_decision
from lib.data.layouts import load_settings
from lib.metric import Metric
from lib.runtime.threads import in_order
from tools.phantom.dataset import generate

REPOSITORY = Path(__file__).parent.parent
SCRIPTS = ("01_prepare_folds.py", "02_train.py", "03_infer.py", "04_make_submission.py")
SHAPE = (420, 580)
JOBS = os.cpu_count() or 1  # seeds at once, each on one core
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
TEST_SHARE = 0.47  # of the phantom's test images that show a nerve
SETTINGS = (
    "backbone=tu-tf_efficientnet_lite0",
    "image_height=96",
    "image_width=128",
    "batch_size=8",
    "epochs=8",
    "validation_strategy=automatic",
    "validation_size=0.5",
    "folds=['0']",
    "mixed_precision_inference=true",
    "number_of_workers=0",
    f"test_positive_share={TEST_SHARE}",
)


class Seed(NamedTuple):
    """IoU, the competition's: two empty masks score 1, one of two 0."""

    fixed: float
    tuned: float
    nested: float
    low: float
    high: float
    test: float

    @property
    def holds(self) -> bool:
        return self.low <= self.test <= self.high


def scored(folder: Path, seed: int, settings: list[str]) -> Seed:
    """Runs what is not there yet, and reads what came of it."""
    data = folder / f"phantom{seed}"
    generate(data, subjects=24, frames=12, test_subjects=36, test_frames=12, seed=seed, workers=1)
    given = [*SETTINGS, f"data={data}", f"runs_folder={folder / 'runs'}"]
    given += [f"experiment_name=seed{seed}", f"seed={seed}", *settings]
    config = load_settings(REPOSITORY / "config.yaml", given)
    run = folder / "runs" / f"seed{seed}"
    if not (run / "report.html").is_file():
        for script in SCRIPTS:
            command = [sys.executable, str(REPOSITORY / script), *given]
            with (folder / f"seed{seed}.log").open("a") as log:
                subprocess.run(command, check=True, stdout=log, stderr=log, env=ONE_THREAD)
    decision = load_decision(config)
    nested = decision["scores"]["expected"]
    low, high = nested["iou_interval"]
    others = {name: found["expected"]["iou"] for name, found in decision["other_scores"].items()}
    test = score_of(run / "submission.csv", data / "truth" / "test_masks.csv")
    return Seed(others["fixed"], others["tuned"], nested["iou"], low, high, test)


def score_of(submission: Path, truth: Path) -> float:
    """Mean IoU of the masks."""
    ours = pd.read_csv(submission, dtype=str, keep_default_na=False).set_index("img")["pixels"]
    true = pd.read_csv(truth, dtype=str, keep_default_na=False)
    areas, both, own = [], [], []
    for image, pixels in zip(true["img"], true["pixels"], strict=True):
        mask = rle.decode(pixels, SHAPE) > 0
        guess = rle.decode(ours[image], SHAPE) > 0
        own.append(int(mask.sum()))
        areas.append(int(guess.sum()))
        both.append(int((mask & guess).sum()))
    return float(Metric.IOU.of_counts(*map(np.array, (own, areas, both))).mean())


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.honesty", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data/honesty"))
    parser.add_argument("--seeds", type=int, default=20)
    given, settings = parser.parse_known_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    print("| seed | fixed | tuned | nested | 95 % | test | holds |\n|---|---|---|---|---|---|---|")
    seeds, began = [], time.monotonic()
    numbers = range(1, given.seeds + 1)
    work = partial(scored, given.folder, settings=settings)
    for number, seed in zip(numbers, in_order(work, numbers, JOBS - 1, JOBS), strict=True):
        seeds.append(seed)
        between = f"{seed.low:.3f} to {seed.high:.3f}"
        cells = f"{seed.fixed:.3f} | {seed.tuned:.3f} | {seed.nested:.3f} | {between}"
        print(
            f"| {number} | {cells} | {seed.test:.3f} | {'yes' if seed.holds else 'NO'} |",
            flush=True,
        )
    table = pd.DataFrame(seeds)
    mean = table.mean()
    held = f"{sum(seed.holds for seed in seeds)} of {len(seeds)}"
    cells = f"{mean['fixed']:.3f} | {mean['tuned']:.3f} | {mean['nested']:.3f}"
    print(f"| mean | {cells} | | {mean['test']:.3f} | {held} |")
    for way in ("fixed", "tuned", "nested"):
        above = table[way] - table["test"]
        print(f"{way} less test: {above.mean():+.3f}, mean distance {above.abs().mean():.3f}")
    print(f"{(time.monotonic() - began) / 60:.1f} min")


if __name__ == "__main__":
    main()
