"""All that a reader of a score must know."""

import re
from typing import Any

from lib.config.fields import Config


def caveats(audit: dict[str, Any], config: Config) -> list[str]:
    """All that a reader of a score must know; `audit` is the content of folds_audit.json."""
    words = list(audit["leaks"])
    out = audit["quarantine"]
    if out["train"] or out["test"]:
        words.append(
            f"QUARANTINE: {out['train']} training and {out['test']} test images could not be used "
            "and are in no score: see quarantine.csv"
        )
    if config.data_sample < 1:
        parts = " and ".join(config.data_sample_choice)
        words.append(f"data_sample: {config.data_sample:g} of the images of {parts} were used")
    return words


def training_caveats(config: Config) -> list[str]:
    """What flatters the scores of networks that were trained with these settings, in words."""
    words = []
    if config.train_validation_data:
        words.append(
            "NOT OUT OF FOLD: with train_validation_data the networks were trained on the images "
            "that they are scored on"
        )
    if config.save_best_checkpoint or config.early_stopping_epochs:
        name = "save_best_checkpoint" if config.save_best_checkpoint else "early_stopping_epochs"
        words.append(
            f"EPOCH CHOSEN ON THESE IMAGES: by {name}, after their scores, which therefore flatter"
        )
    return words


def marks(caveats: list[str]) -> str:
    """The words in capitals that they begin with, to stand beside every score."""
    found = [re.match(r"[A-Z]{2}[A-Z ]+", caveat) for caveat in caveats]
    return "".join(f"  {mark}" for mark in dict.fromkeys(m[0].strip() for m in found if m))
