"""Rows of gpu.json for benchmarks/gpu.sh, and its stage `step`.

    python -m benchmarks.gpu step OUT [--tiny]     times updates of the network
    python -m benchmarks.gpu score OUT STAGE RUN   takes the scores of a finished run over
    python -m benchmarks.gpu table OUT             prints all rows

`step` compares updates of Unet/resnet34 in images a second, each with its loss, its optimizer and
the normalization of its input, from a batch in the processor's memory on: `lib` is this project's
learner, `plain` a short loop as segmentation-models-pytorch's own examples have it. The share of
the peak counts multiplications and additions (PyTorch's FlopCounterMode, forward and backward)
against a large product of matrices in the same precision, measured in the same run.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lib.config.fields import Config
from lib.dataset import Batch
from lib.runtime.device import device_of, set_up
from lib.training.learner import Learner, Part

Row = dict[str, Any]
UPDATES, WARM, TIMES = 20, 10, 5  # updates timed at once, before, and how often


def add(out: Path, row: Row) -> None:
    path = out / "gpu.json"
    rows = json.loads(path.read_text()) if path.is_file() else []
    path.write_text(json.dumps([*rows, row], indent=1))


def step(out: Path, tiny: bool) -> None:
    device = device_of(["0"])
    set_up(device, deterministic=False)
    side = 64 if tiny else 448
    base = Config(pretrained=False, image_height=side, image_width=side)
    peaks = {name: peak(device, dtype, tiny) for name, dtype in PRECISIONS.items()}
    for name, flops in peaks.items():
        add(out, {"stage": "step", "what": f"peak {name}", "TFLOP/s": flops / 1e12})
    work = flops_of_update(base, device)
    variants: dict[str, Callable[[], Callable[[], object]]] = {
        "plain, bfloat16": lambda: plain(base, device, torch.bfloat16),
        "plain, float32": lambda: plain(base, device, None),
        "lib, bfloat16": lambda: learner(base, device),
        "lib, float32": lambda: learner(replace(base, mixed_precision_training=False), device),
        "lib, bfloat16, compile": lambda: learner(replace(base, compile=True), device),
    }
    for name, prepare in variants.items():
        torch.cuda.empty_cache()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        try:
            update = prepare()
            for _ in range(1 if tiny else WARM):
                update()
            wait(device)
            warm = time.perf_counter() - began
            seconds = timed(update, device, tiny)
        except Exception as error:  # the others are still to be timed
            add(out, {"stage": "step", "what": name, "error": repr(error)[:300]})
            continue
        dtype = "float32" if "float32" in name else "bfloat16"
        row = {
            "stage": "step",
            "what": name,
            "ms": 1000 * seconds,
            "images/s": base.batch_size / seconds,
            "share of peak": work / seconds / peaks[dtype],
            "warm-up s": warm,
        }
        if device.type == "cuda":
            row["GiB"] = torch.cuda.max_memory_allocated() / 2**30
        add(out, row)
        del update
    if device.type == "cuda":
        profile(base, device, out)


PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def peak(device: torch.device, dtype: torch.dtype, tiny: bool) -> float:
    """FLOP/s of a large product of matrices."""
    side = 256 if tiny else 8192
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        left @ right
    return 2 * side**3 / timed(lambda: left @ right, device, tiny)


def timed(function: Callable[[], object], device: torch.device, tiny: bool) -> float:
    """Seconds of one call: the median of TIMES groups."""
    calls, found = 1 if tiny else UPDATES, []
    for _ in range(1 if tiny else TIMES):
        wait(device)
        began = time.perf_counter()
        for _ in range(calls):
            function()
        wait(device)
        found.append((time.perf_counter() - began) / calls)
    return statistics.median(found)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def batch_of(config: Config) -> Batch:
    random = torch.Generator().manual_seed(0)
    n, size = config.batch_size, (config.image_height, config.image_width)
    images = torch.randint(0, 256, (n, 1, *size), dtype=torch.uint8, generator=random)
    masks = (images > 200).to(torch.uint8)
    sizes = torch.tensor([[420, 580]] * n)
    batch = Batch(torch.arange(n), images, masks, sizes, torch.ones(n))
    return Batch(*(t.pin_memory() for t in batch)) if torch.cuda.is_available() else batch


def learner(config: Config, device: torch.device) -> Callable[[], object]:
    """An update as 02 does it, from a batch in the processor's memory on."""
    training, batch = Learner(0, 1, False, config, device), batch_of(config)
    parts, numbers = [Part(batch, 1, 1 / config.batch_size)], iter(range(10**9))
    return lambda: training.update(parts, next(numbers) % 1000, 1000)


def plain(config: Config, device: torch.device, dtype: torch.dtype | None) -> Callable[[], object]:
    """What a loop of twenty lines does."""
    model = smp.Unet("resnet34", encoder_weights=None).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    dice, bce = smp.losses.DiceLoss("binary"), nn.BCEWithLogitsLoss()
    batch = batch_of(config)

    def update() -> float:
        images = batch.images.to(device).float().expand(-1, 3, -1, -1) / 255
        masks = batch.masks.to(device).float()
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            logits = model(images)
            loss = dice(logits, masks) + bce(logits, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss)

    return update


def flops_of_update(config: Config, device: torch.device) -> float:
    model = smp.Unet("resnet34", encoder_weights=None).to(device)
    images = torch.zeros(1, 3, config.image_height, config.image_width, device=device)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    return config.batch_size * float(counter.get_total_flops())


def profile(config: Config, device: torch.device, out: Path) -> None:
    """The kernels of an update of `lib, bfloat16`, the longest first, in kernels.txt."""
    update = learner(config, device)
    for _ in range(WARM):
        update()
    torch.cuda.synchronize()
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as found:
        for _ in range(5):
            update()
        torch.cuda.synchronize()
    averages = found.key_averages()
    text = averages.table(sort_by="self_cuda_time_total", row_limit=45, max_name_column_width=90)
    text += averages.table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=60)
    (out / "kernels.txt").write_text(text)


def score(out: Path, stage: str, run: Path) -> None:
    """The out-of-fold figures of the run, by rules chosen without the image (nested)."""
    path = run / "decision.json"
    if not path.is_file():
        add(out, {"stage": stage, "what": f"{run.name} scores", "error": f"no {path}"})
        return
    scores = json.loads(path.read_text())["scores"]
    row: Row = {"stage": stage, "what": f"{run.name} scores"}
    for of in ("all", "with_nerve"):
        low, high = scores[of]["iou_interval"]
        row |= {f"IoU {of}": scores[of]["iou"], f"interval {of}": f"{low:.3f}..{high:.3f}"}
    add(out, row)


def table(out: Path) -> None:
    rows = json.loads((out / "gpu.json").read_text())
    for row in rows:
        words = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print("  ".join(words))


def row_of(words: list[str]) -> Row:
    pairs = (word.split("=", 1) for word in words)
    return {name: number(value) for name, value in pairs}


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["row", "step", "score", "table"])
    parser.add_argument("out", type=Path)
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    if given.what == "row":
        add(given.out, row_of(given.rest))
    elif given.what == "step":
        step(given.out, given.tiny)
    elif given.what == "score":
        score(given.out, given.rest[0], Path(given.rest[1]))
    else:
        table(given.out)
