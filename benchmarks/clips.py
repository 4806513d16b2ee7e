"""Does the scorer's moving average steady the masks of a clip, and how late does it make them?

    python -m benchmarks.clips RUN [--clips 6] [--frames 100] [--slower 4] [--engine openvino]

The scoring pipeline of a finished run (RUN/scoring, made where it is not there), on clips of
phantom people that no data set has, with `--average` of score.py at each of four shares. The probe
moves `--slower` times slower than between the frames of a data set. A line a share:

- IoU over all frames (both masks empty: 1) and over those with a nerve;
- flicker: pixels that change from one frame to the next where the true mask does not, in a thousand
  of the image's;
- flips: how often presence changes, less how often it truly does (below 0 where that is missed);
- delay: by how many frames masks appear and vanish later than the nerve does (the nearest change of
  the same kind; below 0: earlier), and how many of its changes no mask follows.
"""

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from lib.metric import iou, overlap
from tools.phantom.canvas import Picture
from tools.phantom.dataset import clip
from tools.scoring.export import config_of, export
from tools.scoring.pipeline.engines import ENGINES
from tools.scoring.pipeline.score import Scorer

SHARES = (0.0, 0.3, 0.5, 0.7)

Clip = list[tuple[Picture, Picture]]
Presence = npt.NDArray[np.bool_]  # (frames,)


def row(scorer: Scorer, clips: list[Clip]) -> str:
    """Of the table: a share's scores over all clips, of the first class."""
    ious: list[float] = []
    nerves: list[bool] = []
    flicker: list[float] = []
    late: list[int | None] = []
    flips = 0
    for frames in clips:
        true = np.stack([mask for _, mask in frames])
        found = np.stack(list(masks(scorer, frames)))
        there, told = (np.array([mask.any() for mask in part]) for part in (true, found))
        ious += [iou(overlap(*pair)) for pair in zip(true, found, strict=True)]
        nerves += there.tolist()
        flicker += (changed(found) & ~changed(true)).mean(axis=(1, 2)).tolist()
        flips += int(changed(told).sum()) - int(changed(there).sum())
        late += delays(there, told)
    followed = [delay for delay in late if delay is not None]
    cells = [
        f"{scorer.average:g}",
        f"{np.mean(ious):.3f}",
        f"{np.mean(np.array(ious)[nerves]):.3f}",
        f"{np.mean(flicker) * 1000:.2f}",
        f"{flips}",
        f"{statistics.mean(followed):.1f} ({statistics.median(followed):g})" if followed else "-",
        f"{len(late) - len(followed)} of {len(late)}",
    ]
    return f"| {' | '.join(cells)} |"


def masks(scorer: Scorer, frames: Clip) -> Iterator[Picture]:
    scorer.start_clip()
    for grey, _ in tqdm(frames, f"average {scorer.average:g}", leave=False, disable=None):
        yield next(iter(scorer.masks(grey).values()))


def changed(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(frames, ...) -> (frames - 1, ...): which are not as in the frame before."""
    return np.not_equal(values[1:], values[:-1])


def delays(true: Presence, found: Presence) -> list[int | None]:
    """For each change of `true`, by how many frames the nearest such change of `found` is later.

    Looked for between the true changes before and after; None where there is none.
    """
    turns = [0, *(np.flatnonzero(changed(true)) + 1).tolist(), len(true)]
    late: list[int | None] = []
    for before, turn, after in zip(turns, turns[1:], turns[2:], strict=False):
        becomes = true[turn]
        alike = [k for k in range(before + 1, after) if found[k - 1] != found[k] == becomes]
        late.append(min((k - turn for k in alike), key=abs, default=None))
    return late


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.clips", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, help="folder of a finished run, such as runs/nerve")
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--slower", type=float, default=4)
    parser.add_argument("--engine", choices=ENGINES, default="openvino")
    given = parser.parse_args()
    folder = given.run / "scoring"
    if not folder.is_dir():
        export(config_of(given.run))
    seeds = tqdm(range(given.clips), "drawing", unit="clip", leave=False, disable=None)
    clips = [clip(given.frames, seed, given.slower) for seed in seeds]
    print(
        f"{given.run}, {given.clips} clips of {given.frames} frames, {given.slower:g} times slower"
    )
    print("| share | IoU | with a nerve | flicker | flips | delay: mean (median) | not followed |")
    print("|---|---|---|---|---|---|---|")
    for share in SHARES:
        print(row(Scorer(folder, given.engine, share), clips), flush=True)


if __name__ == "__main__":
    main()
