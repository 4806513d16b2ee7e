"""Predicts every training image by the network that never saw it, every test image by all.

fold{k}/model.pt, folds.csv, images -> oof_fold{k}.npz, test.npz (where there is a test set)

A file whose models, images and settings are as they were is left as it is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from lib.artifacts import (
    Probabilities,
    ProbabilityWriter,
    load_folds,
    model_path,
    oof_path,
    sha,
    test_path,
    with_drawn_seed,
    written_whole,
)
from lib.config import Config, run
from lib.model import describe, device_of, keep_freed_memory
from lib.predict import predict, trained_network
from lib.sources import read_test_table, with_paths


def main(config: Config) -> None:
    keep_freed_memory()
    config = with_drawn_seed(config)
    folds = with_paths(load_folds(config), config)
    device = device_of(config)
    print(f"on {describe(device, config.mixed_precision_inference)}")
    networks = {fold: trained_network(config, fold, device) for fold in map(int, config.folds)}
    for fold, network in networks.items():
        unseen = folds[folds["fold"] == fold].reset_index(drop=True)
        infer(oof_path(config, fold), [fold], [network], unseen, config, device)
    test = read_test_table(config)
    if test is None:
        print("there is no test set")
    else:
        test["sha"] = test["path"].map(sha)
        infer(test_path(config), list(networks), list(networks.values()), test, config, device)


def infer(
    path: Path,
    folds: list[int],
    networks: Sequence[nn.Module],
    table: pd.DataFrame,
    config: Config,
    device: torch.device,
) -> None:
    """Writes the mean probability over the networks of each image of the table."""
    provenance = {
        "models": {str(fold): sha(model_path(config, fold)) for fold in folds},
        "images": dict(zip(table["image"], table["sha"], strict=True)),
        "mixed_precision_inference": config.mixed_precision_inference,
    }
    if is_whole(path, provenance):
        print(f"{path} is predicted already")
        return
    with written_whole(path) as file:
        writer = ProbabilityWriter(file)
        predictions = predict(networks, table, config, device)
        for prediction in tqdm(predictions, path.stem, len(table), unit="image", disable=None):
            image = table["image"].iloc[prediction.row]
            writer.add(image, prediction.probability, prediction.presence)
        writer.close(provenance)
    print(f"{path}: {len(table)} images by {len(networks)} network(s)")


def is_whole(path: Path, provenance: dict[str, Any]) -> bool:
    """Whether the file is there and was made from these models, images and settings."""
    if not path.is_file():
        return False
    with Probabilities(path) as probabilities:
        return probabilities.provenance == provenance


if __name__ == "__main__":
    run(main, __doc__)
