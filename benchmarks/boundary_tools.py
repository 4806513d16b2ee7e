"""What MONAI and DeepMind's surface-distance score on random masks -> tests/data/boundary.json.

    python -m venv /tmp/boundary
    /tmp/boundary/bin/pip install monai Surface-Distance-Based-Measures scipy
    /tmp/boundary/bin/python benchmarks/boundary_tools.py

Neither is needed by this project. The file has their versions, a hash of the masks, which are drawn
again from the seed, and a row of scores for each pair: COLUMNS.
"""

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).parents[1] / "tests" / "data" / "boundary.json"
SEED, COUNT = 21, 1000
MONAI = ("precision", "sensitivity", "hd95", "assd", "nsd")
DEEPMIND = ("deepmind_hd95", "deepmind_assd", "deepmind_nsd")
COLUMNS = (*MONAI, *DEEPMIND)

Mask = npt.NDArray[np.uint8]


class Pair(NamedTuple):
    """Two masks (height, width), 0 and 1, neither empty."""

    truth: Mask
    prediction: Mask
    spacing: tuple[float, float]
    tolerance: float  # in the unit of the spacing


def random_pairs() -> Iterator[Pair]:
    """COUNT of them; of whole numbers alone, so that every machine draws the same masks."""
    random = np.random.default_rng(SEED)
    for number in range(COUNT):
        shape = tuple(random.integers(24, 120, 2).tolist())
        truth = _drawn(random, shape, number % 5)
        if number % 3:
            prediction = np.roll(truth, tuple(random.integers(-9, 10, 2).tolist()), (0, 1))
            prediction ^= _ellipse(random, shape) & (random.random() < 0.5)
        else:
            prediction = _drawn(random, shape, number % 4)
        for mask in (truth, prediction):
            mask[tuple(random.integers(0, shape).tolist())] |= not mask.any()
        spacing = (1.0, 1.0)
        if number % 2:
            down, across = (random.integers(4, 60, 2) / 100).tolist()
            spacing = (down, across)
        tolerance = min(spacing) * (int(random.integers(0, 9)) + 0.37 * (number % 2))
        yield Pair(truth, prediction, spacing, tolerance)


def _drawn(random: np.random.Generator, shape: tuple[int, ...], kind: int) -> Mask:
    """Ellipses, one of them with a hole; coarse noise; single pixels."""
    if kind == 3:
        coarse = random.integers(0, 2, (shape[0] // 8 + 1, shape[1] // 8 + 1), dtype=np.uint8)
        return np.kron(coarse, np.ones((8, 8), np.uint8))[: shape[0], : shape[1]].copy()
    if kind == 4:
        return (random.integers(0, 500, shape) == 0).astype(np.uint8)
    mask = _ellipse(random, shape)
    for _ in range(kind):
        mask ^= _ellipse(random, shape)
    return mask


def _ellipse(random: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    """Anywhere, also over the edge of the image."""
    centre, (tall, wide) = random.integers(0, shape), random.integers(2, np.array(shape) // 2)
    down, across = np.indices(shape) - centre[:, None, None]
    return ((down * wide) ** 2 + (across * tall) ** 2 < (tall * wide) ** 2).astype(np.uint8)


def hash_of(pairs: list[Pair]) -> str:
    """Of all masks."""
    content = b"".join(np.packbits(mask).tobytes() for pair in pairs for mask in pair[:2])
    return hashlib.sha256(content).hexdigest()[:16]


def of_monai(pair: Pair) -> list[float]:
    import torch
    from monai import metrics

    truth, prediction = (torch.from_numpy(mask)[None, None] for mask in pair[:2])
    masks: dict[str, Any] = {"y_pred": prediction, "y": truth, "include_background": True}
    counts = metrics.get_confusion_matrix(prediction, truth)
    found = [
        *(metrics.compute_confusion_matrix_metric(name, counts) for name in MONAI[:2]),
        metrics.compute_hausdorff_distance(**masks, percentile=95, spacing=pair.spacing),
        metrics.compute_average_surface_distance(**masks, symmetric=True, spacing=pair.spacing),
        metrics.compute_surface_dice(
            **masks, class_thresholds=[pair.tolerance], spacing=pair.spacing
        ),
    ]
    return [float(score) for score in found]


def of_deepmind(pair: Pair) -> list[float]:
    import surface_distance

    truth, prediction = (mask.astype(bool) for mask in pair[:2])
    found = surface_distance.compute_surface_distances(truth, prediction, pair.spacing)
    away = np.concatenate([found["distances_gt_to_pred"], found["distances_pred_to_gt"]])
    lengths = np.concatenate([found["surfel_areas_gt"], found["surfel_areas_pred"]])
    return [
        float(surface_distance.compute_robust_hausdorff(found, 95)),
        float(np.average(away, weights=lengths)),  # it has the mean of each way alone
        float(surface_distance.compute_surface_dice_at_tolerance(found, pair.tolerance)),
    ]


def main() -> None:
    pairs = list(random_pairs())
    rows = [[*of_monai(pair), *of_deepmind(pair)] for pair in pairs]
    packages = ("monai", "Surface-Distance-Based-Measures")
    about = {"versions": {name: version(name) for name in packages}, "masks": hash_of(pairs)}
    lines = ",\n".join(" " + json.dumps([float(f"{score:.7g}") for score in row]) for row in rows)
    head = json.dumps({**about, "columns": COLUMNS})[:-1]
    FILE.write_text(f'{head}, "scores": [\n{lines}\n]}}\n')
    print(f"{FILE}: {len(rows)} pairs, {about}")


if __name__ == "__main__":
    main()
