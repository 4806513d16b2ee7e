"""Peers on the same people: trained on the same folds, scored by the same rules and code.

    python -m benchmarks.same_folds DATA [PEER ...] [--folds 0 2] [--seed 42] [--epochs 5]
                                    [--runs runs/ablations] [--peers PYTHON]

PEER is fastai, monai or nnunet; without one, all.
Ours is the base of benchmarks/ablations.py (the same --runs are read where they are done). Each
peer sees the same images, resized as for ours, as many a batch, as often, on one core, as many at
once as there are cores; what it says of the images of the fold becomes a run of its own: `python -m
tools.compare runs/ablations/base_42 runs/ablations/nnunet_42` tells more.
"""

import argparse
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from benchmarks.ablations import BASE, JOBS, ONE_THREAD, minutes, run_variant
from benchmarks.scripts import script
from benchmarks.timing import answer_of, missing
from lib.artifacts.folds import load_folds, training_rows, unseen_rows
from lib.artifacts.probabilities import ProbabilityWriter, provenance_of
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.images_of_test import read_test_table
from lib.data.layouts import load_settings
from lib.data.table import with_files
from lib.dataset import NerveImages
from lib.inference.predict import presence_of
from lib.runtime.files import save_json, sha_of_file, written_whole
from lib.runtime.threads import in_order
from tools.compare.comparison import compared_runs
from tools.watch.speed import load_speed

PACKAGES = {"fastai": "fastai", "monai": "monai", "nnunet": "nnunetv2"}


class Job(NamedTuple):
    peer: str
    fold: int


def main(given: argparse.Namespace) -> None:
    for peer in given.names:
        if why := missing(PACKAGES[peer], given.peers):
            sys.exit(f"{peer} {why}")
    config = load_settings(DEFAULT_FILE, settings_of("base", given))
    if read_test_table(config) is not None:
        sys.exit(f"{given.data} has a test set, which peers do not predict: take it out")
    run_variant("base", given.seed, given)
    jobs = [Job(peer, fold) for peer in given.names for fold in given.folds]
    left = [job for job in jobs if not answer_path(job, given).is_file()]
    for peer in given.names:
        script(1, settings_of(peer, given))
    for job in in_order(partial(train, given=given), left, len(left), JOBS):
        print(f"done: {job.peer}, fold {job.fold}", file=sys.stderr, flush=True)
    for peer in given.names:
        script(4, settings_of(peer, given))
    print("\n".join(table(given)))


def settings_of(peer: str, given: argparse.Namespace) -> list[str]:
    folds = ",".join(f"'{fold}'" for fold in given.folds)
    settings = [*BASE, f"folds=[{folds}]", f"seed={given.seed}", f"data={given.data}"]
    return [*settings, f"runs_folder={given.runs}", f"experiment_name={peer}_{given.seed}"]


def answer_path(job: Job, given: argparse.Namespace) -> Path:
    """What training took: minutes and GiB."""
    return Path(given.runs) / f"{job.peer}_{given.seed}" / f"fold{job.fold}" / "peer.json"


def train(job: Job, given: argparse.Namespace) -> Job:
    """Leaves the peer's probabilities where 03 leaves ours, and a stand-in of its model."""
    config = load_settings(DEFAULT_FILE, settings_of(job.peer, given))
    folds = load_folds(config)
    images = with_files(folds.table, config)
    learned, unseen = (part(images, job.fold, config) for part in (training_rows, unseen_rows))
    with tempfile.TemporaryDirectory() as scratch:
        task = Path(scratch)
        write_task(task, learned, unseen, given, config)
        words = "benchmarks.peer_training", job.peer, task
        answer = answer_of(given.peers, *words, environment=ONE_THREAD)
        with np.load(task / "probabilities.npz") as found:
            planes = {image: found[image] for image in unseen["image"]}
    model = Run.of(config).model(job.fold)
    with written_whole(model) as file:
        file.write(f"stand-in of {job.peer}'s model".encode())
    provenance = provenance_of({str(job.fold): sha_of_file(model)}, unseen, folds)
    provenance |= {"caveats": [], "presence_head": False}
    path = Run.of(config).oof(job.fold)
    with written_whole(path) as file, ProbabilityWriter(file, provenance) as writer:
        for row in unseen.to_dict("records"):
            size = row["width"], row["height"]
            plane = cv2.resize(planes[row["image"]], size, interpolation=cv2.INTER_LINEAR)
            writer.add(row["image"], plane[None], presence_of(plane[None]))
    save_json(answer_path(job, given), answer)
    return job


