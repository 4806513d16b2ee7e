"""Predicts every training image by the network that never saw it, every test image by all.

fold{k}/model.pt, folds.csv, images -> oof_fold{k}.npz, test.npz (where there is a test set)

A file whose models, images and settings are as they were is left as it is.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from lib.artifacts import (
    Folds,
    Probabilities,
    ProbabilityWriter,
    load_audit,
    load_folds,
    oof_path,
    provenance_of,
    test_path,
    written_whole,
)
from lib.audit import left_out_of_test
from lib.config import Config, run
from lib.folds import unseen_part
from lib.memory import keep_freed_memory
from lib.model import describe, device_of
from lib.predict import Trained, predict, trained_network
from lib.sources import read_test_table, with_files, with_sha


def main(config: Config) -> None:
    keep_freed_memory()
    folds = load_folds(config)
    table = with_files(folds.table, config)
    device = device_of(config)
    print(f"on {describe(device, config.mixed_precision_inference)}")
    trained = {k: trained_network(config, k, folds.sha, device) for k in config.fold_numbers}
    for fold, network in trained.items():
        unseen = unseen_part(table, fold, config)
        infer(oof_path(config, fold), {fold: network}, unseen, folds, config, device)
    left_out = left_out_of_test(load_audit(config, folds), config)
    test = read_test_table(config, left_out)
    if test is None:
        print("there is no test set")
        return
    usable = test.dropna(subset="file").reset_index(drop=True)
    infer(test_path(config), trained, with_sha(usable), folds, config, device)
    if left_out:
        print(f"QUARANTINE: {len(left_out)} test images could not be used and are not predicted")


def infer(
    path: Path,
    trained: dict[int, Trained],
    images: pd.DataFrame,
    folds: Folds,
    config: Config,
    device: torch.device,
) -> None:
    """Writes the mean probability over the networks of each of the images."""
    provenance = provenance_of({k: model.sha for k, model in trained.items()}, images, folds)
    for name in ("mixed_precision_inference", "custom_inference_augmentations"):
        provenance[name] = getattr(config, name)
    provenance["presence_head"] = all(model.presence_head for model in trained.values())
    if is_whole(path, provenance):
        print(f"{path} is predicted already")
        return
    networks = [model.network for model in trained.values()]
    predictions = predict(networks, images, config, device)
    with written_whole(path) as file, ProbabilityWriter(file, provenance) as writer:
        for prediction in tqdm(predictions, path.stem, len(images), unit="image", disable=None):
            image = images["image"].iloc[prediction.row]
            writer.add(image, prediction.probability, prediction.presence)
    print(f"{path}: {len(images)} images by {len(networks)} network(s)")


def is_whole(path: Path, provenance: dict[str, Any]) -> bool:
    """Whether the file is there and was made from these models, images and settings."""
    if not path.is_file():
        return False
    with Probabilities(path) as probabilities:
        return probabilities.provenance == provenance


if __name__ == "__main__":
    run(main, __doc__)
