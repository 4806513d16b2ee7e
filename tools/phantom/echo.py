"""What the beam meets at one place: anatomy and fields -> echo strengths on the canvas.

Each function adds one tissue. Strengths, sizes and widths were tuned until grey values, speckle and
masks measured like the competition's (benchmarks/phantom.py).
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from tools.phantom.anatomy import Anatomy, Blob, Ellipse, Root
from tools.phantom.canvas import ROWS, STEP, Array, grid
from tools.phantom.rounding import length, line, sigmoid
from tools.phantom.sweep import Frame
from tools.phantom.tissue import bent


@dataclass
class Echo:
    """What the beam meets: `strength` in dB of diffuse scatter, `mirror` amplitude of fascia."""

    y: Array
    x: Array
    strength: Array
    mirror: Array

    def fill(self, inside: Array, level: Array | float) -> None:
        self.strength += inside * (level - self.strength)


def echo_of(anatomy: Anatomy, field: dict[str, Array], frame: Frame) -> Echo:
    z = frame.z
    rows, _ = grid()
    y, x = bent(field)
    texture = field["patch"] * 5 + field["fibre"] * np.float32(anatomy.grain)
    echo = Echo(y, x, texture - 31 - rows / 80, np.zeros_like(texture))
    for muscle in _muscles(anatomy.nerve(z), anatomy.fat):
        _add_muscle(echo, muscle, texture * 0.7 + np.float32(anatomy.muscle), field["gleam"])
    _add_fat(echo, anatomy.fat, field["fibre"])
    _add_sheets(echo, anatomy, field)
    _add_bone(echo, anatomy.bone, field["gleam"])
    for blob in reversed(anatomy.blobs):
        _add_blob(echo, blob, z)
    _add_nerve(echo, anatomy, frame, field)
    _add_skin(echo, rows)
    return echo


def _muscles(nerve: Ellipse, fat: float) -> list[Ellipse]:
    """Sternocleidomastoid above; anterior and middle scalene on either side of the gap."""
    row, column = nerve.row, nerve.column
    thick = max(8.0, 0.5 * (row - 0.8 * nerve.along - fat))
    return [
        Ellipse(fat + thick + 2, column - 110, 330, thick, -0.02),
        Ellipse(row + 42, column - 142, 108, 44, 0.28),
        Ellipse(row + 62, column + 118, 122, 48, -0.20),
    ]


def _add_muscle(echo: Echo, muscle: Ellipse, level: Array, gleam: Array) -> None:
    u, v = muscle.local(echo.y, echo.x)
    radius = length(u, v)
    distance = (radius - 1) * np.float32(muscle.across)
    echo.fill(sigmoid(distance * -0.5), level)
    # Fascia shines where it faces the probe.
    facing = np.abs(v) / (radius + np.float32(0.05))
    bright = np.clip(gleam + 0.5, 0.1, 1.5)
    echo.mirror += line(distance, 2.3) * facing**2 * bright * np.float32(0.5)


def _add_fat(echo: Echo, depth: float, fibre: Array) -> None:
    echo.fill(sigmoid((depth - echo.y) * 0.6), fibre * 3.5 - 25)
    echo.mirror += line(echo.y - depth, 2.0) * np.float32(0.6)


def _add_sheets(echo: Echo, anatomy: Anatomy, field: dict[str, Array]) -> None:
    """Fascia between and inside the muscles: level lines of a bent depth, bright in stretches."""
    gleam = field["gleam"]
    for name, sign, period, bend, width, strength in (
        ("sheets", 1, anatomy.period, 0.6, 1.9, 0.65),
        ("septa", -1, anatomy.period / 3, 0.6, 1.1, 0.12),
    ):
        # In 1024ths the sums of the gradient are exact.
        phase = np.rint((echo.y / np.float32(period) + field[name] * np.float32(bend)) * 1024)
        phase /= 1024
        slope_y = cv2.Sobel(phase, -1, 0, 1, scale=1 / 8)
        slope_x = cv2.Sobel(phase, -1, 1, 0, scale=1 / 8 / STEP)
        steep = length(slope_x, slope_y) + np.float32(1e-4)
        distance = (phase - np.rint(phase)) / steep
        facing = np.abs(slope_y) / steep
        bright = np.clip(gleam * sign - 0.3, 0, 1.3)
        sheet = line(distance / (bright + np.float32(0.4)), width)
        echo.mirror += sheet * facing * facing**2 * bright * np.float32(strength)


def _add_bone(echo: Echo, depth: float, gleam: Array) -> None:
    """Transverse processes: a bright line in stretches, a shadow under it."""
    there = np.clip(gleam[int(min(depth, ROWS - 1))] + 0.2, 0, 1)[None, :]
    echo.strength -= sigmoid((echo.y - depth - 8) / 6) * there * 12
    echo.mirror += line(echo.y - depth, 3.2) * there * np.float32(1.2)


def _add_blob(echo: Echo, blob: Blob, z: float) -> None:
    there = blob.there(z)
    away = blob.away(echo.y, echo.x, z)
    facing = np.abs(echo.y - blob.row(z)) / (away + 1)
    distance = away - blob.radius
    echo.fill(sigmoid(distance * -0.8) * there, blob.echo)
    echo.mirror *= 1 - sigmoid(distance * -0.8) * there
    echo.mirror += line(distance - 2, 1.8) * facing**2 * np.float32(0.5 * there)


def _add_nerve(echo: Echo, anatomy: Anatomy, frame: Frame, field: dict[str, Array]) -> None:
    """Bright stroma with dark roots in bright rims; without a nerve the gap is merely fatty."""
    nerve = anatomy.nerve(frame.z)
    rows, columns = grid()
    wry = field["gleam"] * np.float32(5), field["patch"] * np.float32(5)
    u, v = nerve.local(rows + wry[0], columns + wry[1])
    inside = sigmoid((1 - length(u, v)) * np.float32(nerve.across / 3))
    patchy = np.clip(field["patch"] + 0.7, 0.3, 1.5)
    echo.mirror *= 1 - inside * (0.4 + 0.5 * frame.nerve)
    echo.fill(inside * (0.45 + 0.5 * frame.nerve), field["fibre"] * 4 + patchy * 2 - 23.5)
    for root in anatomy.roots:
        du, dv = (u - root.along) * nerve.along, (v - root.across) * nerve.across
        away = length(du, dv)
        distance = away - np.float32(root.radius)
        echo.fill(sigmoid(distance * -0.9) * frame.nerve, field["fibre"] * 3 - 34)
        facing = np.abs(rows - _root_row(nerve, root)) / (away + 1)
        rim = line(distance - 2, 2.0) * (facing**2 * 0.8 + 0.2) * patchy
        echo.mirror += rim * np.float32(0.5 * frame.nerve)


def _root_row(nerve: Ellipse, root: Root) -> float:
    along, across = root.along * nerve.along, root.across * nerve.across
    return nerve.row + along * math.sin(nerve.angle) + across * math.cos(nerve.angle)


def _add_skin(echo: Echo, rows: Array) -> None:
    echo.fill(sigmoid((7 - rows) * 1.2), -25)
    for depth, strength in ((8.0, 0.5), (18.0, 0.2)):
        echo.mirror += line(rows - depth, 1.8) * np.float32(strength)
