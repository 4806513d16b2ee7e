"""The scanner: tissue and the place of the probe -> one grey frame.

A cheap Field II (Jensen 1996): scatterers are complex Gaussian noise times the echo strength,
blurred by the point spread function. Their envelope is averaged over looks (Burckhardt 1978),
compressed to decibels and given a gamma.
"""

import math

import cv2
import numpy as np

from lib.runtime.portable import linear, resampled
from tools.phantom.canvas import HEIGHT, LOOKS, MARGIN, STEP, WIDTH, Array, Picture, grid
from tools.phantom.echo import echo_of
from tools.phantom.rounding import amplitude_of, blurred, decibel_of, grey_of, length
from tools.phantom.sweep import Frame
from tools.phantom.tissue import Tissue, between

SCATTER_SD = math.sqrt((255**2 - 1) / 12)

RANGE = 45.0  # dB from black to white

# Sigmas of the point spread function, axial and lateral, at the skin and at the bottom.
NEAR, FAR = (1.7, 2.9), (2.0, 4.7)


def render(tissue: Tissue, frame: Frame) -> Picture:
    """One frame, uint8 (420, 580)."""
    anatomy = tissue.anatomy
    field = tissue.fields_at(frame.z)
    echo = echo_of(anatomy, field, frame)
    # Fascia is half a mirror and half a dense sheet of scatterers: its lines are speckled too.
    amplitude = amplitude_of(echo.strength) + echo.mirror * np.float32(0.5)
    envelope = _envelope(between(tissue.scatterers, frame.z), amplitude)
    envelope += blur(echo.mirror, 0.7, 2.6) * np.float32(0.4)
    decibel = decibel_of(envelope) + field["shade"] * np.float32(2.0)
    top = np.percentile(decibel[:HEIGHT:3, ::3], anatomy.top)
    bright = np.maximum((decibel - np.float32(top)) / np.float32(RANGE) + 1, 0)
    grey = grey_of(anatomy.gamma)(blur(bright, 0.5, 1.0))
    return _decorate(np.rint(to_frame(grey, frame)).astype(np.uint8, order="C"))


def to_frame(canvas: Array, frame: Frame) -> Array:
    """The frame (420, 580) of a canvas. The skin stays at the probe: pressure acts from row 0."""
    rows = resampled(canvas, np.arange(HEIGHT) / frame.stretch, linear)
    columns = (np.arange(WIDTH) + MARGIN - frame.shift) / STEP
    return resampled(rows.T, columns, linear).T


def _decorate(picture: Picture) -> Picture:
    """The machine's own marks: a black column and the outline of an arrow at the top."""
    cv2.polylines(picture, [np.array([[294, 0], [303, 12], [312, 0]], np.int32)], False, 0)
    picture[:, 0] = 0
    return picture


def _envelope(scatterers: Array, amplitude: Array) -> Array:
    """Mean magnitude over the looks; the beam widens with depth, its power is kept."""
    deep = np.clip((grid()[0] - 90) / 330, 0, 1)
    near_gain = 2 * math.sqrt(math.pi * NEAR[0] * NEAR[1] / STEP) / SCATTER_SD
    far_gain = deep * np.float32(math.sqrt(FAR[0] * FAR[1] / (NEAR[0] * NEAR[1])))
    total = np.zeros_like(amplitude)
    for look in range(LOOKS):
        blends = []
        for noise in scatterers[2 * look : 2 * look + 2]:
            near = blur(noise * amplitude, *NEAR)
            far = blur(near, *(math.sqrt(f**2 - n**2) for f, n in zip(FAR, NEAR, strict=True)))
            blends.append(near * (1 - deep) + far * far_gain)
        total += length(*blends)
    speckled = total * np.float32(near_gain / LOOKS)
    # The machines filter their speckle: they mix the picture with its mean (Rayleigh's).
    smooth = blur(amplitude, 0.8, 2.4) * np.float32(0.3 * math.sqrt(math.pi / 2))
    return speckled * np.float32(0.7) + smooth


def blur(picture: Array, axial: float, lateral: float) -> Array:
    """Of a canvas; sigmas in pixels of the frame."""
    return blurred(picture, axial, lateral / STEP)
