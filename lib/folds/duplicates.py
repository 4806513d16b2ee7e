"""Frames that show the same view: identical, re-encoded, re-graded, moved by a few pixels.

Images are compared by the texture of their thumbnails (lib/data/pictures/thumbnails.py). Two such
textures correlate near 0 for two people, whatever the layout; a mirrored or displaced frame is
another view.

The similarity of two images is the correlation of their textures at the best move of at most MOVES
whole pixels of the thumbnail along each axis; half a pixel more does no harm, which makes 6 of the
competition's 420x580. It is symmetric, and a change of brightness or of contrast leaves it near 1.

Each is held against each, in three looks. The first is the cheapest and leaves few pairs: a bound
that no correlation of two sketches exceeds. The second is that correlation, the third the
similarity.

Hashes of 256 bits (imagehash) tell people apart too. But a threshold that bears six pixels of
movement joins twice as many neighbours of a video, and constant images need a rule of their own
(benchmarks/duplicates.py).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

from lib.data.pictures.thumbnails import SHAPE, Texture
from lib.runtime.progress import progress

Textures = Sequence[Texture] | npt.NDArray[np.int8]  # (images, *SHAPE); not copied

Floats = npt.NDArray[np.floating]

MOVES = 1

# Same view from here on. Copies moved by 6 pixels along both axes, or moved, re-graded, made noisy
# and re-encoded, stayed above .90, frames of different people below .30 (benchmarks/duplicates.py).
SIMILAR = 0.9

# A sketch is the texture averaged over squares of POOL pixels: small enough to compare each with
# each, coarse enough to bear a move. Of real pairs that are SIMILAR none was below .80.
POOL, SKETCH_SIMILAR = 4, 0.55

# The bound is made of the axes of so many sketches that hold this share of all sketches' squares.
# A larger share makes the first look longer and the second shorter.
SAMPLE, SHARE = 500, 0.85
ROUNDING = 1e-4  # of a bound, at most

# Numbers in the largest array of a comparison, so that memory does not grow with n times n.
BLOCK = 2**22


class _Described(NamedTuple):
    """What is compared of images, a row each."""

    textures: Textures
    norms: Floats  # of the textures
    sketches: Floats  # float32 (images, features), each of mean 0 and norm 1, or 0 where it is even
    axes: Floats  # (axes, features), at right angles: most of the sketches lies along these few
    bounds: Floats  # (images, axes + 1)


def find_duplicates(textures: Textures, test: Textures | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Near-duplicates among the training images, and those of a training and a test image.

    Columns a, b, similarity: row numbers, b in the second table one of `test`. A test image is
    not held against another.
    """
    ours = _described(textures)
    tests = _described([] if test is None else test, ours.axes)
    return _pairs(ours, None, SIMILAR), _pairs(ours, tests, SIMILAR)


def duplicates_table(
    table: pd.DataFrame,
    pairs: pd.DataFrame,
    test: pd.DataFrame | None,
    test_pairs: pd.DataFrame,
) -> pd.DataFrame:
    """The content of duplicates.csv: a row for each pair that find_duplicates found, by name."""
    found = [_named(pairs, table, table, "train")]
    if test is not None and len(test_pairs):
        found.append(_named(test_pairs, table, test, "test"))
    return pd.concat(found)


def _named(
    pairs: pd.DataFrame, table: pd.DataFrame, twins: pd.DataFrame, twins_of: str
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": table["image"].iloc[pairs["a"]].to_numpy(),
            "twin": twins["image"].iloc[pairs["b"]].to_numpy(),
            "twin_part": twins_of,
            "similarity": pairs["similarity"].to_numpy(),
        }
    )


def near_duplicates(textures: Textures, similar: float = SIMILAR) -> pd.DataFrame:
    """Columns a, b (rows of `textures`, a < b), similarity (`similar`..1); sorted by a and b.

    There may be none. Below SIMILAR the second look starts to miss pairs. An image of one grey
    value has no texture and no near-duplicate: black frames of two people are alike and tell
    nothing. Beside the textures and the pairs found, memory is 6 KB an image and a few arrays of
    BLOCK numbers.
    """
    return _pairs(_described(textures), None, similar)


