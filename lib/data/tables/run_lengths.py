"""Run lengths in every form that tables hold -> `start length` pairs.

Pairs stay as rle_order and rle_start say: lib/data/table.py reads them so.
"""

import ast
import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lib import rle
from lib.config.fields import Config
from lib.data.tables.cells import is_nothing

# pycocotools' letters: https://github.com/cocodataset/cocoapi, rleToString.
COMPRESSED = re.compile(r"(b['\"])?(?=[0-o]*[A-Za-o])[0-o\\]{4,}['\"]?")

TOO_DEEP = (OverflowError, RecursionError, MemoryError)  # the last two of lists in lists in lists
MOST_PIXELS = 2**28  # of a size that a cell tells: more is a slip, and would fill the memory


class RunLengthError(ValueError):
    """A cell of run lengths that cannot be used; the message says why."""


def pairs_of(cell: str, config: Config) -> tuple[str, tuple[int, int] | None]:
    """The pairs of a cell, "" for no mask, and the height and width where the cell tells them."""
    if is_nothing(cell):
        return "", None
    if cell.startswith("{"):
        return _of_coco(cell, config)
    if cell.startswith("["):
        raise RunLengthError(f"its run lengths {cell[:40]} are no list of whole numbers")
    if COMPRESSED.fullmatch(cell):
        raise RunLengthError(
            "its run lengths are compressed, as pycocotools writes counts: write the cell as "
            '{"size": [height, width], "counts": "..."}, or as start length pairs'
        )
    return cell, None


def joined(values: list[str]) -> list[str]:
    """[1, 5, 9, 2] or [[1, 5], [9, 2]] as one text of pairs; other lists stay as they are."""
    inner = [re.fullmatch(r"\[\W*(\d+)\W+(\d+)\W*\]", value) for value in values]
    if values and all(inner):
        return [" ".join(" ".join(match.groups()) for match in inner if match)]
    if len(values) > 1 and all(value.isdecimal() for value in values):
        return [" ".join(values)]
    return values


def numbers_in(text: str) -> list[int]:
    """The numbers of whole pairs; [] for a text that holds anything else."""
    words = text.split()
    digits = "".join(words)
    if len(words) % 2 or not (digits.isascii() and digits.isdecimal()):
        return []
    return list(map(int, words)) if max(map(len, words)) < 19 else []


def is_ascending(text: str) -> bool:
    starts = numbers_in(text)[::2]
    return all(before < after for before, after in pairwise(starts))


def cumulated(text: str) -> str:
    """Starts that count from the end of the run before -> starts that count from the first pixel.

    As in https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation.
    """
    numbers, end = numbers_in(text), 0
    for place in range(0, len(numbers), 2):
        numbers[place] += end
        end = numbers[place] + numbers[place + 1]
    return " ".join(map(str, numbers))


def end_of(text: str) -> int:
    """The number behind the last pixel; 0 of an empty mask."""
    numbers = numbers_in(text)
    return max(map(sum, zip(numbers[::2], numbers[1::2], strict=True)), default=0)


def two_that_overlap(texts: list[str]) -> tuple[int, int] | None:
    """Two of the masks that share more than half of the smaller one; None where no two do."""
    runs = [numbers_in(text) for text in texts]
    spans = sorted(
        (start, start + length, number)
        for number, numbers in enumerate(runs)
        for start, length in zip(numbers[::2], numbers[1::2], strict=True)
    )
    areas = [sum(numbers[1::2]) for numbers in runs]
    shared: Counter[tuple[int, int]] = Counter()
    open_spans: list[tuple[int, int]] = []
    for start, end, number in spans:
        open_spans = [span for span in open_spans if span[0] > start]
        for other_end, other in open_spans:
            if other != number:
                pair = (min(other, number), max(other, number))
                shared[pair] += min(end, other_end) - start
        open_spans.append((end, number))
    most = (pair for pair, both in shared.items() if both > min(areas[n] for n in pair) / 2)
    return next(most, None)


def _of_coco(cell: str, config: Config) -> tuple[str, tuple[int, int]]:
    from lib.data.formats.parts.coco_mask import coco_mask  # which imports label_tables.py

    try:
        segmentation = _dictionary(cell)
        height, width = map(int, segmentation["size"])
        if height * width > MOST_PIXELS:
            raise ValueError(f"a size of {height}x{width}")
        mask = coco_mask({**segmentation, "size": [height, width]}, (height, width))
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, *TOO_DEEP) as error:
        raise RunLengthError(f"its cell is no run lengths of COCO ({error})") from None
    return _written(mask, config), (height, width)


def _dictionary(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = ast.literal_eval(text)
    counts = value["counts"]
    return {**value, "counts": counts.decode("ascii")} if isinstance(counts, bytes) else value


def _written(mask: npt.NDArray[np.uint8], config: Config) -> str:
    """In the convention of the settings, in which the tables' run lengths are read."""
    numbers = numbers_in(rle.encode(mask if config.rle_order == "columns" else mask.T))
    numbers[::2] = [start - 1 + config.rle_start for start in numbers[::2]]
    return " ".join(map(str, numbers))
