"""Training and hashing as others do it. Nothing of lib is imported: `--peers PYTHON` may run it.

    python -m benchmarks.peers plain|fastai PAIRS ENCODER HEIGHT WIDTH BATCH SECONDS
    python -m benchmarks.peers imagededup FOLDER

PAIRS is a table of image and mask files. Prints JSON: milliseconds an image of a training, loading
included, or the seconds that hashing a folder took.

`plain` is what a careful notebook does: segmentation-models-pytorch in float32, images read,
resized and flipped by albumentations in a DataLoader with a worker a core, BCE and Dice, AdamW.
`fastai` is unet_learner with its own loop, data block and losses; of the encoder it makes its own,
larger U-Net, whose operations (`flops`, of one image forward) are counted too.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

WARM_UP, LEAST = 1, 2  # steps before the clock starts, and after
REPEATED = 1000  # times that the pairs are there in an epoch of fastai's, so that it never ends


def seconds_a_step(steps: Iterator[Any], seconds: float, least: int = LEAST) -> float:
    """Mean over at least so many steps that last at least so long, from the end of one before."""
    for _ in range(WARM_UP):
        next(steps)
    start, done = _now(), 0
    while done < least or time.perf_counter() - start < seconds:
        next(steps)
        done += 1
    return (_now() - start) / done


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Pairs(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Images (3, height, width) and masks (1, height, width), 0..1, float32; half are flipped."""

    def __init__(self, table: pd.DataFrame, size: tuple[int, int]) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else it asks the network
        import albumentations as A

        self._rows = table[["image", "mask"]].to_numpy().tolist()
        self._change = A.Compose([A.Resize(*size), A.HorizontalFlip(p=0.5), A.ToTensorV2()])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        import cv2

        image, mask = self._rows[index]
        grey = cv2.imread(mask, cv2.IMREAD_GRAYSCALE)
        changed = self._change(image=cv2.imread(image, cv2.IMREAD_COLOR_RGB), mask=grey)
        return changed["image"].float() / 255, changed["mask"][None].float()


def plain(table: pd.DataFrame, encoder: str, size: tuple[int, int], batch: int) -> Iterator[None]:
    """A step at a time."""
    import segmentation_models_pytorch as smp

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = torch.utils.data.DataLoader(
        Pairs(table, size),
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
        pin_memory=device.type == "cuda",
        persistent_workers=True,
    )
    model = smp.Unet(encoder, encoder_weights=None).to(device).train()
    bce, dice = torch.nn.BCEWithLogitsLoss(), smp.losses.DiceLoss("binary")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for images, masks in itertools.chain.from_iterable(itertools.repeat(loader)):
        logits = model(images.to(device, non_blocking=True))
        truth = masks.to(device, non_blocking=True)
        optimizer.zero_grad()
        (bce(logits, truth) + dice(logits, truth)).backward()
        optimizer.step()
        yield


def fastai(
    table: pd.DataFrame, encoder: str, size: tuple[int, int], batch: int, seconds: float
) -> dict[str, float]:
    """Its loop calls back after each step; the clock is read there."""
    from fastai.vision import all as vision
    from torch.utils.flop_counter import FlopCounterMode

    block = vision.DataBlock(
        blocks=(vision.ImageBlock, vision.MaskBlock(["nothing", "nerve"])),
        get_x=vision.ColReader("image"),
        get_y=vision.ColReader("mask"),
        splitter=vision.IndexSplitter(range(batch)),
        item_tfms=[vision.Resize(size, method="squish"), vision.FlipItem()],
    )
    loaders = block.dataloaders(pd.concat([table] * REPEATED), bs=batch)
    network, head = _encoder(encoder)
    learner = vision.unet_learner(loaders, network, n_out=2, pretrained=False, cut=head)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        (weight, *_) = learner.model.parameters()
        learner.model.eval()(torch.zeros(1, 3, *size, device=weight.device))
    ends: list[float] = []

    def after_step(_: vision.Callback) -> None:
        ends.append(_now())
        steps = len(ends) - WARM_UP
        if steps >= LEAST and ends[-1] - ends[WARM_UP - 1] >= seconds:
            raise vision.CancelFitException

    clock = vision.Callback(after_batch=after_step)
    with learner.no_bar(), learner.no_logging():
        learner.fit(1, cbs=[clock])
    step = (ends[-1] - ends[WARM_UP - 1]) / (len(ends) - WARM_UP)
    return {"ms": step / batch * 1e3, "flops": counter.get_total_flops()}


def _encoder(name: str) -> tuple[Any, int | None]:
    """What unet_learner takes: a function that makes the network, and where its head begins."""
    from fastai.vision import all as vision

    if not name.startswith("tu-"):
        return getattr(vision, name), None  # fastai knows where
    import timm

    def network(pretrained: bool) -> torch.nn.Module:
        made: Any = timm.create_model(name.removeprefix("tu-"), pretrained=pretrained)
        return made.as_sequential()

    return network, -5  # convolution, its norm, pooling, dropout, classifier


def imagededup(folder: str) -> dict[str, float]:
    """Its perceptual hash of all images, a process a core."""
    from imagededup.methods import PHash

    start = time.perf_counter()
    hashes = PHash(verbose=False).encode_images(folder, num_enc_workers=os.cpu_count() or 1)
    return {"seconds": time.perf_counter() - start, "images": len(hashes)}


def main(kind: str, path: str, *words: str) -> None:
    if kind == "imagededup":
        print(json.dumps(imagededup(path)))
        return
    encoder, height, width, batch, seconds = words
    task = pd.read_csv(path), encoder, (int(height), int(width)), int(batch)
    if kind == "fastai":
        print(json.dumps(fastai(*task, float(seconds))))
    else:
        step = seconds_a_step(plain(*task), float(seconds))
        print(json.dumps({"ms": step / int(batch) * 1e3}))


if __name__ == "__main__":
    main(*sys.argv[1:])
