"""The run-length codec beside pycocotools' C code, in one run, alternating.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.codec data/phantom/train_masks.csv

The table is the competition's train_masks.csv or the phantom's, of frames of 420x580. It also
checks that every mask comes back as the same string.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from lib import rle

SHAPE = (420, 580)
ROUNDS, MASKS = 15, 300


def main(table: Path) -> None:
    texts = read_texts(table)
    masks = [rle.decode(text, SHAPE) for text in texts]
    different = sum(rle.encode(mask) != text for mask, text in zip(masks, texts, strict=True))
    print(f"{len(texts)} masks of {SHAPE[0]}x{SHAPE[1]}: {different} change in decode and encode")
    texts, masks = texts[:MASKS], masks[:MASKS]
    columns = [np.asfortranarray(mask) for mask in masks]
    encoded = [coco.encode(mask) for mask in columns]
    report(
        "encode",
        {
            "lib.rle": (rle.encode, masks),
            "pycocotools": (coco.encode, columns),
            "pycocotools, from row-major": (
                lambda mask: coco.encode(np.asfortranarray(mask)),
                masks,
            ),
        },
    )
    report(
        "decode",
        {
            "lib.rle": (lambda text: rle.decode(text, SHAPE), texts),
            "pycocotools": (coco.decode, encoded),
        },
    )


def read_texts(table: Path) -> list[str]:
    pixels = pd.read_csv(table, dtype=str, keep_default_na=False)["pixels"]
    return [text for text in pixels if text]


def report(title: str, peers: dict[str, tuple[Callable[[Any], Any], Sequence[Any]]]) -> None:
    """Median milliseconds a mask over the rounds, and the ratio to the first peer's."""
    rounds: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for name, (function, items) in peers.items():
            start = time.perf_counter()
            for item in items:
                function(item)
            rounds[name].append((time.perf_counter() - start) / len(items) * 1e3)
    ours = statistics.median(next(iter(rounds.values())))
    for name, times in rounds.items():
        median = statistics.median(times)
        print(f"{title}  {name:28} {median:.3f} ms a mask  {median / ours:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
