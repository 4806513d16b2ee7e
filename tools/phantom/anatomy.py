"""Sizes and places of what lies in a piece of neck: random numbers -> Anatomy.

Each quantity changes slowly along the neck (Wander). `z` is the place along the neck, in planes.
"""

import math
from dataclasses import dataclass

import numpy as np

from tools.phantom.canvas import PLANES, Array, Random
from tools.phantom.rounding import length


@dataclass(frozen=True)
class Wander:
    """A quantity that changes slowly along the neck."""

    base: float
    swing: float
    rate: float
    phase: float

    def __call__(self, z: float) -> float:
        return self.base + self.swing * math.sin(self.rate * z + self.phase)


@dataclass(frozen=True)
class Ellipse:
    """Half axes and centre in pixels; `angle` in radians of the first axis, y down."""

    row: float
    column: float
    along: float
    across: float
    angle: float

    def local(self, y: Array, x: Array) -> tuple[Array, Array]:
        """Coordinates along and across the ellipse, in half axes: the outline is at radius 1."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        dy, dx = y - self.row, x - self.column
        return (dx * cos + dy * sin) / self.along, (dy * cos - dx * sin) / self.across

    def outline(self, wobble: Array) -> Array:
        """Points (n, 2) as x, y; `wobble` (n,) scales the radius of each."""
        t = np.linspace(0, 2 * np.pi, len(wobble), endpoint=False)
        u, v = self.along * np.cos(t) * wobble, self.across * np.sin(t) * wobble
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.stack([self.column + u * cos - v * sin, self.row + u * sin + v * cos], axis=1)


@dataclass(frozen=True)
class Root:
    """A root of the plexus: its place in half axes of the nerve, its radius in pixels."""

    along: float
    across: float
    radius: float


@dataclass(frozen=True)
class Blob:
    """A dark round structure that is no nerve: vessel or lymph node, seen around depth `z`."""

    row: Wander
    column: Wander
    radius: float
    echo: float
    z: float
    reach: float

    def there(self, z: float) -> float:
        """Its share, 0..1, in the echo at `z`."""
        return math.exp(-(((z - self.z) / self.reach) ** 2))

    def away(self, y: Array, x: Array, z: float) -> Array:
        return length((x - self.column(z)) * np.float32(0.85), y - self.row(z))


@dataclass(frozen=True)
class Anatomy:
    row: Wander
    column: Wander
    area: Wander
    ratio: float
    angle: Wander
    roots: tuple[Root, ...]
    blobs: tuple[Blob, ...]
    fat: float
    bone: float
    period: float
    muscle: float
    gamma: float
    top: float
    grain: float

    def nerve(self, z: float) -> Ellipse:
        across = math.sqrt(self.area(z) / (math.pi * self.ratio))
        along = across * self.ratio
        return Ellipse(self.row(z), self.column(z), along, across, self.angle(z))


def new_anatomy(rng: Random) -> Anatomy:
    """Sizes and places are those of the competition's masks; the rest is to the eye."""
    area = float(np.clip(7000 * math.exp(rng.normal(0, 0.17)), 4800, 10300))
    ratio = float(np.clip(1.9 * math.exp(rng.normal(0, 0.13)), 1.35, 2.5))
    across = math.sqrt(area / (math.pi * ratio))
    row = float(np.clip(128 * math.exp(rng.normal(0, 0.36)), 1.2 * across * ratio + 30, 320))
    column = float(np.clip(rng.normal(333, 55), 200, 450))
    return Anatomy(
        row=new_wander(rng, row, 8),
        column=new_wander(rng, column, 16),
        area=new_wander(rng, area, 0.24 * area),
        ratio=ratio,
        angle=new_wander(rng, math.radians(rng.normal(-67, 16)), 0.2),
        roots=_roots(rng, across * ratio, across),
        blobs=tuple(_blob(rng, row, column, i) for i in range(int(rng.integers(3, 6)))),
        fat=min(rng.uniform(24, 55), 0.36 * row),
        bone=max(rng.uniform(310, 400), row + 110),
        period=rng.uniform(46, 66),
        muscle=rng.uniform(-39, -33.5),
        gamma=rng.uniform(1.5, 1.9),
        top=rng.uniform(96.0, 97.8),
        grain=rng.uniform(1.5, 4.5),
    )


def new_wander(rng: Random, base: float, swing: float) -> Wander:
    return Wander(base, swing, rng.uniform(1.0, 2.2), rng.uniform(0, 2 * math.pi))


def _roots(rng: Random, along: float, across: float) -> tuple[Root, ...]:
    """2 to 5 dark discs of 20-40 pixels in a row along the nerve."""
    count = int(rng.choice([2, 3, 4, 5], p=[0.2, 0.4, 0.25, 0.15]))
    room = 1.36 * along / count
    roots = []
    for i in range(count):
        place = (i + 0.5) / count * 2 - 1
        radius = float(np.clip(0.5 * room * rng.uniform(0.85, 1.05), 9.5, min(20, 0.62 * across)))
        side = rng.normal(0, 0.06) + (0.24 if i % 2 else -0.24) * (count > 3)
        roots.append(Root(0.68 * place + rng.normal(0, 0.03), side, radius))
    return tuple(roots)


def _blob(rng: Random, row: float, column: float, index: int) -> Blob:
    """The first is a great vessel beside and below the nerve, the others are small and anywhere."""
    side = 1 if rng.random() < 0.3 else -1
    if index == 0:
        y, x = row + rng.uniform(70, 150), column + side * rng.uniform(150, 240)
        radius, echo, z = rng.uniform(20, 34), -42.0, rng.uniform(0, PLANES - 1)
        reach = rng.uniform(1.5, 5.0)
    else:
        y, x = rng.uniform(60, 380), column + side * rng.uniform(95, 300)
        radius, echo, z = rng.uniform(7, 15), rng.uniform(-42, -32), rng.uniform(0, PLANES - 1)
        reach = rng.uniform(0.4, 1.2)
    return Blob(new_wander(rng, y, 8), new_wander(rng, x, 16), radius, echo, z, reach)
