"""A piece of neck, ready to be scanned: an anatomy, its scatterers and its random fields."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tools.phantom.anatomy import Anatomy, new_anatomy
from tools.phantom.canvas import COLUMNS, LOOKS, PLANES, ROWS, STEP, Array, Random, grid, spread

# Smooth random fields, by the spacing of their knots in (rows, columns) pixels.
FIELDS = {
    "bend": (70, 150),
    "sway": (60, 130),
    "sheets": (42, 110),
    "gleam": (28, 62),
    "patch": (44, 90),
    "fibre": (6, 32),
    "septa": (22, 70),
    "shade": (150, 160),
}


@dataclass(frozen=True)
class Tissue:
    """Anatomy with its scatterers, int8 (PLANES, 2 * LOOKS, ROWS, COLUMNS), and coarse fields."""

    anatomy: Anatomy
    scatterers: Array
    fields: dict[str, Array]

    def fields_at(self, z: float, names: Iterable[str] = FIELDS) -> dict[str, Array]:
        return {name: spread(between(self.fields[name], z)) for name in names}


def new_tissue(rng: Random) -> Tissue:
    """Tissue of a person that nobody has seen."""
    # Evenly spread numbers will do: the beam adds up so many that its echo is Gaussian.
    scatterers = rng.integers(-127, 128, (PLANES, 2 * LOOKS, ROWS, COLUMNS), dtype=np.int8)
    fields = {}
    for name, (rows, columns) in FIELDS.items():
        shape = (PLANES, ROWS // rows + 2, COLUMNS * STEP // columns + 2)
        fields[name] = rng.standard_normal(shape, dtype=np.float32)
    return Tissue(new_anatomy(rng), scatterers, fields)


def between(planes: Array, z: float) -> Array:
    """Blend of two independent planes that keeps their variance."""
    k = int(z)
    angle = (z - k) * math.pi / 2
    return planes[k] * np.float32(math.cos(angle)) + planes[k + 1] * np.float32(math.sin(angle))


def bent(field: dict[str, Array]) -> tuple[Array, Array]:
    """Where in the straight anatomy every pixel of the canvas lies."""
    rows, columns = grid()
    return rows + field["bend"] * np.clip(rows / 60, 0, 1) * 10, columns + field["sway"] * 16
