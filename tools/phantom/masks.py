"""What an annotator draws on a frame: tissue and the place of the probe -> masks."""

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from tools.phantom.anatomy import Ellipse
from tools.phantom.canvas import HEIGHT, MARGIN, STEP, WIDTH, Array, Picture, Random
from tools.phantom.sweep import Frame
from tools.phantom.tissue import Tissue, bent

# A vessel's wall and how far inside the frame it must end, in pixels; how much of it must be there.
WALL, EDGE, PLAIN = 2, 4, 0.8
# Of a second person: the habit, in standard deviations of an error; how often a nerve is missed.
HABIT, MISSED = 1.5, 0.06


def masks_of(tissue: Tissue, frame: Frame, vessel: bool) -> dict[str, Picture]:
    """Masks 0/255 (420, 580) of the classes that are there, as an annotator draws them."""
    masks = {}
    if frame.labelled:
        masks["nerve"] = filled(outline(tissue.anatomy.nerve(frame.z), frame, frame.noise[0]))
    if vessel and (seen := vessel_of(tissue, frame)):
        masks["vessel"] = filled(outline(seen, frame, frame.noise[1]))
    return masks


def true_mask(tissue: Tissue, frame: Frame) -> Picture:
    """0/1; as nobody draws it, without errors."""
    masks = masks_of(tissue, replace(frame, noise=np.zeros_like(frame.noise)), vessel=False)
    return masks["nerve"] // 255 if masks else np.zeros((HEIGHT, WIDTH), dtype=np.uint8)


def second_masks(
    tissue: Tissue, frames: Sequence[Frame], vessel: bool, rng: Random
) -> list[dict[str, Picture]]:
    """`masks_of` each frame by another person, with a habit and errors of their own.

    The habit is one offset, size and turn of all outlines of a subject. Now and then they miss a
    nerve.
    """
    habit = HABIT * np.clip(rng.standard_normal((2, 12)), -2.5, 2.5)
    habit[:, 5:] = 0  # the shape is an error of each frame
    masks = []
    for frame in frames:
        noise = habit + np.clip(rng.standard_normal((2, 12)), -2.5, 2.5)
        seen = frame.labelled and rng.random() >= MISSED
        masks.append(masks_of(tissue, replace(frame, noise=noise, labelled=seen), vessel))
    return masks


def filled(points: Array) -> Picture:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 255, shift=4)
    return mask


def vessel_of(tissue: Tissue, frame: Frame) -> Ellipse | None:
    """The ellipse of the great vessel's own moments, bent as it is drawn, wall included.

    None unless it is plainly seen: mostly there, whole inside the frame, and above the bone, whose
    shadow is as dark as blood.
    """
    blob, z = tissue.anatomy.blobs[0], frame.z
    radius = blob.radius + WALL
    if blob.there(z) < PLAIN or blob.row(z) + radius > tissue.anatomy.bone:
        return None
    y, x = bent(tissue.fields_at(z, ("bend", "sway")))
    rows, steps = np.nonzero(blob.away(y, x, z) < radius)
    if not rows.size:  # beyond the canvas
        return None
    columns = steps * STEP - MARGIN
    left, right = columns.min() + frame.shift, columns.max() + frame.shift
    whole = left > EDGE and right < WIDTH - EDGE and rows.max() * frame.stretch < HEIGHT - EDGE
    return ellipse_of(rows, columns) if whole else None


def ellipse_of(rows: Array, columns: Array) -> Ellipse:
    """The ellipse with the first and second moments of a set of pixels."""
    row, column = rows.sum() / len(rows), columns.sum() / len(rows)
    # Sums of whole numbers: exact.
    yy = (rows * rows).sum() / len(rows) - row**2
    xx = (columns * columns).sum() / len(rows) - column**2
    xy = (rows * columns).sum() / len(rows) - row * column
    middle, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    return Ellipse(
        row, column, 2 * math.sqrt(middle + half), 2 * math.sqrt(max(middle - half, 0)), angle
    )


def outline(shape: Ellipse, frame: Frame, noise: Array) -> Array:
    """Points (72, 2) as x, y of the frame; `noise` (12,) of zeros is the shape itself."""
    grown = Ellipse(
        shape.row + 2.2 * noise[0],
        shape.column + 2.2 * noise[1],
        shape.along * math.exp(0.06 * noise[2]),
        shape.across * math.exp(0.06 * noise[3]),
        shape.angle + 0.07 * noise[4],
    )
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = [noise[2 + k] * np.cos(k * t) + noise[5 + k] * np.sin(k * t) for k in (3, 4, 5)]
    points = grown.outline(1 + 0.036 * np.clip(np.sum(waves, axis=0), -3, 3))
    return np.asarray(points * (1, frame.stretch) + (frame.shift, 0))
