"""Images and their mirror images through one engine, in a process of its own.

    python -m benchmarks.inference FOLDER CONFIG ENGINE IMAGES

FOLDER/table.pkl names the image files, FOLDER/BACKBONE.onnx (its backbone's; made where it is not
there) is the network of random weights. From file to the mean probability of both views at the
network's size; prints milliseconds an image as JSON. ENGINE is `ours`, 03's way; `plain`, a usual
loop over a DataLoader in float32; or an engine of lib/scoring/engines.py, image by image with all
cores, while the next images are read.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from benchmarks.timing import now
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.data.pictures.arrays import required_image
from lib.dataset import resize
from lib.inference.predict import predict
from lib.runtime.device import device_of, set_up
from lib.runtime.memory import keep_freed_memory
from lib.runtime.threads import in_order
from lib.unet import build_model, placed
from tools.scoring.graph import Ensemble, write_graph
from tools.scoring.pipeline.engines import ENGINES

WARM_UP = 8  # images
AHEAD = 8
Work = Callable[[pd.DataFrame], object]


def main(folder: Path, config: Config, engine: str, images: int) -> None:
    table = pd.read_pickle(folder / "table.pkl")[["image", "file"]]
    repeated = pd.concat([table] * (images // len(table) + 1), ignore_index=True).head(images)
    torch.manual_seed(0)
    model, device = build_model(config).eval(), device_of(config.gpus)
    if engine == "ours":
        work = ours(model, config, device)
    elif engine == "plain":
        work = plain(model, config, device)
    else:
        work = by_graph(graph(folder, config), engine, config)
    work(repeated.head(WARM_UP))
    start = now(device)
    work(repeated)
    print(json.dumps({"ms": (now(device) - start) / len(repeated) * 1e3}))


def ours(model: torch.nn.Module, config: Config, device: torch.device) -> Work:
    keep_freed_memory()
    set_up(device, config.deterministic)
    networks = [placed(model, device)]
    settings = replace(
        config,
        test_time_augmentations=["Horizontal flip"],
        mixed_precision_inference=True,
    )
    return lambda table: sum(1 for _ in predict(networks, table, settings, device))


class Images(torch.utils.data.Dataset[torch.Tensor]):
    """(3, height, width), 0..1, float32."""

    def __init__(self, table: pd.DataFrame, config: Config) -> None:
        self._paths = [str(file.path) for file in table["file"]]
        self._size = config.image_width, config.image_height

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = cv2.imread(self._paths[index], cv2.IMREAD_COLOR_RGB)
        assert image is not None, f"{self._paths[index]}: not an image that OpenCV can read"
        resized = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        return torch.from_numpy(resized.astype(np.float32) / 255).permute(2, 0, 1).contiguous()


def plain(model: torch.nn.Module, config: Config, device: torch.device) -> Work:
    network, cores = model.to(device), os.cpu_count() or 1

    @torch.inference_mode()
    def work(table: pd.DataFrame) -> None:
        loader = torch.utils.data.DataLoader(
            Images(table, config), config.batch_size, num_workers=cores
        )
        for batch in loader:
            images = batch.to(device)
            mirrored = network(images.flip(3)).sigmoid().flip(3)
            ((network(images).sigmoid() + mirrored) / 2).cpu().numpy()

    return work


def by_graph(path: Path, engine: str, config: Config) -> Work:
    run = ENGINES[engine](path)
    size = config.image_height, config.image_width

    def mean(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        straight = run(grey[None, None])[0][0]
        mirrored = run(np.ascontiguousarray(grey[:, ::-1])[None, None])[0][0]
        return np.asarray((straight + mirrored[..., ::-1]) / 2)

    def work(table: pd.DataFrame) -> None:
        for grey in in_order(lambda file: resize(required_image(file), size), table["file"], AHEAD):
            mean(grey)

    return work


def graph(folder: Path, config: Config) -> Path:
    """The ONNX file of a network of random weights."""
    path = folder / f"{config.backbone}.onnx"
    if not path.exists():
        torch.manual_seed(0)
        write_graph(path, Ensemble([build_model(config)], config).eval(), config)
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]), load_settings(Path(sys.argv[2])), sys.argv[3], int(sys.argv[4]))