def _pairs(ours: _Described, others: _Described | None, similar: float) -> pd.DataFrame:
    """As near_duplicates; with `others` b is a row of theirs."""
    theirs = ours if others is None else others
    found = [np.empty((0, 3))]
    # Threads would wait for each other at each small product: 4 times slower on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        for a, near in _candidates(ours, others):
            products = _best_products(ours.textures[a], theirs.textures, near)
            # Three decimals are what 8 bits carry.
            similarity = (products / (ours.norms[a] * theirs.norms[near])).clip(0, 1).round(3)
            same = similarity >= similar
            found.append(np.stack([np.full(same.sum(), a), near[same], similarity[same]], axis=1))
    pairs = pd.DataFrame(np.concatenate(found), columns=["a", "b", "similarity"])
    return pairs.astype({"a": int, "b": int})


def _described(textures: Textures, axes: Floats | None = None) -> _Described:
    """`axes` are those of the images that these are held against."""
    height, width = (side // POOL for side in SHAPE)
    norms = np.zeros(len(textures), dtype=np.float32)
    sketches = np.zeros((len(textures), height * width), dtype=np.float32)
    for row, texture in enumerate(textures):
        numbers = texture.astype(np.float32)
        norms[row] = np.linalg.norm(numbers)
        pooled = cv2.resize(numbers, (width, height), interpolation=cv2.INTER_AREA).ravel()
        pooled -= pooled.mean()
        if length := np.linalg.norm(pooled):
            sketches[row] = pooled / length
    with threadpool_limits(1, user_api="blas"):
        axes = _axes(sketches) if axes is None else axes
        return _Described(textures, norms, sketches, axes, _bounds(sketches, axes))


def _axes(sketches: Floats) -> Floats:
    sample = sketches[:: max(1, math.ceil(len(sketches) / SAMPLE))]
    axes = np.linalg.svd(sample, full_matrices=False)[2]
    along = np.square(sketches @ axes.T).sum(axis=0).cumsum()
    return axes[: 1 + np.searchsorted(along, SHARE * np.square(sketches).sum())]


def _bounds(sketches: Floats, axes: Floats) -> Floats:
    """(n, axes + 1): the product of two rows is not less than that of their sketches.

    What lies along the axes counts as it is. The rest counts by its length, as if it were the same
    in both (Cauchy and Schwarz).
    """
    along = sketches @ axes.T
    rest = np.square(sketches).sum(axis=1) - np.square(along).sum(axis=1)
    return np.column_stack([along, np.sqrt(rest.clip(0))])


def _candidates(
    ours: _Described, others: _Described | None = None
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Each row a that has similar sketches, and the rows of those: later ones, or of `others`."""
    within = others is None
    theirs = ours if others is None else others
    count = len(ours.bounds)
    rows = max(1, BLOCK // max(1, len(theirs.bounds)))
    with progress(title="duplicates", total=count) as bar:
        for start in range(0, count, rows):
            first = start if within else 0
            block = ours.bounds[start : start + rows] @ theirs.bounds[first:].T
            for a, bound in enumerate(block, start):
                near = np.flatnonzero(bound >= SKETCH_SIMILAR - ROUNDING) + first
                near = near[near > a] if within else near
                near = near[theirs.sketches[near] @ ours.sketches[a] >= SKETCH_SIMILAR]
                if len(near):
                    yield a, near
                bar.update()


def _best_products(texture: Texture, textures: Textures, rows: npt.NDArray[np.int64]) -> Floats:
    """Sum of products (len(rows),) of the texture and each of these, the largest over the moves.

    A sum is over what a move leaves in view of both, scaled up to a whole image: symmetric.
    """
    down, across = (side - np.abs(np.arange(-MOVES, MOVES + 1)) for side in SHAPE)
    in_view = np.outer(down, across).reshape(-1, 1) / texture.size
    padded = np.pad(texture.astype(np.float32), MOVES)
    moved = sliding_window_view(padded, SHAPE).reshape(-1, texture.size)
    step = max(1, BLOCK // texture.size)
    best = []
    for start in range(0, len(rows), step):
        block = [textures[row].ravel() for row in rows[start : start + step]]
        best.append((moved @ np.array(block, np.float32).T / in_view).max(axis=0))
    return np.concatenate(best).astype(np.float64)