def write_task(
    task: Path,
    learned: pd.DataFrame,
    unseen: pd.DataFrame,
    given: argparse.Namespace,
    config: Config,
) -> None:
    """What benchmarks/peer_training.py reads."""
    images = pd.concat([learned.assign(unseen=0), unseen.assign(unseen=1)])
    found = NerveImages(images, config)
    for folder in ("images", "masks"):
        (task / folder).mkdir()
    for place, image in enumerate(images["image"]):
        batch = found[place, -1]  # as it is, not augmented
        for folder, planes in (("images", batch.images), ("masks", batch.masks)):
            cv2.imwrite(str(task / folder / f"{image}.png"), planes[0].numpy())
    images[["image", "unseen"]].to_csv(task / "images.csv", index=False)
    settings = {"epochs": given.epochs, "batch_size": config.batch_size, "seed": given.seed}
    save_json(task / "task.json", settings)


def table(given: argparse.Namespace) -> list[str]:
    """Markdown: a row a contestant; minutes and memory of one fold on one core."""
    ours = Path(given.runs) / f"base_{given.seed}"
    lines = [
        "| who | IoU | 95 % over people | pixels above .5 | ours less it | 95 % | minutes | GiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("ours", *given.names):
        run = ours if name == "ours" else ours.with_name(f"{name}_{given.seed}")
        decision = json.loads((run / "decision.json").read_text())
        scores, fixed = decision["scores"]["all"], decision["other_scores"]["fixed"]["all"]
        low, high = scores["iou_interval"]
        cells = f"{scores['iou']:.3f} | {low:.3f} to {high:.3f} | {fixed['iou']:.3f} |"
        lines.append(f"| {name} | {cells} {difference(run, ours)} | {took(name, given)} |")
    return lines


def difference(theirs: Path, ours: Path) -> str:
    if theirs == ours:
        return "|"
    changes = compared_runs(theirs, ours).changes
    (change,) = [each for each in changes if (each.of, each.metric) == ("all", "iou")]
    low, high = change.interval or (float("nan"), float("nan"))
    return f"{change.change:+.3f} | {low:+.3f} to {high:+.3f}"


def took(name: str, given: argparse.Namespace) -> str:
    """Minutes of a training and the most memory; ours validates after each epoch too."""
    if name == "ours":
        config = load_settings(DEFAULT_FILE, settings_of("base", given))
        speeds = [load_speed(Run.of(config).speed(fold)) for fold in given.folds]
        most = max(table["peak_memory_gib"].max() for table in speeds)
        return f"{minutes('base', given):.1f} | {most:.1f}"
    jobs = [Job(name, fold) for fold in given.folds]
    answers = [json.loads(answer_path(job, given).read_text()) for job in jobs]
    mean = statistics.mean(answer["training"] for answer in answers)
    return f"{mean:.1f} | {max(answer['gib'] for answer in answers):.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m benchmarks.same_folds", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", metavar="PEER", default=[*PACKAGES])
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--runs", default="runs/ablations")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    given = parser.parse_intermixed_args()
    if unknown := set(given.names) - set(PACKAGES):
        parser.error(f"{', '.join(sorted(unknown))}: the peers are {', '.join(PACKAGES)}")
    given.seeds = [given.seed]  # as benchmarks/ablations.py has it
    main(given)
