"""Updates of Unet/resnet34 on one GPU, the stage `step` of benchmarks/gpu.sh.

    python -m benchmarks.gpu_step OUT [--tiny]

In images a second, each with its loss, its optimizer and the normalization of its input, from a
batch in the processor's memory on: `lib` is this project's learner, `plain` a short loop as
segmentation-models-pytorch's own examples have it. The share of the peak counts multiplications and
additions (PyTorch's FlopCounterMode, forward and backward) against a large product of matrices in
the same precision, measured in the same run. Rows go to OUT/gpu.json, the kernels of an update to
OUT/kernels.txt.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu import Row, add
from benchmarks.timing import now
from lib.config.fields import Config
from lib.dataset import Batch
from lib.runtime.device import device_of, set_up
from lib.training.learner import Learner, MicroBatch
from tools.watch.speed import GIB, peak_gpu_memory

Update = Callable[[], object]

UPDATES, WARM, TIMES = 20, 10, 5  # updates timed at once, before, and how often
PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def main(out: Path, tiny: bool) -> None:
    device = device_of(["0"])
    set_up(device, deterministic=False)
    side = 64 if tiny else 448
    base = Config(pretrained=False, image_height=side, image_width=side)
    peaks = {name: peak(device, dtype, tiny) for name, dtype in PRECISIONS.items()}
    for name, flops in peaks.items():
        add(out, {"stage": "step", "what": f"peak {name}", "TFLOP/s": flops / 1e12})
    work = flops_of_update(base, device)
    variants: dict[str, Callable[[], Update]] = {
        "plain, bfloat16": lambda: plain(base, device, torch.bfloat16),
        "plain, float32": lambda: plain(base, device, None),
        "lib, bfloat16": lambda: learner(base, device),
        "lib, float32": lambda: learner(replace(base, mixed_precision_training=False), device),
        "lib, bfloat16, compile": lambda: learner(replace(base, compile=True), device),
    }
    for name, prepare in variants.items():
        try:
            row = measured(prepare, base.batch_size, device, tiny)
        except Exception as error:  # the others are still to be timed
            row = {"error": repr(error)[:300]}
        else:
            dtype = "float32" if "float32" in name else "bfloat16"
            row["share of peak"] = 1000 * work / row["ms"] / peaks[dtype]
        add(out, {"stage": "step", "what": name, **row})
    if device.type == "cuda":
        profile(base, device, out)


def measured(prepare: Callable[[], Update], images: int, device: torch.device, tiny: bool) -> Row:
    """Of one variant, whose updates take so many images."""
    torch.cuda.empty_cache()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began = now(device)
    update = prepare()
    for _ in range(1 if tiny else WARM):
        update()
    warm = now(device) - began
    seconds = timed(update, device, tiny)
    return {
        "ms": 1000 * seconds,
        "images/s": images / seconds,
        "warm-up s": warm,
        "GiB": peak_gpu_memory(device) / GIB,  # nan without a GPU
    }


def peak(device: torch.device, dtype: torch.dtype, tiny: bool) -> float:
    """FLOP/s of a large product of matrices."""
    side = 256 if tiny else 8192
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        left @ right
    return 2 * side**3 / timed(lambda: left @ right, device, tiny)


def timed(function: Update, device: torch.device, tiny: bool) -> float:
    """Seconds of one call: the median of TIMES groups."""
    calls, found = 1 if tiny else UPDATES, []
    for _ in range(1 if tiny else TIMES):
        began = now(device)
        for _ in range(calls):
            function()
        found.append((now(device) - began) / calls)
    return statistics.median(found)


def batch_of(config: Config) -> Batch:
    random = torch.Generator().manual_seed(0)
    n, size = config.batch_size, (config.image_height, config.image_width)
    images = torch.randint(0, 256, (n, 1, *size), dtype=torch.uint8, generator=random)
    masks = (images > 200).to(torch.uint8)
    sizes = torch.tensor([[420, 580]] * n)
    batch = Batch(torch.arange(n), images, masks, sizes, torch.ones(n))
    return Batch(*(t.pin_memory() for t in batch)) if torch.cuda.is_available() else batch


def learner(config: Config, device: torch.device) -> Update:
    """An update as 02 does it, from a batch in the processor's memory on."""
    training, batch = Learner(0, 1, False, config, device), batch_of(config)
    batches, numbers = [MicroBatch(batch, 1, 1 / config.batch_size)], iter(range(10**9))
    return lambda: training.update(batches, next(numbers) % 1000, 1000)


def plain(config: Config, device: torch.device, dtype: torch.dtype | None) -> Update:
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
    now(device)
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as found:
        for _ in range(5):
            update()
        now(device)
    averages = found.key_averages()
    text = averages.table(sort_by="self_cuda_time_total", row_limit=45, max_name_column_width=90)
    text += averages.table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=60)
    (out / "kernels.txt").write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tiny", action="store_true")
    main(**vars(parser.parse_args()))
