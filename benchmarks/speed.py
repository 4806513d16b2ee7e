"""How fast it is, beside peers and beside what the hardware could do: one table.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.speed [ROW ...] [--data FOLDER] [--folder FOLDER] [--rounds 3] [--quick]
                               [--peers PYTHON]

Without a ROW all of them, which takes hours; each alone takes a few minutes:

    step-resnet34, step-lite0    training, loading included: ours, a plain loop, fastai
    epoch                        an epoch with loading, beside its steps alone
    inference-resnet34, -lite0   file to probability, with a horizontal flip: ours and other engines
    01, 03                       the scripts on 5,640 frames of 420x580, on half and a quarter
    ranks                        a training step shared out to 1 and 2 processes

All contestants of a row are measured in turn, several rounds; the table has the median and its
ratio to that of the first line. Less is better. "Of the peak" is the share of the machine's fastest
matrix product (benchmarks/peak.py), measured in the same rounds, that the operations of the network
come to. After each row a line tells how many cores other programs kept busy meanwhile: more than .1
spoil it. Where there is a CUDA GPU the rows run on it; benchmarks/gpu.sh times whole runs there.

--data    a data set in place of a phantom, for all rows but 01 and 03; OpenCV must read it
--folder  keeps the phantoms that are made, 3 GB, for the next time; making them for 01 and 03
          takes longer than measuring
--rounds  fewer are quicker
--quick   tiny sizes, to see that a row works: the times tell nothing
--peers   another Python to run fastai and imagededup, which agree with the torch needed here

What is not installed is left out, and the table says how to install it.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import pandas as pd
import torch

from benchmarks import scripts
from benchmarks.peak import BACKWARD, flops_of
from benchmarks.timing import (
    HEADER,
    NETWORKS,
    Cores,
    Line,
    alternating,
    answer_of,
    machine,
    missing,
    table,
)
from lib.artifacts.folds import masks_in, true_mask
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE, to_yaml
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from lib.runtime.device import device_of
from tools.phantom.dataset import generate

SECONDS = 8  # of steps in a round
FRAMES = 640  # at most, of those in a data set
SHARED_STEPS = 4
PREDICTED = {"resnet34": 64, "lite0": 384}  # images in a round
FASTER = 20  # times as many of them on a GPU
ENGINES = {
    "ours": "ours, as 03 with bfloat16",
    "plain": "plain smp, float32",
    "onnxruntime": "onnxruntime, float32",
    "openvino": "OpenVINO, float32",
    "openvino-bf16": "OpenVINO, bfloat16",
}
PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "openvino-bf16": "openvino"}


class Bench(NamedTuple):
    folder: Path
    data: Path | None
    peers: str
    rounds: int
    quick: bool

    @property
    def seconds(self) -> float:
        return 0 if self.quick else SECONDS

    def config(self, network: str) -> Config:
        """That of NETWORKS, with its caches in the folder."""
        config = replace(NETWORKS[network], runs_folder=str(self.folder / "runs"))
        if self.quick:
            config = replace(config, image_height=64, image_width=64, batch_size=4)
        return config


class Found(NamedTuple):
    lines: list[Line]
    peak: float = 0.0  # FLOP a millisecond


@cache
def frames(bench: Bench) -> Path:
    """A folder with the images of the data set, or of a phantom, as every contestant wants them.

    table.pkl is what 02 trains on; pairs.csv names image and mask files, the masks 0 and 1.
    """
    data, folder = bench.data or bench.folder / "phantom", bench.folder / "frames"
    if bench.data is None:
        generate(data, *((4, 6, 1, 1) if bench.quick else ()))
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    found = read_training_images(load_settings(DEFAULT_FILE, [f"data={data}"])).table
    chosen = found.head(FRAMES).assign(weight=1.0)
    pairs = []
    for row in chosen.to_dict("records"):
        mask = folder / "masks" / f"{row['image']}.png"
        cv2.imwrite(str(mask), true_mask(row, masks_in(chosen)[0]))
        pairs.append((row["file"].path.resolve(), mask.resolve()))
    chosen.to_pickle(folder / "table.pkl")
    pd.DataFrame(pairs, columns=["image", "mask"]).to_csv(folder / "pairs.csv", index=False)
    return folder


def written(config: Config, bench: Bench) -> Path:
    path = frames(bench) / f"{config.backbone}.yaml"
    path.write_text(to_yaml(config))
    return path


def title(config: Config) -> str:
    return f"{config.backbone} {config.image_height}x{config.image_width}"


def step(network: str, bench: Bench) -> Found:
    config = bench.config(network)
    folder, file = frames(bench), written(config, bench)
    sizes = config.image_height, config.image_width, config.batch_size
    task = folder / "pairs.csv", config.backbone, *sizes, bench.seconds
    larger: list[int] = []  # the operations of fastai's network

    def ours() -> float:
        words = "step", folder, file, bench.seconds
        return float(answer_of(sys.executable, "benchmarks.loops", *words)["ms"])

    def plain() -> float:
        return float(answer_of(sys.executable, "benchmarks.peers", "plain", *task)["ms"])

    def fastai() -> float:
        answer = answer_of(bench.peers, "benchmarks.peers", "fastai", *task)
        larger.append(int(answer["flops"]))
        return float(answer["ms"])

    name, why = "fastai unet_learner", missing("fastai", bench.peers)
    measures = {"ours, as 02": ours, "plain smp, float32": plain} | ({} if why else {name: fastai})
    note = f"{title(config)}, batch {config.batch_size}, loading included"
    found = beside_peak(measures, flops_of(config) * (1 + BACKWARD), note, bench)
    if why:
        found.lines.append(Line(name, [], note=why))
        return found
    words = f"its decoder needs {larger[0] / flops_of(config):.1f} times the operations"
    found.lines[2] = found.lines[2]._replace(flops=larger[0] * (1 + BACKWARD), note=words)
    return found


def beside_peak(
    measures: Mapping[str, Callable[[], float]], flops: int, note: str, bench: Bench
) -> Found:
    """Milliseconds an image, and last those at the machine's peak, measured in the same rounds."""
    peaks: list[dict[str, float]] = []

    def limit() -> float:
        peaks.append(answer_of(sys.executable, "benchmarks.peak", *([256] if bench.quick else [])))
        return flops / max(peaks[-1].values()) * 1e3

    times = alternating({**measures, "the peak": limit}, bench.rounds)
    lines = [Line(who, values, "ms an image", flops=flops) for who, values in times.items()]
    lines[0] = lines[0]._replace(note=f"{note}, {flops / 1e9:.1f} GFLOP an image")
    both = ", ".join(
        f"{name} {statistics.median(peak[name] for peak in peaks) / 1e12:.3g} TFLOP/s"
        for name in peaks[0]
    )
    lines[-1] = lines[-1]._replace(note=f"matrix products: {both}")
    return Found(lines, flops / statistics.median(times["the peak"]))


