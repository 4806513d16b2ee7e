"""How many frames a second does the scorer mask on a processor?

    python -m benchmarks.realtime [--rounds 5] [--block 20] [--backbones NAME ...] [--sizes HxW ...]
                                  [--engines NAME ...]

End to end through score.Scorer: from a uint8 frame of 420x580 in memory to its mask at that size,
by one U-Net: resized, network, resized back, rule. The goal is 120 a second on two cores. The
networks take turns of `--block` frames, of which the first two do not count; a round is a turn of
each. Median and 95th percentile of a frame; within it, the median up to the network's answer.

The weights are random, which changes no time, but would give the rule noise, or nothing to do. So
the network's answer is computed, then replaced by what a trained one might tell of the frame: the
phantom's true nerve, blurred, with a hole, and a piece beside it. RULE takes every step that a rule
may have, and each mask is held to the one piece without a hole that must come of it.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from lib.config.fields import Config
from lib.decision.rule import Rule, has_pieces_or_holes
from lib.metric import iou, overlap
from lib.unet import build_model
from tools.phantom.canvas import Picture
from tools.phantom.dataset import clip
from tools.scoring.graph import Ensemble, write_graph
from tools.scoring.pipeline.score import Array, Scorer

GOAL = 120  # frames a second
WARM_UP, PAUSE = 2, 0.02  # frames; seconds in which the threads of the network before stop waiting
FRAMES, LIKE_THE_TRUTH = 24, 0.8
BACKBONES = (
    "tu-tf_efficientnet_lite0",
    "tu-tf_efficientnet_lite1",
    "resnet18",
    "tu-mobilenetv3_large_100",
    "tu-mobilenetv3_small_100",
    "tu-mobilenetv4_conv_small",
    "tu-lcnet_100",
)
SIZES = ("96x128", "128x160", "128x192", "160x224", "192x256")
ENGINES = ("openvino", "openvino-bf16")
RULE = Rule(gate=0.4, threshold=0.4, least_area=0.005, components=1, fill_holes=True)

Size = tuple[int, int]


class Timed(Scorer):
    """A scorer whose network is run, and its answer replaced."""

    def __init__(self, folder: Path, engine: str) -> None:
        super().__init__(folder, engine)
        self.quality["unlike"] = None  # no output of the network is left to tell it
        self.answer = np.empty(0, np.float32)  # (1, rows, columns), instead of the network's
        self.times: list[float] = []  # ms
        self.network_times: list[float] = []  # ms, the resizing before it included

    def masks(self, grey: Array) -> dict[str, Array]:
        start = time.perf_counter()
        found = super().masks(grey)
        self.times.append((time.perf_counter() - start) * 1e3)
        return found

    def probabilities(self, grey: Array) -> list[Array]:
        start = time.perf_counter()
        super().probabilities(grey)
        self.network_times.append((time.perf_counter() - start) * 1e3)
        return [self.answer]

    def forget(self, frames: int) -> None:
        """The times of the last frames."""
        del self.times[-frames:], self.network_times[-frames:]


def answer_to(mask: Picture, size: Size) -> Array:
    """The probability float32 (1, rows, columns) that a network might tell of a true mask 0/1.

    Soft at its edge, with a hole in the middle of the nerve and another piece in a corner.
    """
    drawn = mask.copy()
    rows, columns = np.nonzero(mask)
    cv2.circle(drawn, (int(columns.mean()), int(rows.mean())), 14, 0, -1)
    cv2.circle(drawn, (40, 380), 25, 1, -1)
    small = cv2.resize(drawn.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), size[1] / 100)
    return (soft * np.float32(0.97) + np.float32(0.005))[None]


def write_pipeline(folder: Path, backbone: str, size: Size) -> None:
    """What Scorer reads: a network of random weights, and RULE."""
    config = Config(backbone=backbone, pretrained=False, image_height=size[0], image_width=size[1])
    torch.manual_seed(0)
    write_graph(folder / "model.onnx", Ensemble([build_model(config)], config).eval(), config)
    about = {
        "rules": {"nerve": asdict(RULE)},
        "image_bits": 8,
        "presence_head": False,
        "network_size": size,
    }
    (folder / "decision.json").write_text(json.dumps(about))


def take_turns(
    timed: dict[tuple[str, str, str], Timed], frames: Sequence[tuple[Picture, Picture]], block: int
) -> None:
    """A round: a block of frames of each."""
    answers = {text: [answer_to(mask, parsed(text)) for _, mask in frames] for _, text, _ in timed}
    for (backbone, text, _), one in tqdm(timed.items(), "round", leave=False, disable=None):
        time.sleep(PAUSE)
        for number in range(WARM_UP + block):
            if number == WARM_UP:
                one.forget(WARM_UP)
            grey, truth = frames[number % len(frames)]
            one.answer = answers[text][number % len(frames)]
            mask = one.masks(grey)["nerve"]
            if has_pieces_or_holes(mask) or iou(overlap(truth, mask)) < LIKE_THE_TRUTH:
                sys.exit(f"{backbone} {text}: the rule has not done its work")


def parsed(text: str) -> Size:
    """Height and width of "96x128"."""
    height, width = map(int, text.split("x"))
    return height, width


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.realtime", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--block", type=int, default=20)
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    given = parser.parse_args()
    frames = [frame for frame in clip(2 * FRAMES, 0, 4) if frame[1].any()]
    timed = {}
    pairs = [(backbone, size) for backbone in given.backbones for size in given.sizes]
    for backbone, size in tqdm(pairs, "networks", leave=False, disable=None):
        with tempfile.TemporaryDirectory() as folder:
            write_pipeline(Path(folder), backbone, parsed(size))
            for engine in given.engines:
                timed[backbone, size, engine] = Timed(Path(folder), engine)
    for _ in range(given.rounds):
        take_turns(timed, frames, given.block)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{cores} cores; load of the machine {load:.1f}")
    print("| backbone | size | engine | ms | 95 % | network | frames a second | |")
    print("|---|---|---|---|---|---|---|---|")
    for names, one in timed.items():
        median = statistics.median(one.times)
        high, network = np.percentile(one.times, 95), statistics.median(one.network_times)
        enough = "enough" if 1e3 / median >= GOAL else ""
        numbers = f"{median:.2f} | {high:.2f} | {network:.2f} | {1e3 / median:.0f} | {enough}"
        print(f"| {' | '.join(names)} | {numbers} |")


if __name__ == "__main__":
    main()
