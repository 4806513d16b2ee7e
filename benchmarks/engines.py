"""Which engine runs a network fastest on a processor, and what its masks lose.

    python -m benchmarks.engines                            speed, of two networks
    python -m benchmarks.engines ensemble                   five networks: one graph or five
    python -m benchmarks.engines RUN [key=value ...]        IoU on images the run's networks never saw

Speed: one variant a process, alternating, median milliseconds of one image from resized grey to
probability. IoU: the networks of the folds of RUN (`folds=[0]` for fewer), each on its own unseen
images, every pixel above probability_threshold. bf16 needs a processor that has it; int8 is static
quantisation by onnxruntime, calibrated on phantom frames, and the same file in both engines.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from lib.artifacts import load_folds, masks_in, true_mask
from lib.config import Config, load_config
from lib.dataset import read, resize
from lib.decision import above
from lib.export import Ensemble, load_ensemble, write_graph
from lib.folds import unseen_part
from lib.images import Grey
from lib.metric import overlap, score_arrays
from lib.model import build_model, placed, precision
from lib.phantom import pictures
from lib.scoring import score
from lib.sources import with_files

ROUNDS, WARM_UP, IMAGES, CALIBRATION, SCORED = 3, 3, 12, 24, 200
NETWORKS = {
    "resnet34 448x448": Config(),
    "lite0 192x256": Config(backbone="tu-tf_efficientnet_lite0", image_height=192, image_width=256),
}
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
    load = os.getloadavg()[0]
    print(f"{torch.get_num_threads()} threads; load of the machine at the start {load:.1f}")
    for name, config in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            write_graphs(Path(folder), random_ensemble(config, 1), config)
            times = alternated(folder, name, VARIANTS)
        print(f"{name}, batch 1")
        tell(times, "torch fp32")


def ensemble() -> None:
    """Five networks, by the faster engine."""
    name = "lite0 192x256"
    config, five = NETWORKS[name], random_ensemble(NETWORKS[name], 5)
    with tempfile.TemporaryDirectory() as folder:
        write_graph(Path(folder) / "five.onnx", five, config)
        for number, network in enumerate(five.networks):
            write_graph(Path(folder) / f"one{number}.onnx", Ensemble([network], config), config)
        times = alternated(folder, name, ("one graph", "five graphs"))
    print(f"{name}, five networks, openvino fp32, batch 1")
    tell(times, "one graph")


def alternated(folder: str, name: str, variants: tuple[str, ...]) -> dict[str, list[float]]:
    """Milliseconds an image of each variant, a number a round."""
    times: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(ROUNDS):
        for variant in variants:
            command = [sys.executable, "-m", "benchmarks.engines", "one", folder, name, variant]
            times[variant].append(float(subprocess.check_output(command).split()[-1]))
    return times


def tell(times: dict[str, list[float]], reference: str) -> None:
    unit = statistics.median(times[reference])
    for variant, values in times.items():
        median = statistics.median(values)
        shown = ", ".join(f"{value:.1f}" for value in values)
        print(f"  {variant:18} {median:7.1f} ms  {median / unit:5.2f}   ({shown})")


def one(folder: str, name: str, variant: str) -> None:
    """Of a process of its own."""
    config = NETWORKS[name]
    predict = engine(Path(folder), variant, config)
    images = [resize(grey, (config.image_height, config.image_width)) for grey in pictures(3, 0)]
    times = []
    for number in range(WARM_UP + IMAGES):
        start = time.perf_counter()
        predict(images[number % len(images)])
        times.append((time.perf_counter() - start) * 1e3)
    print(statistics.median(times[WARM_UP:]))


def engine(folder: Path, variant: str, config: Config, networks: Ensemble | None = None) -> Predict:
    """`networks` are those of the folder's graphs; where nobody gives them, random ones."""
    name, _, numbers = variant.partition(" ")
    if name == "torch":
        return by_torch(networks or random_ensemble(config, 1), numbers == "bf16")
    if variant == "five graphs":
        runs = [score.openvino(folder / f"one{number}.onnx") for number in range(5)]
        return lambda grey: np.mean([run(grey[None, None])[0][0] for run in runs], axis=0)
    if variant == "one graph":
        run = score.openvino(folder / "five.onnx")
    elif numbers == "bf16":
        run = openvino_bf16(folder / "fp32.onnx")
    else:
        run = score.ENGINES[name](folder / f"{numbers}.onnx")
    return lambda grey: run(grey[None, None])[0][0]


def by_torch(networks: Ensemble, mixed: bool) -> Predict:
    model = placed(networks, CPU).eval()

    def predict(grey: Grey) -> np.ndarray:
        with torch.inference_mode(), precision(CPU, mixed):
            probability: np.ndarray = (
                model(torch.from_numpy(grey)[None, None])[0][0].float().numpy()
            )
        return probability

    return predict


def openvino_bf16(path: Path) -> score.Run:
    score.without_telemetry()
    from openvino import Core

    settings = {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY"}
    network = Core().compile_model(path, "CPU", settings)
    return lambda grey: list(network(grey).values())


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
    config = load_config(whole / "config.yaml", [*names, *settings])
    folds = load_folds(config)
    table = with_files(folds.table, config)
    rows: dict[str, list[list[float]]] = {variant: [] for variant in VARIANTS}
    for fold in config.fold_numbers:
        networks = load_ensemble(
            load_config(whole / "config.yaml", [*names, f"folds=[{fold}]"]), folds
        )
        unseen = unseen_part(table, fold, config).iloc[:SCORED]
        with tempfile.TemporaryDirectory() as folder:
            write_graphs(Path(folder), networks, config)
            for variant in VARIANTS:
                found = [*masks(engine(Path(folder), variant, config, networks), unseen, config)]
                rows[variant] += scored(found, unseen)
                if variant == VARIANTS[0]:
                    reference = found
                same = [float((a == b).mean()) for a, b in zip(found, reference, strict=True)]
                for row, equal in zip(rows[variant][-len(same) :], same, strict=True):
                    row.append(equal)
    for variant, values in rows.items():
        iou, equal = np.mean(values, axis=0)
        print(f"  {variant:18} IoU {iou:.4f}   pixels as torch fp32 {equal:.6f}   n {len(values)}")


def masks(predict: Predict, table: pd.DataFrame, config: Config) -> Iterator[Grey]:
    """Of the first class, at the size of the image's file."""
    for file in table["file"]:
        grey = read(file)
        plane = predict(resize(grey, (config.image_height, config.image_width)))[0]
        large = cv2.resize(plane, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
        yield above(np.rint(large * 255).astype(np.uint8), config.probability_threshold)


def scored(found: list[Grey], table: pd.DataFrame) -> list[list[float]]:
    """IoU of each mask."""
    column = masks_in(table)[0]
    pairs = zip(found, table.to_dict("records"), strict=True)
    counts = np.array([overlap(true_mask(row, column), mask) for mask, row in pairs])
    return [[float(value)] for value in score_arrays("IoU", *counts.T)]


if __name__ == "__main__":
    words = sys.argv[1:]
    if not words:
        speed()
    elif words == ["ensemble"]:
        ensemble()
    elif words[0] == "one":
        one(*words[1:])
    else:
        accuracy(words[0], words[1:])
