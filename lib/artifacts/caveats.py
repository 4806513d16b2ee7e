"""All that a reader of a score must know."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

from lib.config.fields import Config
from lib.runtime.errors import InputError


class Caveat(TypedDict):
    """Something that flatters or limits a score; the JSON files hold it as it is."""

    mark: str  # a word or a few in capitals, to stand beside every score; "" where none needs to
    text: str  # a sentence


PHANTOM = Caveat(
    mark="PHANTOM",
    text="the images are drawn, not recorded from people: a score on them shows that everything "
    "works and says nothing about people",
)


def caveats(audit: dict[str, Any], config: Config) -> list[Caveat]:
    """What the data and the folds say of all scores; `audit` is the content of folds_audit.json."""
    drawn = [PHANTOM] if audit.get("phantom") else []  # older runs do not tell
    found: list[Caveat] = [*drawn, *audit["leaks"]]
    out = audit["quarantine"]
    if out["train"] or out["test"]:
        text = (
            f"{out['train']} training and {out['test']} test images could not be used and are in "
            "no score: see quarantine.csv"
        )
        found.append(Caveat(mark="QUARANTINE", text=text))
    if config.data_sample < 1:
        chosen = " and ".join(config.data_sample_choice)
        text = f"data_sample: {config.data_sample:g} of the images of {chosen} were used"
        found.append(Caveat(mark="", text=text))
    return found


def training_caveats(config: Config) -> list[Caveat]:
    """What flatters the scores of networks that were trained with these settings."""
    found = []
    if config.train_validation_data:
        text = (
            "with train_validation_data the networks were trained on the images that they are "
            "scored on"
        )
        found.append(Caveat(mark="NOT OUT OF FOLD", text=text))
    if config.save_best_checkpoint or config.early_stopping_epochs:
        name = "save_best_checkpoint" if config.save_best_checkpoint else "early_stopping_epochs"
        text = f"by {name}, after their scores, which therefore flatter"
        found.append(Caveat(mark="EPOCH CHOSEN ON THESE IMAGES", text=text))
    return found


def sentence(caveat: Caveat) -> str:
    """The caveat as a line to print."""
    return f"{caveat['mark']}: {caveat['text']}" if caveat["mark"] else caveat["text"]


def marks(caveats: Iterable[Caveat]) -> list[str]:
    """The different marks, in their order."""
    return list(dict.fromkeys(caveat["mark"] for caveat in caveats if caveat["mark"]))


def beside_scores(caveats: Iterable[Caveat]) -> str:
    """The marks as the end of a line of scores."""
    return "".join(f"  {mark}" for mark in marks(caveats))


def without_doubles(caveats: Iterable[Caveat]) -> list[Caveat]:
    """Each caveat once, in the order of the first."""
    found: list[Caveat] = []
    for caveat in caveats:
        if caveat not in found:
            found.append(caveat)
    return found


def read_caveats(found: Any, path: Path, step: str) -> list[Caveat]:
    """The caveats `found` in the file at `path`, which `step` writes.

    InputError for a file of a version that kept none, or kept sentences without a mark.
    """
    if not isinstance(found, list) or not all(isinstance(caveat, dict) for caveat in found):
        raise InputError(f"{path} is of an older version: run {step} again")
    return found
