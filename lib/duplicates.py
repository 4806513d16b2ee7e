"""Frames that show the same view: identical, re-encoded, re-graded, moved by a few pixels.

Ultrasound frames are alike as a whole: bright on top, dark below. So an image is compared by its
texture alone: a thumbnail without its coarse layout, every place at the same contrast (local
contrast normalisation: Jarrett et al., ICCV 2009, section 2.1). Two such textures correlate near 0
for two people, whatever the layout; a mirrored or displaced frame is another view.

The similarity of two images is the correlation of their textures at the best of the moves of at
most MOVES pixels of the thumbnail (9 of the competition's 580 columns and 420 rows). It is
symmetric, and a change of brightness or of contrast alone leaves it at 1.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from tqdm import tqdm

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]

SHAPE = (96, 128)
MOVES = 2
# Same view from here on. Copies of a frame that was moved, re-graded, made noisy and re-encoded
# stay above .93, frames of different people below .40 (benchmarks/duplicates.py).
SIMILAR = 0.9
# Sigmas in pixels of the thumbnail: the blur makes half a pixel of movement harmless, the larger
# one is what counts as coarse layout.
FINE, COARSE = 1.0, 5.0
# Share of the image's own contrast below which a place counts as flat: its noise is not amplified.
FLAT = 0.3
# A sketch is the texture averaged over squares of POOL pixels: small enough to compare each with
# each, coarse enough to bear a move. Of the pairs that are SIMILAR, none was below .57.
POOL, SKETCH_SIMILAR = 4, 0.45
# Numbers in the largest array of a comparison, so that memory does not grow with n times n.
BLOCK = 2**22


def thumbnail(image: Grey) -> Grey:
    """Image (height, width) of any size, squashed to SHAPE by the mean over areas."""
    # Pillow works in one thread, the caller's, and its mean is the same on every processor.
    small = Image.fromarray(image).resize(SHAPE[::-1], Image.Resampling.BOX)
    return np.asarray(small)


def near_duplicates(thumbnails: Grey, similar: float = SIMILAR) -> pd.DataFrame:
    """Columns a, b (rows of `thumbnails`, a < b), similarity (`similar`..1); sorted by a and b.

    `thumbnails` (n, *SHAPE); n may be 0. Below SIMILAR the first look starts to miss pairs.
    A constant image has no texture: it is similar to those of the same grey alone.
    Beside the pairs found, memory is 2 * 13,056 bytes an image and three arrays of BLOCK numbers.
    """
    textures, sketches = _describe(thumbnails)
    found = [np.empty((0, 3))]
    for a, others in _candidates(sketches):
        similarity = _similarity(textures, a, others)
        near = similarity >= similar
        found.append(np.stack([np.full(near.sum(), a), others[near], similarity[near]], axis=1))
    pairs = pd.DataFrame(np.concatenate(found), columns=["a", "b", "similarity"])
    return pairs.astype({"a": int, "b": int})


def _describe(thumbnails: Grey) -> tuple[Floats, Floats]:
    """Textures float16 (n, *SHAPE) and sketches float32 (n, features), each of norm 1."""
    height, width = SHAPE
    textures = np.empty((len(thumbnails), height, width), dtype=np.float16)
    sketches = np.empty((len(thumbnails), height * width // POOL**2), dtype=np.float32)
    for k, small in enumerate(thumbnails):
        texture = _unit(_texture(small))
        textures[k] = texture
        pooled = texture.reshape(height // POOL, POOL, width // POOL, POOL).mean(axis=(1, 3))
        sketches[k] = _unit(pooled).ravel()
    return textures, sketches


def _texture(small: Grey) -> Floats:
    if small.min() == small.max():
        # Noise of its own for each grey value correlates with itself alone.
        return np.random.default_rng(small.flat[0]).normal(size=SHAPE).astype(np.float32)
    fine = cv2.GaussianBlur(small.astype(np.float32), (0, 0), FINE)
    detail = fine - cv2.GaussianBlur(fine, (0, 0), COARSE)
    contrast = np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), COARSE))
    return detail / (contrast + np.float32(FLAT) * detail.std())


def _unit(values: Floats) -> Floats:
    centred = values - values.mean()
    return centred / np.linalg.norm(centred)


def _candidates(sketches: Floats) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Row a and the rows after it whose sketches are similar; rows without any are left out."""
    n = len(sketches)
    rows = max(1, BLOCK // max(1, n))
    with tqdm(total=n, desc="duplicates", unit="image", disable=None, leave=False) as bar:
        for start in range(0, n, rows):
            block = sketches[start : start + rows] @ sketches[start:].T
            for k, correlation in enumerate(block):
                near = np.flatnonzero(correlation[k + 1 :] >= SKETCH_SIMILAR)
                if len(near):
                    yield start + k, near + start + k + 1
                bar.update()


def _similarity(textures: Floats, a: int, others: npt.NDArray[np.int64]) -> Floats:
    """Similarity (len(others),) of image a to each: the best over the moves, 3 decimals.

    What a move pushes over the edge counts as uncorrelated, which makes it symmetric.
    """
    padded = np.pad(textures[a].astype(np.float32), MOVES)
    moved = sliding_window_view(padded, SHAPE).reshape(-1, textures[a].size)
    rows = max(1, BLOCK // textures[a].size)
    best = []
    for start in range(0, len(others), rows):
        block = textures[others[start : start + rows]].astype(np.float32)
        best.append((moved @ block.reshape(len(block), -1).T).max(axis=0))
    return np.concatenate(best).clip(0, 1).astype(np.float64).round(3)
