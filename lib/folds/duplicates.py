"""Frames that show the same view: identical, re-encoded, re-graded, moved by a few pixels.

Ultrasound frames are alike as a whole: bright on top, dark below. So an image is compared by its
texture alone: a thumbnail without its coarse layout, every place at the same contrast (local
contrast normalisation: Jarrett et al., ICCV 2009, section 2.1). Two such textures correlate near 0
for two people, whatever the layout; a mirrored or displaced frame is another view.

The similarity of two images is the correlation of their textures at the best move of at most MOVES
whole pixels of the thumbnail along each axis; half a pixel more does no harm, which makes 6 of the
competition's 420x580. It is symmetric, and a change of brightness or of contrast leaves it near 1.

Hashes of 256 bits (imagehash) tell people apart too. But a threshold that bears six pixels of
movement joins twice as many neighbours of a video, and constant images need a rule of their own
(benchmarks/duplicates.py).
"""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

from lib.data.pictures.thumbnails import SHAPE
from lib.runtime.progress import progress

Grey = npt.NDArray[np.uint8]

Floats = npt.NDArray[np.floating]

MOVES = 1

# Same view from here on. Copies moved by 6 pixels along both axes, or moved, re-graded, made noisy
# and re-encoded, stayed above .90, frames of different people below .30 (benchmarks/duplicates.py).
SIMILAR = 0.9

# Sigmas in pixels of the thumbnail: the blur makes half a pixel of movement harmless, the larger
# one is what counts as coarse layout.
FINE, COARSE = 1.0, 5.0

# Share of the image's own contrast below which a place counts as flat: its noise is not amplified.
FLAT = 0.3

# A sketch is the texture averaged over squares of POOL pixels: small enough to compare each with
# each, coarse enough to bear a move. Of real pairs that are SIMILAR none was below .80.
POOL, SKETCH_SIMILAR = 4, 0.55

# Textures are kept in whole steps, 8 bits a pixel; their standard deviation is about 17 steps.
# float32 adds products of whole numbers without rounding (up to 2**24), so in any order alike.
STEP = 1 / 24

# Numbers in the largest array of a comparison, so that memory does not grow with n times n.
BLOCK = 2**22


def find_duplicates(thumbnails: Grey, test: Grey | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Near-duplicates among the training images, and those of a training and a test image.

    Columns a, b, similarity: row numbers, b in the second table one of `test`. Images of one grey
    value are left out: black frames of two people are alike and tell nothing.
    """
    count = len(thumbnails)
    everything = (
        np.concatenate([thumbnails, test]) if test is not None and len(test) else thumbnails
    )
    pairs = near_duplicates(everything)
    blank = everything.min(axis=(1, 2)) == everything.max(axis=(1, 2))
    pairs = pairs[~blank[pairs["a"]]]
    across = pairs[(pairs["a"] < count) & (pairs["b"] >= count)]
    return pairs[pairs["b"] < count], across.assign(b=across["b"] - count)


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


def near_duplicates(thumbnails: Grey, similar: float = SIMILAR) -> pd.DataFrame:
    """Columns a, b (rows of `thumbnails`, a < b), similarity (`similar`..1); sorted by a and b.

    `thumbnails` (n, *SHAPE); n may be 0. Below SIMILAR the first look starts to miss pairs.
    A constant image has no texture: it is similar to those of the same grey alone.
    Beside the pairs found, memory is 15 KB an image and a few arrays of BLOCK numbers.
    """
    textures, sketches = _describe(thumbnails)
    norms = np.array([np.linalg.norm(texture.astype(np.float32)) for texture in textures])
    found = [np.empty((0, 3))]
    # Threads would wait for each other at each small product: 4 times slower on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        for a, others in _candidates(sketches):
            products = _best_products(textures, a, others)
            # Three decimals are what 8 bits carry.
            similarity = (products / (norms[a] * norms[others])).clip(0, 1).round(3)
            near = similarity >= similar
            found.append(np.stack([np.full(near.sum(), a), others[near], similarity[near]], axis=1))
    pairs = pd.DataFrame(np.concatenate(found), columns=["a", "b", "similarity"])
    return pairs.astype({"a": int, "b": int})


def _describe(thumbnails: Grey) -> tuple[npt.NDArray[np.int8], Floats]:
    """Textures (n, *SHAPE) in STEPs, and sketches float32 (n, features) of mean 0 and norm 1."""
    height, width = SHAPE
    textures = np.empty((len(thumbnails), height, width), dtype=np.int8)
    sketches = np.empty((len(thumbnails), height * width // POOL**2), dtype=np.float32)
    for k, small in enumerate(thumbnails):
        texture = _texture(small)
        textures[k] = np.rint(texture / STEP).clip(-127, 127)
        pooled = texture.reshape(height // POOL, POOL, width // POOL, POOL).mean(axis=(1, 3))
        centred = pooled.ravel() - pooled.mean()
        sketches[k] = centred / np.linalg.norm(centred)
    return textures, sketches


def _texture(small: Grey) -> Floats:
    if small.min() == small.max():
        # Noise of its own for each grey value correlates with itself alone.
        return np.random.default_rng(small.flat[0]).normal(size=SHAPE).astype(np.float32)
    fine = cv2.GaussianBlur(small.astype(np.float32), (0, 0), FINE)
    detail = fine - cv2.GaussianBlur(fine, (0, 0), COARSE)
    contrast = np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), COARSE))
    return np.asarray(detail / (contrast + np.float32(FLAT) * detail.std()))


def _candidates(sketches: Floats) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Row a and the rows after it whose sketches are similar; rows without any are left out."""
    n = len(sketches)
    rows = max(1, BLOCK // max(1, n))
    with progress(title="duplicates", total=n) as bar:
        for start in range(0, n, rows):
            block = sketches[start : start + rows] @ sketches[start:].T
            for k, correlation in enumerate(block):
                near = np.flatnonzero(correlation[k + 1 :] >= SKETCH_SIMILAR)
                if len(near):
                    yield start + k, near + start + k + 1
                bar.update()


def _best_products(textures: npt.NDArray[np.int8], a: int, others: npt.NDArray[np.int64]) -> Floats:
    """Sum of products (len(others),) of texture a and each other, the largest over the moves.

    A sum is over what a move leaves in view of both, scaled up to a whole image: symmetric.
    """
    rows, columns = (side - np.abs(np.arange(-MOVES, MOVES + 1)) for side in SHAPE)
    in_view = np.outer(rows, columns).reshape(-1, 1) / textures[a].size
    padded = np.pad(textures[a].astype(np.float32), MOVES)
    moved = sliding_window_view(padded, SHAPE).reshape(-1, textures[a].size)
    step = max(1, BLOCK // textures[a].size)
    best = []
    for start in range(0, len(others), step):
        block = textures[others[start : start + step]].astype(np.float32)
        best.append((moved @ block.reshape(len(block), -1).T / in_view).max(axis=0))
    return np.concatenate(best).astype(np.float64)
