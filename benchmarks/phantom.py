"""The phantom beside real frames: each measure of both in one table, and the speed of drawing.

    python -m benchmarks.phantom REAL [PHANTOM] [--masks TABLE]

REAL and PHANTOM are folders in the competition's layout; without PHANTOM one is drawn for the
occasion. TABLE takes the place of REAL/train_masks.csv, where only a sample of REAL is at hand.

Grey values are measured in each frame and averaged over frames. The autocorrelation is that of
the texture, which is the frame less its own blur (sigma 20 pixels); its width is the full one at
half maximum. Flat is the tenth of all 15-pixel
windows of middle grey that vary least. Axes, angle (y down) and the ellipse of the last Dice are
those of a mask's moments.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from lib import rle
from tools.phantom.dataset import generate

SHAPE = (420, 580)
WINDOW, TEXTURE = 15, 20
MIDDLE = (20, 200)  # grey values neither cut off at black nor at white

Array = npt.NDArray[Any]


def main(real: Path, drawn: Path | None, masks: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        if drawn is None:
            drawn = Path(scratch) / "phantom"
            generate(drawn)
        columns = {
            "real": measure(real, masks or real / "train_masks.csv"),
            "phantom": measure(drawn, drawn / "train_masks.csv"),
        }
        columns["phantom"]["ms a frame, one core"] = milliseconds(Path(scratch) / "timed")
    print("| measure | real | phantom |\n|---|---|---|")
    for name, value in columns["phantom"].items():
        print(f"| {name} | {columns['real'].get(name, '')} | {value} |")


def milliseconds(folder: Path, frames: int = 20) -> str:
    """Processor time to draw and write one subject."""
    start = time.process_time()
    generate(folder, 1, frames - 1, 1, 1, workers=1)
    return f"{(time.process_time() - start) / frames * 1e3:.0f}"


def measure(folder: Path, masks: Path) -> dict[str, str]:
    paths = sorted(path for path in (folder / "train").glob("*.tif") if "_mask" not in path.stem)
    pictures = (
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        for path in tqdm(paths, str(folder), disable=None)
    )
    grey = pd.DataFrame(measure_picture(np.asarray(picture)) for picture in pictures)
    table = pd.read_csv(masks, dtype=str, keep_default_na=False)
    shapes = pd.DataFrame(measure_mask(text) for text in table["pixels"] if text)
    shares = table.assign(shown=table["pixels"] != "").groupby("subject")["shown"].mean()
    counts = {"frames": f"{len(paths)}", "masks' rows": f"{len(table)}"}
    return counts | describe_pictures(grey) | describe_masks(table, shares, shapes)


def measure_picture(picture: Array) -> dict[str, float]:
    values = picture.astype(np.float32)
    mean = cv2.boxFilter(values, -1, (WINDOW, WINDOW))
    sd = np.sqrt(np.maximum(cv2.boxFilter(values**2, -1, (WINDOW, WINDOW)) - mean**2, 0))
    axial, lateral = autocorrelation_widths(values - cv2.GaussianBlur(values, (0, 0), TEXTURE))
    low, middle, high = np.percentile(picture, [5, 50, 95])
    return {
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "low": low,
        "middle": middle,
        "high": high,
        "saturated": float((picture == 255).mean()),
        "axial": axial,
        "lateral": lateral,
        "window": float(sd.mean()),
        "flat": float(np.percentile(sd[(mean > MIDDLE[0]) & (mean < MIDDLE[1])], 10)),
    }


def autocorrelation_widths(values: Array) -> tuple[float, float]:
    """Full widths at half maximum in pixels, down the rows and along them."""
    padded = tuple(2 * size for size in values.shape)
    power = np.abs(np.fft.rfft2(values - values.mean(), padded)) ** 2
    correlation = np.fft.irfft2(power, padded)
    return half_width(correlation[:, 0]), half_width(correlation[0])


def half_width(correlation: Array) -> float:
    """Twice the lag at which it first falls to one half, between samples by a line."""
    line = correlation / correlation[0]
    after = int(np.argmax(line < 0.5))
    return 2 * (after - (0.5 - line[after]) / (line[after - 1] - line[after]))


def measure_mask(text: str) -> dict[str, float]:
    mask = rle.decode(text, SHAPE)
    m = cv2.moments(mask, binaryImage=True)
    area = m["m00"]
    row, column = m["m01"] / area, m["m10"] / area
    xx, yy, xy = (m[name] / area for name in ("mu20", "mu02", "mu11"))
    half = np.hypot((xx - yy) / 2, xy)
    major, minor = (4 * np.sqrt((xx + yy) / 2 + sign * half) for sign in (1, -1))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    ellipse = np.zeros_like(mask)
    cv2.ellipse(ellipse, ((column, row), (major, minor), float(np.degrees(angle))), 1, -1)
    return {
        "area": area,
        "row": row,
        "column": column,
        "major": major,
        "minor": minor,
        "angle": angle,
        "dice": 2 * float((mask & ellipse).sum()) / float(mask.sum() + ellipse.sum()),
        "pieces": cv2.connectedComponents(mask, connectivity=4)[0] - 1,
    }


def describe_pictures(grey: pd.DataFrame) -> dict[str, str]:
    mean = grey.mean()
    return {
        "grey, mean": f"{mean['mean']:.1f}",
        "grey, SD": f"{mean['sd']:.1f}",
        "grey, 5 / 50 / 95 %": f"{mean['low']:.0f} / {mean['middle']:.0f} / {mean['high']:.0f}",
        "saturated": f"{mean['saturated']:.1%}",
        "autocorrelation, axial x lateral, px": f"{mean['axial']:.1f} x {mean['lateral']:.1f}",
        f"SD in {WINDOW}-px windows": f"{mean['window']:.1f}",
        "speckle SD where flat": f"{mean['flat']:.1f}",
    }


def describe_masks(table: pd.DataFrame, shares: Array, shapes: pd.DataFrame) -> dict[str, str]:
    area, middle = shapes["area"].quantile([0.05, 0.5, 0.95]), shapes.median()
    turn = np.exp(2j * shapes["angle"]).mean()
    return {
        "frames with a nerve": f"{(table['pixels'] != '').mean():.1%}",
        "their share, SD of subjects": f"{shares.std():.2f}",
        "mask area, 5 / 50 / 95 %": " / ".join(f"{value:.0f}" for value in area),
        "centroid row, column, median": f"{middle['row']:.0f}, {middle['column']:.0f}",
        "axes, median": f"{middle['major']:.0f} x {middle['minor']:.0f}",
        "angle, mean": f"{np.degrees(np.angle(turn)) / 2:.0f}°",
        "Dice with its ellipse": f"{shapes['dice'].mean():.3f}",
        "masks of one piece": f"{(shapes['pieces'] == 1).mean():.1%}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("drawn", type=Path, nargs="?", metavar="phantom")
    parser.add_argument("--masks", type=Path)
    main(**vars(parser.parse_args()))
