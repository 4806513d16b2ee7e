"""What each choice for a processor brings to a training step, in one run, alternating.

    python -m benchmarks.training_step [BACKBONE HEIGHT WIDTH]

One variant a process, since the memory setting cannot be undone; `ours` is what 02 does.
"""

import statistics
import subprocess
import sys
import time

import torch
from torch import nn

from lib.config import Config
from lib.loss import loss_per_image
from lib.memory import keep_freed_memory
from lib.model import build_model, placed, precision, to_input

BATCH, STEPS, WARM_UP, ROUNDS = 16, 6, 2, 3
# (bfloat16, channels last, large depthwise convolutions in float32, freed memory kept)
VARIANTS = {
    "ours": (True, True, True, True),
    "freed memory returned": (True, True, True, False),
    "depthwise in bfloat16": (True, True, False, True),
    "channels first": (True, False, False, True),
    "float32": (False, True, False, True),
    "plain PyTorch": (False, False, False, False),
}


def main(backbone: str, height: str, width: str) -> None:
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(ROUNDS):
        for name in VARIANTS:
            command = [sys.executable, "-m", "benchmarks.training_step", backbone, height, width]
            times[name].append(float(subprocess.check_output([*command, name])))
    ours = statistics.median(times["ours"])
    print(f"{backbone} {height}x{width}, batch {BATCH}, {torch.get_num_threads()} threads")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:24} {median:6.1f} ms an image  {median / ours:.2f}")


def measure(config: Config, variant: str) -> float:
    """Median milliseconds an image of forward, backward and update."""
    mixed, channels_last, float32_depthwise, keep_memory = VARIANTS[variant]
    device = torch.device("cpu")
    if keep_memory:
        keep_freed_memory()
    model: nn.Module = build_model(config)
    if float32_depthwise:
        model = placed(model, device)
    elif channels_last:
        model = model.to(memory_format=torch.channels_last)
    shape = (BATCH, 1, config.image_height, config.image_width)
    masks = torch.randint(0, 2, shape, dtype=torch.uint8)
    images = to_input(torch.randint(0, 256, shape, dtype=torch.uint8), config)
    if not channels_last:
        images = images.contiguous(memory_format=torch.contiguous_format)
    optimizer = torch.optim.AdamW(model.train().parameters())
    times = []
    for _ in range(WARM_UP + STEPS):
        start = time.perf_counter()
        with precision(device, mixed):
            logits = model(images)
        loss_per_image(config.loss_function, logits, masks).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append((time.perf_counter() - start) / BATCH * 1e3)
    return statistics.median(times[WARM_UP:])


if __name__ == "__main__":
    words = sys.argv[1:] or ["tu-tf_efficientnet_lite0", "192", "256"]
    if len(words) == 3:
        main(*words)
    else:
        settings = Config(backbone=words[0], image_height=int(words[1]), image_width=int(words[2]))
        print(measure(settings, words[3]))
