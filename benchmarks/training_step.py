"""What each choice brings to a training step, in one run, alternating.

    python -m benchmarks.training_step [BACKBONE HEIGHT WIDTH]

One variant a process, since the memory setting cannot be undone; `ours` is what 02 does. Random
batches, so nothing is loaded.
"""

import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.timing import HEADER, Line, alternating, answer_of, machine, now, table
from lib.config.fields import Config
from lib.losses import loss_per_image
from lib.runtime.device import device_of, precision, set_up
from lib.runtime.memory import keep_freed_memory
from lib.unet import build_model, placed_to_train, to_input

STEPS, WARM_UP, ROUNDS = 6, 2, 3


class Choices(NamedTuple):
    mixed: bool = True  # bfloat16
    channels_last: bool = True
    float32_depthwise: bool = True  # large depthwise convolutions, on a processor
    keep_memory: bool = True  # that was freed, on a processor
    fused: bool = True  # AdamW, on a GPU
    compiled: str = ""  # the mode of torch.compile
    set_up: bool = True  # kernels tried out, products in TF32, on a GPU


class Step(NamedTuple):
    ms: float  # an image, median
    warm_up: float  # seconds of the first WARM_UP steps


EVERYWHERE = {
    "ours": Choices(),
    "channels first": Choices(channels_last=False, float32_depthwise=False),
    "float32": Choices(mixed=False, float32_depthwise=False),
    "plain PyTorch": Choices(False, False, False, False, False, set_up=False),
}
VARIANTS = {
    "cpu": EVERYWHERE
    | {
        "freed memory returned": Choices(keep_memory=False),
        "depthwise in bfloat16": Choices(float32_depthwise=False),
    },
    "cuda": EVERYWHERE
    | {
        "AdamW not fused": Choices(fused=False),
        "compiled": Choices(compiled="default"),
        "compiled, CUDA graphs": Choices(compiled="reduce-overhead"),
    },
}


def compared(config: Config, rounds: int = ROUNDS, steps: int = STEPS) -> list[Line]:
    """A line a variant."""
    found: dict[str, list[Step]] = {}

    def measured(name: str) -> float:
        words = config.backbone, config.image_height, config.image_width, config.batch_size
        step = Step(*answer_of(sys.executable, "benchmarks.training_step", *words, steps, name))
        found.setdefault(name, []).append(step)
        return step.ms

    names = VARIANTS[device_of(config.gpus).type]
    measures: dict[str, Callable[[], float]] = {name: partial(measured, name) for name in names}
    times = alternating(measures, rounds)
    return [Line(name, times[name], "ms an image", pays(found, name, config)) for name in names]


def pays(found: dict[str, list[Step]], name: str, config: Config) -> str:
    """Of a compiled one: the steps after which it is ahead, its longer warm-up counted."""
    if "compiled" not in name:
        return ""
    ours, other = (
        Step(*(statistics.median(values) for values in zip(*found[who], strict=True)))
        for who in ("ours", name)
    )
    later, gain = other.warm_up - ours.warm_up, (ours.ms - other.ms) * config.batch_size / 1e3
    when = f"pays after {later / gain:.0f} steps" if gain > 0 else "never pays"
    return f"first {WARM_UP} steps {other.warm_up:.0f} s: {when}"


def measure(config: Config, variant: str, steps: int = STEPS) -> Step:
    """Forward, backward and update."""
    device = device_of(config.gpus)
    choices = VARIANTS[device.type][variant]
    if choices.keep_memory:
        keep_freed_memory()
    if choices.set_up:
        set_up(device, config.deterministic)
    model: nn.Module = build_model(config).to(device)
    if choices.float32_depthwise:
        model = placed_to_train(model, device)
    elif choices.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if choices.compiled:
        model.compile(mode=choices.compiled)
    shape = (config.batch_size, 1, config.image_height, config.image_width)
    masks = torch.randint(0, 2, shape, dtype=torch.uint8, device=device)
    images = to_input(torch.randint(0, 256, shape, dtype=torch.uint8, device=device), config)
    if not choices.channels_last:
        images = images.contiguous(memory_format=torch.contiguous_format)
    fused = choices.fused and device.type == "cuda"
    optimizer = torch.optim.AdamW(model.train().parameters(), fused=fused or None)
    times = []
    for _ in range(WARM_UP + steps):
        start = now(device)
        with precision(device, choices.mixed):
            logits = model(images)
        loss_per_image(config.loss_function, logits, masks).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(now(device) - start)
    median = statistics.median(times[WARM_UP:])
    return Step(median / config.batch_size * 1e3, sum(times[:WARM_UP]))


def main(backbone: str, height: str, width: str) -> None:
    config = Config(backbone=backbone, image_height=int(height), image_width=int(width))
    print(f"{machine(device_of(config.gpus))}\n\n{HEADER}")
    print(table(f"{backbone} {height}x{width}, batch {config.batch_size}", compared(config)))


if __name__ == "__main__":
    words = sys.argv[1:] or ["tu-tf_efficientnet_lite0", "192", "256"]
    if len(words) == 3:
        main(*words)
    else:
        backbone, height, width, batch, steps, variant = words
        settings = Config(
            backbone=backbone,
            image_height=int(height),
            image_width=int(width),
            batch_size=int(batch),
        )
        print(json.dumps(measure(settings, variant, int(steps))))
