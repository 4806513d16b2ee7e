"""Masks -> files, for score.py: mask pictures, overlays and the table of run lengths."""

import csv
import io
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

COLOURS = [(0, 255, 255), (255, 128, 0), (0, 255, 0), (255, 0, 255)]  # BGR of the outlines
HASH = b"Source\0"  # the keyword of the PNG text that holds a hash

Array = np.ndarray[Any, np.dtype[Any]]


class Output:
    """The folder of masks: DIR/NAME.png, DIR/CLASS/NAME.png where there are several classes.

    Each file holds the hash that it was written with, by which it is known again.
    """

    def __init__(self, folder: Path, classes: Sequence[str], overlays: bool) -> None:
        self._folder, self._overlays = folder, overlays
        self._classes = {name: name if len(classes) > 1 else "" for name in classes}

    def has(self, name: str, sha: str) -> bool:
        """Whether all files of that image are there with that hash."""
        mark = HASH + sha.encode()
        return all(path.is_file() and mark in path.read_bytes() for path in self._files(name))

    def write(self, name: str, sha: str, grey: Array, masks: Sequence[Array]) -> None:
        """Masks uint8 0/1, one a class, and where it is wanted the image with their outlines."""
        pictures = [mask * 255 for mask in masks] + [overlay(grey, masks)] * self._overlays
        for path, picture in zip(self._files(name), pictures, strict=True):
            write_whole(path, png(picture, sha))

    def table(self, names: Iterable[str]) -> bytes:
        """CSV in UTF-8: a row for each class of each of the images, read from their masks."""
        several, text = len(self._classes) > 1, io.StringIO()
        rows = [["img", "class_id", "pixels"] if several else ["img", "pixels"]]
        for name in names:
            for label, path in zip(self._classes, self._files(name), strict=False):
                mask = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
                rows.append([name, *([label] * several), run_lengths(np.asarray(mask))])
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()

    def _files(self, name: str) -> list[Path]:
        folders = [*self._classes.values(), *(["overlays"] * self._overlays)]
        return [self._folder / folder / f"{name}.png" for folder in folders]


def overlay(grey: Array, masks: Sequence[Array]) -> Array:
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    for k, mask in enumerate(masks):
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, COLOURS[k % len(COLOURS)], 2)
    return picture


def png(pixels: Array, sha: str) -> bytes:
    """With the hash as a text, the chunk tEXt, before the last chunk (12 bytes)."""
    content = cv2.imencode(".png", pixels)[1].tobytes()
    text = b"tEXt" + HASH + sha.encode()
    chunk = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    return content[:-12] + chunk + content[-12:]


def run_lengths(mask: Array) -> str:
    """`start length` pairs, from 1, down the columns; "" where all is zero."""
    pixels = np.concatenate([[0], mask.T.ravel() != 0, [0]])
    edges = np.flatnonzero(np.diff(pixels))
    edges[1::2] -= edges[::2]
    edges[::2] += 1
    return " ".join(map(str, edges.tolist()))


def write_whole(path: Path, content: bytes) -> None:
    """Written beside its place and renamed, so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
