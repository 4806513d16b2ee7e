"""The samples of a scoring pipeline: phantom frames, with what torch and the rule make of them.

The self-test of the scorer holds its own probabilities and masks against these.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from lib.artifacts.folds import Folds
from lib.config.fields import Config
from lib.data.pictures.arrays import Grey
from lib.dataset import Batch, resize
from lib.decision.rule import Mask, Rule, decide
from lib.inference.predict import Answer, at_own_size
from lib.runtime.files import written_whole
from tools.phantom.dataset import pictures
from tools.scoring.graph import Ensemble

SAMPLES, CANDIDATES, SEEDS = 3, 4, (1, 2, 3)  # frames of each of three phantom people

KEPT = ("probabilities", "masks", "unlike")  # of a sample, as arrays

SLACK = 2e-5  # by which engines and processors differ, in probability


class Sample(NamedTuple):
    """A phantom frame and what torch and the rule make of it."""

    grey: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]  # (classes, height, width) at the network's size
    masks: npt.NDArray[np.uint8]  # (classes, height, width) of the frame
    unlike: npt.NDArray[np.float32]  # (1,), or empty: the last output of the graph
    unsure: int  # pixels of the masks that hang on less than SLACK


def samples_of(
    ensemble: Ensemble, folds: Folds, decision: dict[str, Any], config: Config
) -> list[Sample]:
    """Phantom frames at the training images' most frequent size, with masks of several areas.

    Of the candidates, those whose masks hang on rounding the least, to be held to the bit.
    """
    sizes = folds.table[["height", "width"]].value_counts()
    shape: tuple[int, int] = sizes.index[0]
    rules = {name: Rule(**rule) for name, rule in decision["rules"].items()}
    made = [
        _sample(resize(grey, shape), ensemble, rules, config)
        for seed in SEEDS
        for grey in pictures(CANDIDATES, seed)
    ]
    sure = sorted(made, key=lambda sample: sample.unsure)[: len(made) // 2]
    by_area = sorted(sure, key=lambda sample: int(sample.masks.sum()))
    places = np.linspace(0, len(by_area) - 1, SAMPLES).round().astype(int)
    return [by_area[place] for place in places]


def _sample(
    grey: Grey,
    ensemble: Ensemble,
    rules: dict[str, Rule],
    config: Config,
) -> Sample:
    small = torch.from_numpy(resize(grey, (config.image_height, config.image_width)))[None, None]
    size = torch.tensor([grey.shape])
    batch = Batch(torch.tensor([0]), small, torch.empty(0), size, torch.ones(1))
    with torch.inference_mode():
        found = ensemble(small)
    told = found[: len(found) - bool(ensemble.known)]

    def masks(shift: float) -> Mask:
        answer = Answer(*(value + shift for value in told), *[None] * (2 - len(told)))
        prediction = next(at_own_size(answer, batch))
        of_classes = zip(prediction.probability, prediction.presence.tolist(), rules, strict=True)
        return np.stack([decide(p, told, rules[name]) for p, told, name in of_classes])

    plain = masks(0.0)
    unsure = sum(int((masks(shift) != plain).sum()) for shift in (-SLACK, SLACK))
    unlike = torch.cat(found[len(told) :] or [torch.empty(0)]).numpy()
    return Sample(grey, found[0][0].numpy(), plain, unlike, unsure)


def write_samples(folder: Path, samples: Sequence[Sample]) -> None:
    """N.png, the masks to look at, and both with the probabilities as arrays."""
    (folder / "masks").mkdir(parents=True)
    for number, sample in enumerate(samples, 1):
        _write_png(folder / f"{number}.png", sample.grey)
        for k, mask in enumerate(sample.masks, 1):
            several = f"_{k}" if len(sample.masks) > 1 else ""
            _write_png(folder / "masks" / f"{number}{several}.png", mask * 255)
        with written_whole(folder / f"{number}.npz") as file:
            arrays = sample._asdict()
            np.savez_compressed(file, **{name: arrays[name] for name in KEPT})


def _write_png(path: Path, pixels: Grey) -> None:
    with written_whole(path) as file:
        file.write(cv2.imencode(".png", pixels)[1].tobytes())
