"""NaN and infinity in pictures, weights, gradients, and rates that explode."""

import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib.artifacts.run import Run
from lib.artifacts.state import load_state
from tests.conftest import configured
from tests.hammer.runs import Scene, complaint
from tests.hammer.table import Try

WRONG = (math.nan, math.inf, -math.inf)


def numbers(folder: Path, random: random.Random) -> Iterator[Try]:
    scene = Scene(folder, "number_of_workers=0", "cache_gib=0")
    while True:
        yield number_planted(scene, random)


def number_planted(scene: Scene, random: random.Random) -> Try:
    """A step stops and names the image, the update or the file; no state has such weights."""
    plant = random.choice((_in_picture, _in_model, _in_state, _rate))
    what, wrong = plant(scene, random)
    return Try(what, wrong)


def _plant(weights: torch.Tensor, value: float) -> None:
    """In place, whatever their strides."""
    weights[(0,) * weights.ndim] = value


def _in_picture(scene: Scene, random: random.Random) -> tuple[str, str]:
    scene.back_to(0)
    name, value = f"{random.randint(1, 6)}_{random.randint(1, 4)}", random.choice(WRONG)
    path = scene.folder / "data" / "train" / f"{name}.tif"
    before = path.read_bytes()
    pixels = np.asarray(Image.open(path)).astype(np.float32) / 255
    pixels[random.randrange(60), random.randrange(80)] = value
    Image.fromarray(pixels).save(path)
    try:
        return f"{value} in {name}.tif", complaint(*scene.step(1), name)
    finally:
        path.write_bytes(before)


def _in_model(scene: Scene, random: random.Random) -> tuple[str, str]:
    """As a network that was damaged before it was written: the file is whole."""
    scene.back_to(2)
    path, value = scene.run / "fold0" / "model.pt", random.choice(WRONG)
    content = torch.load(path, weights_only=True)
    name = random.choice([n for n, w in content["weights"].items() if w.is_floating_point()])
    _plant(content["weights"][name], value)
    torch.save(content, path)
    (path.parent / "checksums.json").unlink(missing_ok=True)
    code, said = scene.step(3)
    if code == 0:  # an infinity may vanish on the way, such as in a bound activation
        return f"{value} in {name}: no pixel of it", "" if math.isinf(value) else "taken silently"
    return f"{value} in {name} of model.pt", complaint(code, said)


def _in_state(scene: Scene, random: random.Random) -> tuple[str, str]:
    scene.back_to(1)
    scene.step(2, "epochs=1", "folds=[0]")
    path, value = scene.run / "fold0" / "state.pt", random.choice(WRONG)
    (scene.run / "fold0" / "model.pt").unlink()
    content = torch.load(path, weights_only=True)
    name = random.choice([n for n, w in content["model"].items() if w.is_floating_point()])
    _plant(content["model"][name], value)
    torch.save(content, path)
    (path.parent / "checksums.json").unlink(missing_ok=True)
    code, said = scene.step(2, "folds=[0]")
    if code == 0:
        return f"{value} in {name}: healed", ""
    return f"{value} in {name} of state.pt", complaint(code, said, "update")


def _rate(scene: Scene, random: random.Random) -> tuple[str, str]:
    scene.back_to(1)
    rate = random.choice([10, 50, 100])  # the settings allow no more
    words = [f"learning_rate={rate}", "gradient_clip=0", "optimizer=SGD", "epochs=6", "folds=[0]"]
    code, said = scene.step(2, *words)
    wrong = complaint(code, said, "update") if code else ""
    state = load_state(configured(scene.words), 0)
    if state and not all(w.isfinite().all() for w in state["model"].values()):
        wrong += f"; {Run.of(configured(scene.words)).state(0)} has weights that are no numbers"
    return f"learning_rate={rate:g}", wrong.removeprefix("; ")
