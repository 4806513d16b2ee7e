"""Which engine runs a network fastest on a processor, and what its masks lose.

    python -m benchmarks.engines                            speed, of two networks
    python -m benchmarks.engines ensemble                   five networks: one graph or five
    python -m benchmarks.engines RUN [key=value ...]        IoU out of fold

Speed: median and least time of one image from resized grey to probability, engines in turn. IoU:
the networks of the folds of RUN (folds=[0] for fewer), each on its own unseen images, every pixel
above probability_threshold. bf16 needs a processor that has it; int8 is onnxruntime's static
quantisation, calibrated on phantom frames, the same file in both engines.
"""

import copy
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from benchmarks.timing import NETWORKS
from lib.artifacts.folds import Folds, load_folds, masks_in, true_mask, unseen_part
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.data.pictures import Grey
from lib.data.table import with_files
from lib.dataset import read, resize
from lib.decision.rule import above
from lib.metric import iou, overlap
from lib.runtime.device import precision
from lib.unet import build_model, placed
from tools.phantom.dataset import pictures
from tools.scoring.graph import Ensemble, load_ensemble, write_graph
from tools.scoring.pipeline.engines import ENGINES, Run

WARM_UP, IMAGES, CALIBRATION, SCORED = 3, 30, 24, 200
PAUSE = 0.02  # seconds in which the threads of the engine before stop waiting for more work
VARIANTS = (
    "torch fp32",
    "torch bf16",
    "onnxruntime fp32",
    "onnxruntime int8",
    "openvino fp32",
    "openvino bf16",
    "openvino int8",
)
CPU = torch.device("cpu")
Predict = Callable[[Grey], np.ndarray]  # uint8 (height, width) -> (classes, height, width), 0..1


def speed() -> None:
    print(f"{torch.get_num_threads()} threads; load of the machine {os.getloadavg()[0]:.1f}")
    for name, config in NETWORKS.items():
        networks = random_ensemble(config, 1)
        with tempfile.TemporaryDirectory() as folder:
            write_graphs(Path(folder), networks, config)
            engines = {v: engine(Path(folder), v, networks, config) for v in VARIANTS}
            print(f"{name} {config.image_height}x{config.image_width}, batch 1")
            compare(engines, config)


