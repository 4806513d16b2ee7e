"""Whether a training goes on from where it was cut off."""

import math
from typing import Any

import torch

from lib.artifacts.run import Run
from lib.artifacts.state import load_state
from lib.config.fields import Config, training_settings
from lib.runtime.errors import InputError

# Settings that may grow between two starts of a training: it then goes on for longer.
ENCODER = "the content of the file of encoder weights"
MAY_GROW = ("epochs", "time_budget_minutes")


def identity(config: Config, folds_sha: str, code: str, weights: str) -> dict[str, Any]:
    """What a training's result depends on.

    `code` is the version of the code that trains, `weights` the hash of the file that the encoder
    began with.
    """
    names = sorted(training_settings(config))
    return {
        "settings": {name: getattr(config, name) for name in names},
        "folds.csv": folds_sha,
        ENCODER: weights,
        "code": code,
        "torch": str(torch.__version__),
    }


def state_to_go_on_from(config: Config, fold: int, now: dict[str, Any]) -> dict[str, Any] | None:
    """What a training of the identity `now` left in fold{k}/state.pt; None to begin anew.

    InputError where one of another identity was cut off, since its work would be lost.
    """
    state = load_state(config, fold)
    if state is None:
        return None
    changed = _changes(now, state)
    if not changed:
        return state
    if state["finished"]:
        return None
    raise InputError(
        f"{Run.of(config).state(fold)} is of a training that was cut off, by "
        f"other settings, data or code (now, then): {'; '.join(changed)}. Go back to those "
        "to go on, or delete the file to train anew."
    )


def _changes(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """What is other now than then, but for settings that MAY_GROW."""
    changed = [
        f"{name}: {value!r}, {then['settings'].get(name)!r}"
        for name, value in now["settings"].items()
        if value != then["settings"].get(name) and not _grown(name, value, then["settings"])
    ]
    others = ("folds.csv", ENCODER, "code", "torch")
    return changed + [f"{name} is another" for name in others if now[name] != then.get(name)]


def _grown(name: str, value: Any, then: dict[str, Any]) -> bool:
    before = then.get(name, math.inf)
    if name == "time_budget_minutes":
        value, before = value or math.inf, before or math.inf  # 0: no limit
    return name in MAY_GROW and value > before
