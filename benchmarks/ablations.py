"""Which settings give the better masks? Each variant against the base, on people left out.

    python -m benchmarks.ablations DATA [VARIANT ...] [--folds 0 2] [--seeds 42 43] [--base NAME]

Trains, predicts and scores each variant on the folds and seeds asked for, as many at once as there
are cores, one core each; a run that is done is read. The score is IoU out of fold by rules chosen
without the images they score, the mean over seeds for each image; the difference from the base is
paired by image, its interval a bootstrap over people, who are the same in all. Several variants
against one base: of twenty that change nothing, one will have an interval without 0.

A variant `of` others takes their trained networks. Without VARIANT all are run; the table goes to
the screen and, with --out FILE, into a file.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.metric import bootstrap_interval
from lib.runtime.threads import in_order
from tools.compare.comparison import change_of

REPOSITORY = Path(__file__).parent.parent
SCRIPTS = ("01_prepare_folds.py", "02_train.py", "03_infer.py", "04_make_submission.py")
JOBS = os.cpu_count() or 1
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
BASE = (
    "backbone=tu-tf_efficientnet_lite0",
    "image_height=96",
    "image_width=128",
    "augmentations_strategy=Medium",
    "mixed_precision_inference=true",
    "number_of_workers=0",
    "quiet=true",
)


class Variant(NamedTuple):
    settings: tuple[str, ...] = ()
    of: str = ""  # the variant whose networks it uses
    members: tuple[str, ...] = ()  # variants whose probabilities are averaged instead

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.of,) if self.of else self.members


VARIANTS = {
    "base": Variant(),
    "Soft": Variant(("augmentations_strategy=Soft",)),
    "Hard": Variant(("augmentations_strategy=Hard",)),
    "10 epochs": Variant(("epochs=10",)),
    "Hard, 10 epochs": Variant(("augmentations_strategy=Hard", "epochs=10")),
    "average of weights, .98": Variant(("ema_decay=0.98",)),
    "rate .0005": Variant(("learning_rate=0.0005",)),
    "rate .002": Variant(("learning_rate=0.002",)),
    "weight decay .05": Variant(("weight_decay=0.05",)),
    "Dice weighs 2": Variant(("dice_weight=2",)),
    "Mixup": Variant(("mix_image=Mixup",)),
    "128x192": Variant(("image_height=128", "image_width=192")),
    "192x256": Variant(("image_height=192", "image_width=256")),
    "FPN": Variant(("architecture=FPN",)),
    "UnetPlusPlus": Variant(("architecture=UnetPlusPlus",)),
    "MAnet": Variant(("architecture=MAnet",)),
    "lite1": Variant(("backbone=tu-tf_efficientnet_lite1",)),
    "lite2": Variant(("backbone=tu-tf_efficientnet_lite2",)),
    "contradictory twins count half": Variant(("label_policy=downweight",)),
    "no ImageNet": Variant(("pretrained=false",)),
    "flip at test time": Variant(("test_time_augmentations=['Horizontal flip']",), of="base"),
    "flip, scales": Variant(("test_time_augmentations=['Horizontal flip', Scale]",), of="base"),
    "base and Soft, mean": Variant(members=("base", "Soft")),
    "base and Hard, mean": Variant(members=("base", "Hard")),
    "base and lite1, mean": Variant(members=("base", "lite1")),
    "base and 128x192, mean": Variant(members=("base", "128x192")),
}


def main() -> None:
    given = _parse_arguments()
    names = list(dict.fromkeys([given.base, *(given.variants or VARIANTS)]))
    if unknown := set(names) - set(VARIANTS):
        sys.exit(f"no such variants: {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    names += [need for name in names for need in VARIANTS[name].needs if need not in names]
    trained = [name for name in names if not VARIANTS[name].needs]
    for group in (trained, [name for name in names if VARIANTS[name].needs]):
        work = [(name, seed) for name in group for seed in given.seeds]
        for name, seed in in_order(lambda job: run_variant(*job, given), work, len(work), JOBS):
            print(f"done: {name}, seed {seed}", file=sys.stderr, flush=True)
    lines = list(table(names, given))
    print("\n".join(lines))
    if given.out:
        given.out.write_text("\n".join(lines) + "\n")


def table(names: Sequence[str], given: argparse.Namespace) -> list[str]:
    """Markdown: a row a variant."""
    base = scores(given.base, given)
    people = base["subject"].nunique()
    lines = [
        f"{len(base)} images of {people} people, folds {given.folds}, seeds {given.seeds}; against "
        f"{given.base}.\n",
        "| variant | IoU | 95 % over people | less base | 95 % | better | minutes a training |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        found = scores(name, given)
        low, high = bootstrap_interval(found["iou"].to_numpy(), found["subject"].to_numpy()) or (
            float("nan"),
            float("nan"),
        )
        cells = f"| {name} | {found['iou'].mean():.3f} | {low:.3f} to {high:.3f} |"
        if name != given.base:
            pairs = base.merge(found, on=["image", "subject"], suffixes=("_a", "_b"))
            pairs["iou_change"] = pairs["iou_b"] - pairs["iou_a"]
            change = change_of("all", "iou", pairs)
            between = change.interval or (float("nan"), float("nan"))
            cells += f" {change.change:+.3f} | {between[0]:+.3f} to {between[1]:+.3f} |"
            cells += f" {change.better or 0:.2f} |"
        else:
            cells += " | | |"
        lines.append(f"{cells} {minutes(name, given):.1f} |")
    return lines


def scores(name: str, given: argparse.Namespace) -> pd.DataFrame:
    """image, subject, iou: the mean over the seeds."""
    tables = [pd.read_csv(folder_of(name, seed, given) / "oof_iou.csv") for seed in given.seeds]
    return pd.concat(tables).groupby(["image", "subject"], as_index=False)["iou"].mean()


def minutes(name: str, given: argparse.Namespace) -> float:
    """Of training and validating one fold, on one core; 0 where nothing was trained."""
    if VARIANTS[name].needs:
        return 0.0
    found = [
        pd.read_csv(folder_of(name, seed, given) / f"fold{fold}" / "speed.csv")
        for seed in given.seeds
        for fold in given.folds
    ]
    columns = ["training_seconds", "validation_seconds"]
    return sum(table[columns].to_numpy().sum() for table in found) / len(found) / 60


def folder_of(name: str, seed: int, given: argparse.Namespace) -> Path:
    return Path(given.runs) / f"{_plain(name)}_{seed}"


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def run_variant(name: str, seed: int, given: argparse.Namespace) -> tuple[str, int]:
    """The four scripts, where the run is not done yet."""
    variant, folder = VARIANTS[name], folder_of(name, seed, given)
    if (folder / "report.html").is_file():
        return name, seed
    folder.mkdir(parents=True, exist_ok=True)
    if variant.of:
        shutil.copytree(folder_of(variant.of, seed, given), folder, dirs_exist_ok=True)
        for left in folder.glob("*.npz"):
            left.unlink()
        (folder / "report.html").unlink()
    members = [str(folder_of(member, seed, given)) for member in variant.members]
    folds = ",".join(f"'{fold}'" for fold in given.folds)
    settings = [*BASE, *variant.settings, f"folds=[{folds}]", f"seed={seed}"]
    settings += [f"data={given.data}", f"runs_folder={given.runs}"]
    settings += [f"experiment_name={folder.name}", f"ensemble={members}"]
    with (folder / "run.log").open("a") as log:
        for script in SCRIPTS:
            command = [sys.executable, str(REPOSITORY / script), *settings]
            subprocess.run(command, check=True, stdout=log, stderr=log, env=ONE_THREAD)
    return name, seed


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.ablations", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("data", type=Path)
    parser.add_argument("variants", nargs="*", metavar="VARIANT")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43])
    parser.add_argument("--base", default="base")
    parser.add_argument("--runs", default="runs/ablations")
    parser.add_argument("--out", type=Path)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
