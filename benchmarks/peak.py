"""What the hardware could do: matrix products a second, and the operations that a network needs.

    python -m benchmarks.peak [SIZE ...]

Prints the FLOP a second of square matrices in bfloat16 and float32: of each size the median of
several products, of the sizes the best. A product of two numbers and its sum are two operations.
"""

import json
import statistics
import sys
from collections.abc import Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import now
from lib.config.fields import Config
from lib.runtime.device import device_of
from lib.unet import build_model

PRODUCTS = 7
BACKWARD = 2  # the gradients of the inputs and those of the weights: a product each


def flops_of(config: Config) -> int:
    """Operations of one image's way forward, counted on tensors without content.

    A training step needs BACKWARD times as many more. (The counter's own figure for the way back
    takes depthwise convolutions for full ones, ten times too much for a lite0.) Not counted: the
    optimizer, and what is done pixel by pixel.
    """
    shape = 1, config.image_channels, config.image_height, config.image_width
    with torch.device("meta"):
        network, images = build_model(config).eval(), torch.empty(shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    return counter.get_total_flops()


def peak(dtype: torch.dtype, sizes: Sequence[int], device: torch.device) -> float:
    """FLOP a second."""
    return max(_of_size(size, dtype, device) for size in sizes)


def _of_size(size: int, dtype: torch.dtype, device: torch.device) -> float:
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(PRODUCTS):
        start = now(device)
        a @ b
        times.append(now(device) - start)
    return 2 * size**3 / statistics.median(times)


def main(sizes: Sequence[int]) -> None:
    device = device_of(Config().gpus)
    usual = (4096, 8192) if device.type == "cuda" else (1024, 2048, 4096)
    types = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    print(json.dumps({name: peak(kind, sizes or usual, device) for name, kind in types.items()}))


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
