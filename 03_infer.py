"""Predicts every training image by the network that never saw it, every test image by all.

fold{k}/model.pt, folds.csv, images -> oof_fold{k}.npz, test.npz (where there is a test set)

A file whose models, images and settings are as they were is left as it is; one that was begun is
gone on with. With `ensemble`, the same files of several runs take the models' place. Several
processes share the images: torchrun --nproc-per-node=2 03_infer.py ...
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.artifacts.audit import load_audit
from lib.artifacts.caveats import training_caveats, without_doubles
from lib.artifacts.folds import Folds, load_folds, unseen_part
from lib.artifacts.probabilities import origins_of, packed_image, provenance_of
from lib.artifacts.run import Run
from lib.config.command_line import run
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.data.table import read_test_table, with_files, with_sha
from lib.data.test_set import left_out_of_test
from lib.inference.ensemble import Samples, averaged, fitted_weights, opened_members, sampled
from lib.inference.pieces import Make, Member, is_whole, remove_pieces, write_in_pieces
from lib.inference.predict import Unfinished, predict, trained_network
from lib.inference.tta import views_of
from lib.runtime.device import describe, device_of, set_up
from lib.runtime.memory import keep_freed_memory
from lib.runtime.processes import joined, of_first
from lib.runtime.threads import in_order


class Part(NamedTuple):
    """A file to make."""

    path: Path
    fold: int | None  # whose images they are; None: the test set
    images: pd.DataFrame  # columns image, file, sha; of a fold all those of folds.csv


def main(config: Config) -> None:
    keep_freed_memory()
    with joined(config.gpus):
        folds = load_folds(config)
        parts = of_first(partial(parts_to_predict, folds, config))
        (average if config.ensemble else infer)(parts, folds, config)


def parts_to_predict(folds: Folds, config: Config) -> list[Part]:
    table = with_files(folds.table, config)
    parts = [
        Part(Run.of(config).oof(fold), fold, unseen_part(table, fold, config))
        for fold in config.fold_numbers
    ]
    left_out = left_out_of_test(load_audit(config, folds), config)
    test = read_test_table(config, left_out)
    if test is None:
        print("there is no test set")
        return parts
    if left_out:
        print(f"QUARANTINE: {len(left_out)} test images could not be used and are not predicted")
    usable = test.dropna(subset="file").reset_index(drop=True)
    return [*parts, Part(Run.of(config).test, None, with_sha(usable))]


def infer(parts: list[Part], folds: Folds, config: Config) -> None:
    """By the networks of this run."""
    device, views = device_of(config.gpus), len(views_of(config))
    set_up(device, config.deterministic)
    print(f"on {describe(device, config.mixed_precision_inference)}")
    if views > 1:
        print(f"{views} views of each image, so {views} times the work of one")
    trained = {k: trained_network(config, k, folds.sha, device) for k in config.fold_numbers}
    for part in parts:
        numbers = list(trained) if part.fold is None else [part.fold]
        models = [trained[number] for number in numbers]
        origins = {str(number): trained[number].sha for number in numbers}
        caveats = [caveat for model in models for caveat in training_caveats(model.settings)]
        provenance = provenance_of(origins, part.images, folds) | {
            "caveats": without_doubles(caveats),
            "custom_inference_augmentations": config.custom_inference_augmentations,
            "mixed_precision_inference": config.mixed_precision_inference,
            "presence_head": all(model.presence_head for model in models),
            "test_time_augmentations": config.test_time_augmentations,
        }
        networks = [model.network for model in models]
        if not is_done(part, provenance):
            make = partial(predicted, networks, config, device)
            write(part, provenance, f"by {len(networks)} network(s)", config, make)


def predicted(
    networks: Sequence[nn.Module], config: Config, device: torch.device, images: pd.DataFrame
) -> Iterator[Member]:
    """Stretched to their own size and compressed while the next batches are predicted."""

    def member(answer: Unfinished) -> Member:
        prediction = answer.finished()
        image = images["image"].iloc[prediction.row]
        return Member(packed_image(image, prediction.probability), prediction.presence)

    answers = predict(networks, images, config, device)
    return in_order(member, answers, ahead=2 * config.batch_size)


def average(parts: list[Part], folds: Folds, config: Config) -> None:
    """By the files of the runs of the ensemble."""
    origins = of_first(lambda: {part.path: origins_of(part.path, config, []) for part in parts})
    samples: dict[int, Samples] = {}
    for part in parts:
        others = [p for p in parts if p.fold is not None and p.fold != part.fold]
        with opened_members(part.path, part.images, folds, config) as members:
            caveats = [caveat for member in members for caveat in member.provenance["caveats"]]
            provenance = provenance_of(origins[part.path], part.images, folds) | {
                "caveats": without_doubles(caveats),
                "presence_head": all(m.provenance["presence_head"] for m in members),
            }
            if config.fit_ensemble:
                provenance["fitted_on"] = {p.path.name: origins[p.path] for p in others}
            else:
                provenance["weights"] = config.members
            if is_done(part, provenance):
                continue
            if config.fit_ensemble:
                provenance["weights"] = of_first(partial(fit, others, samples, folds, config))
            weights = provenance["weights"]
            by = "by " + ", ".join(f"{run} ({weight:.4g})" for run, weight in weights.items())
            make = partial(averaged, members, np.array([weights[run] for run in config.members]))
            write(part, provenance, by, config, make)


def fit(
    parts: list[Part], samples: dict[int, Samples], folds: Folds, config: Config
) -> dict[str, float]:
    """Weights of the runs, fitted on these folds; their samples are kept for the next."""
    for part in parts:
        if part.fold is not None and part.fold not in samples:
            with opened_members(part.path, part.images, folds, config) as members:
                samples[part.fold] = sampled(members, part.images)
    weights = fitted_weights([samples[part.fold] for part in parts if part.fold is not None])
    return dict(zip(config.members, weights.tolist(), strict=True))


def is_done(part: Part, provenance: dict[str, Any]) -> bool:
    if not of_first(partial(is_whole, part.path, provenance)):
        return False
    of_first(partial(remove_pieces, part.path))
    print(f"{part.path} is predicted already")
    return True


def write(part: Part, provenance: dict[str, Any], by: str, config: Config, make: Make) -> None:
    start = time.monotonic()
    new = write_in_pieces(part.path, provenance, part.images, config.batch_size, make)
    speed = f"{new / (time.monotonic() - start):.1f} images a second"
    begun = f", {len(part.images) - new} of them before" if new < len(part.images) else ""
    print(f"{part.path}: {len(part.images)} images {by}{begun}, {speed}")


if __name__ == "__main__":
    run(main, __doc__, load_settings)