def ensemble() -> None:
    """Five networks, in one graph and in one graph each."""
    config = NETWORKS["lite0"]
    five = random_ensemble(config, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "five.onnx"
        write_graph(path, five, config)
        parts = [Path(folder) / f"{number}.onnx" for number in range(5)]
        for part, network in zip(parts, five.networks, strict=True):
            write_graph(part, Ensemble([network], config), config)
        engines = {
            f"{kind}, {label}": by_graphs([make(part) for part in graphs])
            for kind, make in ENGINES.items()
            for label, graphs in (("one graph", [path]), ("five graphs", parts))
        }
        print(
            f"lite0 192x256, five networks, batch 1; load of the machine {os.getloadavg()[0]:.1f}"
        )
        compare(engines, config)


def compare(engines: dict[str, Predict], config: Config) -> None:
    """Every image by each engine in its turn, so that other work on the machine meets all alike."""
    size = (config.image_height, config.image_width)
    images = [resize(grey, size) for grey in pictures(IMAGES, 0)]
    times: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(WARM_UP + IMAGES):
        for name, predict in engines.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            predict(images[number % IMAGES])
            times[name].append((time.perf_counter() - start) * 1e3)
    medians = {name: statistics.median(values[WARM_UP:]) for name, values in times.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        least = min(times[name][WARM_UP:])
        print(f"  {name:24} median {median:7.1f} ms  {median / first:5.2f}   least {least:7.1f} ms")


def engine(folder: Path, variant: str, networks: Ensemble, config: Config) -> Predict:
    """Of the graphs in the folder, which are of these networks."""
    name, numbers = variant.split()
    if name == "torch":
        # A copy: placed() changes the network for good.
        return by_torch(copy.deepcopy(networks), numbers == "bf16")
    if numbers == "bf16":
        return by_graphs([ENGINES["openvino-bf16"](folder / "fp32.onnx")])
    return by_graphs([ENGINES[name](folder / f"{numbers}.onnx")])


def by_graphs(runs: list[Run]) -> Predict:
    """The mean over graphs."""
    return lambda grey: np.mean([run(grey[None, None])[0][0] for run in runs], axis=0)


def by_torch(networks: Ensemble, mixed: bool) -> Predict:
    model = placed(networks, CPU).eval()

    def predict(grey: Grey) -> np.ndarray:
        with torch.inference_mode(), precision(CPU, mixed):
            probability: np.ndarray = (
                model(torch.from_numpy(grey)[None, None])[0][0].float().numpy()
            )
        return probability

    return predict


def random_ensemble(config: Config, count: int) -> Ensemble:
    torch.manual_seed(0)
    return Ensemble([build_model(config) for _ in range(count)], config).eval()


def write_graphs(folder: Path, networks: Ensemble, config: Config) -> None:
    """fp32.onnx and int8.onnx."""
    write_graph(folder / "fp32.onnx", networks, config)
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    size = (config.image_height, config.image_width)
    frames = [resize(grey, size)[None, None] for grey in pictures(CALIBRATION, 1)]

    class Frames(CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[np.ndarray] = iter(frames)

        def get_next(self) -> dict[str, np.ndarray] | None:
            frame = next(self._left, None)
            return None if frame is None else {"grey": frame}

    quant_pre_process(str(folder / "fp32.onnx"), str(folder / "plain.onnx"))
    quantize_static(
        str(folder / "plain.onnx"),
        str(folder / "int8.onnx"),
        Frames(),
        op_types_to_quantize=["Conv"],
        per_channel=True,
    )


def accuracy(run: str, settings: list[str]) -> None:
    whole = Path(run).resolve()
    names = [f"runs_folder={whole.parent}", f"experiment_name={whole.name}"]
    config = load_settings(whole / "config.yaml", [*names, *settings])
    folds = load_folds(config)
    table = with_files(folds.table, config)
    found = [
        of_fold(unseen_part(table, k, config).iloc[:SCORED], replace(config, folds=[str(k)]), folds)
        for k in config.fold_numbers
    ]
    ious, same = np.concatenate(found, axis=2)  # each (variants, images)
    print(f"{ious.shape[1]} images of {len(found)} folds")
    for variant, mean, equal in zip(VARIANTS, ious.mean(1), same.mean(1), strict=True):
        print(f"  {variant:24} IoU {mean:.4f}   pixels as torch fp32 has them {equal:.6f}")


def of_fold(unseen: pd.DataFrame, config: Config, folds: Folds) -> np.ndarray:
    """(2, variants, images): IoU, and the share of pixels that are as the first variant's."""
    networks = load_ensemble(config, folds)
    column = masks_in(unseen)[0]
    truths = [true_mask(row, column) for row in unseen.to_dict("records")]
    with tempfile.TemporaryDirectory() as folder:
        write_graphs(Path(folder), networks, config)
        found = [
            [*masks(engine(Path(folder), variant, networks, config), unseen, config)]
            for variant in VARIANTS
        ]
    ious = [[iou(overlap(t, m)) for t, m in zip(truths, of, strict=True)] for of in found]
    same = [[(a == b).mean() for a, b in zip(of, found[0], strict=True)] for of in found]
    return np.array([ious, same])


def masks(predict: Predict, table: pd.DataFrame, config: Config) -> Iterator[Grey]:
    """Of the first class, at the size of the image's file."""
    for file in table["file"]:
        grey = read(file)
        plane = predict(resize(grey, (config.image_height, config.image_width)))[0]
        large = cv2.resize(plane, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
        yield above(np.rint(large * 255).astype(np.uint8), config.probability_threshold)


if __name__ == "__main__":
    words = sys.argv[1:]
    if not words:
        speed()
    elif words == ["ensemble"]:
        ensemble()
    else:
        accuracy(words[0], words[1:])
