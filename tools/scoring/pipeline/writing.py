"""Masks -> files, for score.py: mask pictures, overlays and the table of run lengths."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if __package__:
    from .trust import cells_of
else:
    from trust import cells_of  # type: ignore[import-not-found, no-redef]

COLOURS = [(255, 255, 0), (0, 128, 255), (0, 255, 0), (255, 0, 255)]  # RGB of the outlines
OVERLAYS = "overlays"
# Keywords of the PNG texts that hold a hash, and how far the mask can be trusted.
HASH, TRUST = "Source", "Trust"

Array = np.ndarray[Any, np.dtype[Any]]


class Output:
    """The folder of masks: DIR/NAME.png, DIR/CLASS/NAME.png where there are several classes.

    Each file holds the hash that it was written with, by which it is known again.
    """

    def __init__(self, folder: Path, classes: Sequence[str], overlays: bool) -> None:
        self._folder, self._overlays = folder, overlays
        self._classes = folders_of(classes) if len(classes) > 1 else dict.fromkeys(classes, "")

    def has(self, name: str, sha: str) -> bool:
        """Whether all files of that image are there with that hash."""
        return all(hash_in(path) == sha for path in self._files(name))

    def write(
        self, name: str, sha: str, grey: Array, masks: Sequence[Array], told: Sequence[str]
    ) -> None:
        """Masks uint8 0/1, one a class, and where it is wanted the image with their outlines.

        `told` is the text of trust.py of each mask.
        """
        pictures = [mask * 255 for mask in masks]
        texts = [{HASH: sha, TRUST: trust} for trust in told]
        if self._overlays:
            pictures.append(overlay(grey, masks))
            texts.append({HASH: sha})
        for path, picture, about in zip(self._files(name), pictures, texts, strict=True):
            write_whole(path, png(picture, about))

    def table(self, names: Iterable[str]) -> bytes:
        """CSV of the run lengths of each image, and class where there are several."""
        return self._csv(names, ["pixels"], lambda mask: [run_lengths(np.asarray(mask))])

    def trust_table(self, names: Iterable[str], columns: list[str]) -> bytes:
        """CSV of how far each mask can be trusted; `columns` are two."""
        return self._csv(names, columns, lambda mask: cells_of(mask.info.get(TRUST, "")))

    def _csv(
        self, names: Iterable[str], columns: list[str], cells: Callable[[Image.Image], list[str]]
    ) -> bytes:
        """In UTF-8: a row for each class of each of the images, read from their masks."""
        several, text = len(self._classes) > 1, io.StringIO()
        rows = [["img", *["class_id"] * several, *columns]]
        for name in names:
            for label, path in zip(self._classes, self._files(name), strict=False):
                with Image.open(path) as mask:
                    rows.append([name, *([label] * several), *cells(mask)])
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()

    def _files(self, name: str) -> list[Path]:
        folders = [*self._classes.values(), *([OVERLAYS] * self._overlays)]
        return [self._folder / folder / f"{name}.png" for folder in folders]


def folders_of(classes: Sequence[str]) -> dict[str, str]:
    """Of each class: its name, but for what leads out of the folder or clashes with another."""
    found: dict[str, str] = {}
    taken = {"", OVERLAYS}
    for k, name in enumerate(classes, 1):
        folder = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name[:60]).strip(" .")
        while folder.casefold() in taken:
            folder = f"{folder}_{k}"
        taken.add(folder.casefold())
        found[name] = folder
    return found


def overlay(grey: Array, masks: Sequence[Array]) -> Array:
    """RGB (height, width, 3): the outline of each mask on the image."""
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for k, mask in enumerate(masks):
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, COLOURS[k % len(COLOURS)], 2)
    return picture


def hash_in(path: Path) -> str:
    """The hash that a picture was written with; "" for a file that is none, or not whole."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return str(picture.info.get(HASH, ""))
    except (OSError, SyntaxError, ValueError):
        return ""


def png(pixels: Array, texts: dict[str, str]) -> bytes:
    """Of a mask, or of a picture in colours (RGB); with the texts in it."""
    about, file = PngInfo(), io.BytesIO()
    for keyword, text in texts.items():
        about.add_text(keyword, text)
    Image.fromarray(pixels).save(file, "png", pnginfo=about, compress_level=1)
    return file.getvalue()


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
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