def epoch(bench: Bench) -> Found:
    config = bench.config("resnet34" if torch.cuda.is_available() else "lite0")
    words = "epoch", frames(bench), written(config, bench), bench.seconds
    found = [answer_of(sys.executable, "benchmarks.loops", *words) for _ in range(bench.rounds)]
    note = f"{title(config)}, {found[0]['steps']} steps of {config.batch_size}"
    return Found(
        [
            Line("an epoch, loading included", [one["epoch"] for one in found], "s", note),
            Line("its steps alone", [one["alone"] for one in found], "s"),
        ]
    )


def inference(network: str, bench: Bench) -> Found:
    config = bench.config(network)
    images = PREDICTED[network] * (FASTER if torch.cuda.is_available() else 1)
    if bench.quick:
        images = 4

    def by(engine: str) -> float:
        words = frames(bench), written(config, bench), engine, images
        return float(answer_of(sys.executable, "benchmarks.inference", *words)["ms"])

    left_out = {engine: missing(package) for engine, package in PACKAGES.items()}
    if torch.cuda.is_available():
        left_out = dict.fromkeys(PACKAGES, "runs on the processor, the others on the GPU")
    measures = {
        name: partial(by, engine) for engine, name in ENGINES.items() if not left_out.get(engine)
    }
    note = f"{title(config)}, file to probability, straight and mirrored"
    found = beside_peak(measures, 2 * flops_of(config), note, bench)
    found.lines.extend(Line(ENGINES[name], [], note=why) for name, why in left_out.items() if why)
    return found


def ranks(bench: Bench) -> Found:
    """A batch shared out; the processes share the cores of the machine too, or have a GPU each."""
    config = bench.config("lite0")
    words = "shared", frames(bench), written(config, bench), 1 if bench.quick else SHARED_STEPS
    threads = torch.get_num_threads()
    counts = [1, 2]
    if torch.cuda.is_available():
        counts = [n for n in counts if n <= torch.cuda.device_count()]

    def by(count: int) -> float:
        launcher = ["--standalone", f"--nproc-per-node={count}", "-m", "benchmarks.loops"]
        environment = {"OMP_NUM_THREADS": str(max(1, threads // count))}
        module = "torch.distributed.run"
        answer = answer_of(sys.executable, module, *launcher, *words, environment=environment)
        return float(answer["ms"])

    measures = {f"{count} process(es)": partial(by, count) for count in counts}
    times = alternating(measures, bench.rounds)
    note = f"{title(config)}, batch {config.batch_size} in all, {threads} threads in all"
    lines = [Line(name, values, "ms an image", note) for name, values in times.items()]
    return Found(lines)


ROWS: dict[str, Callable[[Bench], Found]] = {
    "step-resnet34": partial(step, "resnet34"),
    "step-lite0": partial(step, "lite0"),
    "epoch": epoch,
    "inference-resnet34": partial(inference, "resnet34"),
    "inference-lite0": partial(inference, "lite0"),
    "01": lambda b: Found(scripts.preparing(b.folder, b.peers, b.quick, b.rounds)),
    "03": lambda b: Found(scripts.predicting(b.folder, b.quick, b.rounds)),
    "ranks": ranks,
}


def main(rows: list[str], bench: Bench) -> None:
    print(f"{machine(device_of(Config().gpus))}\n\n{HEADER}", flush=True)
    for row in rows:
        others = Cores()
        with contextlib.redirect_stdout(io.StringIO()):
            found = ROWS[row](bench)
        print(table(row, found.lines, found.peak))
        print(f"| {row} | other programs | {others.of_others():.1f} cores | | | | |", flush=True)


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(words)
    if unknown := [row for row in given.rows if row not in ROWS]:
        parser.error(f"{', '.join(unknown)}: the rows are {', '.join(ROWS)}")
    return given


if __name__ == "__main__":
    given = parsed(sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        place = (given.folder or Path(scratch)).resolve() / ("quick" if given.quick else "full")
        place.mkdir(parents=True, exist_ok=True)
        rounds = given.rounds or (1 if given.quick else 3)
        data = given.data.resolve() if given.data else None
        main(given.rows or list(ROWS), Bench(place, data, given.peers, rounds, given.quick))
