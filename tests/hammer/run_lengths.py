"""Run lengths and submissions at random: a mask of the same pixels, or an error for a person."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lib import rle
from lib.runtime.errors import InputError
from tests.hammer.table import Fault, Try
from tools.submission.check import inspected

ODD = ["-1", "0", "1.5", "x", "١", "²", "1e3", "+3", "0x1", "_", "1_0", "\0", "9" * 5000, "nan", ""]
SEPARATORS = [" ", "  ", "\t", "\n", ",", "\u00a0", ""]
ROW = ["img,pixels", "img,class_id,pixels", "1,1 5", '2,"', "3", "", ",,,", "1,,1 1", "\ufeffimg"]


def text_at_random(pixels: int, rng: random.Random) -> str:
    """Runs that are mostly right, with a slip in every second."""
    words, at = [], 1
    for _ in range(rng.randrange(6)):
        at += rng.randrange(0 if rng.random() < 0.1 else 1, pixels // 4 + 2)
        length = rng.randrange(1, pixels // 4 + 2)
        words += [str(at), str(length)]
        at += length
    if rng.random() < 0.5 and words:
        words[rng.randrange(len(words))] = rng.choice([*ODD, str(rng.randrange(-9, 2 * pixels))])
    return (rng.choice(SEPARATORS) if rng.random() < 0.1 else " ").join(words)


def run_lengths(rng: random.Random) -> Try:
    shape = rng.randrange(1, 9), rng.randrange(1, 9)
    text = text_at_random(shape[0] * shape[1], rng)
    what = f"decode({text[:200]!r}, {shape})"
    try:
        order, start = rng.choice([("columns", 1), ("rows", 1), ("columns", 0), ("rows", 0)])
        mask = rle.decode_as(text, shape, order, start)
    except rle.RleError as error:
        return Try(what, "" if 0 < len(str(error)) < 300 else f"told in {len(str(error))} letters")
    except Exception as error:
        return Try(what, f"{type(error).__name__}: {error}")
    wrong = mask.shape != shape or mask.dtype != np.uint8 or mask.max() > 1
    again = rle.decode(rle.encode(mask), shape)
    numbers = list(map(int, text.split()))
    pixels = sorted(
        p for a, n in zip(numbers[::2], numbers[1::2], strict=True) for p in range(a, a + n)
    )
    laid = mask.ravel("F" if order == "columns" else "C")
    same = (np.flatnonzero(laid) + start).tolist() == pixels
    return Try(what, "" if same and not wrong and np.array_equal(mask, again) else "another mask")


def submissions(folder: Path, rng: random.Random) -> Try:
    """A file of a few rows."""
    lines = [rng.choice(ROW[:2])]
    for image in range(rng.randrange(4)):
        lines.append(
            f"{image},{text_at_random(20, rng)}" if rng.random() < 0.7 else rng.choice(ROW)
        )
    if rng.random() < 0.1:
        lines[0] = rng.choice(ROW)
    path = folder / "submission.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        report = inspected(path, (4, 5))
        for text in report.table.values():
            assert rle.encode(rle.decode(text, (4, 5))) or not text
    except InputError:
        pass
    except Exception as error:
        return Try(repr(lines), f"{type(error).__name__}: {error}")
    return Try(repr(lines))


def tries(one: str, folder: Path, rng: random.Random) -> Iterator[Try]:
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        yield run_lengths(rng) if one == "run lengths" else submissions(folder, rng)


HOLDS = "a mask of the same pixels, or an error that says what is wrong"
FAULTS = [
    Fault("run lengths", HOLDS, partial(tries, "run lengths"), 1_000_000),
    Fault("submissions", HOLDS, partial(tries, "submissions"), 100_000),
]
