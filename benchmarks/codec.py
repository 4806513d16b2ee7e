"""The run-length codec beside pycocotools' C code, in one run, alternating.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.codec data/phantom/train_masks.csv

The table is the competition's train_masks.csv or the phantom's, of frames of 420x580. It also
checks that every mask comes back as the same string.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from benchmarks.timing import HEADER, Line, alternating, table
from lib import rle

SHAPE = (420, 580)
ROUNDS, MASKS = 15, 300


def main(path: Path) -> None:
    texts = read_texts(path)
    print(f"{len(texts)} masks of {SHAPE[0]}x{SHAPE[1]}: {changed(texts)} change in decode, encode")
    print(HEADER)
    for way, lines in compared(texts).items():
        print(table(way, lines))


def read_texts(path: Path) -> list[str]:
    pixels = pd.read_csv(path, dtype=str, keep_default_na=False)["pixels"]
    return [text for text in pixels if text]


def changed(texts: Sequence[str]) -> int:
    """How many do not come back as the same string."""
    return sum(rle.encode(rle.decode(text, SHAPE)) != text for text in texts)


def compared(
    texts: Sequence[str], shape: tuple[int, int] = SHAPE, rounds: int = ROUNDS
) -> dict[str, list[Line]]:
    """Encode and decode, a line a peer."""
    texts = texts[:MASKS]
    masks = [rle.decode(text, shape) for text in texts]
    columns = [np.asfortranarray(mask) for mask in masks]
    encoded = [coco.encode(mask) for mask in columns]
    both: dict[str, dict[str, Callable[[], float]]] = {
        "encode": {
            "lib.rle": partial(timed, rle.encode, masks),
            "pycocotools": partial(timed, coco.encode, columns),
            "pycocotools, from row-major": partial(
                timed, lambda mask: coco.encode(np.asfortranarray(mask)), masks
            ),
        },
        "decode": {
            "lib.rle": partial(timed, lambda text: rle.decode(text, shape), texts),
            "pycocotools": partial(timed, coco.decode, encoded),
        },
    }
    return {
        way: [Line(who, times, "ms a mask") for who, times in alternating(peers, rounds).items()]
        for way, peers in both.items()
    }


def timed(function: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """Milliseconds an item."""
    start = time.perf_counter()
    for item in items:
        function(item)
    return (time.perf_counter() - start) / len(items) * 1e3


if __name__ == "__main__":
    main(Path(sys.argv[1]))
