"""The files of labelling tools -> the labels of each image.

A module a format, all alike; parts/ has what they share, refused.py what is not read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lib.config.fields import Config
from lib.data.formats import (
    coco,
    cvat,
    ddti,
    label_studio,
    label_studio_min,
    labelme,
    labelme_folders,
    supervisely,
    via,
    yolo,
)
from lib.data.formats.parts.collect import NOT_AS_EXPECTED
from lib.data.label import Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree
from lib.runtime.errors import InputError


class Format(Protocol):
    """What a module of a format holds."""

    NAME: str  # for a person

    def find(self, tree: Tree) -> Path | None:
        """The one file of labels, the folder where there are several, None where there are none."""

    def read(self, path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
        """The labels in what `find` returned, for the images `files` by name.

        Raises InputError for what is not of the format; what is wrong with one image is the error
        of its label.
        """


FORMATS: tuple[Format, ...] = (
    labelme,
    labelme_folders,
    label_studio,
    label_studio_min,
    cvat,
    supervisely,
    via,
    yolo,
    coco,
    ddti,
)


def format_of(tree: Tree) -> Format | None:
    """The format that the folder or file is in."""
    return next((module for module in FORMATS if found(module, tree) is not None), None)


def found(module: Format, tree: Tree) -> Path | None:
    """What its `find` returns; InputError too where a file is not built as the tool writes it."""
    with _as_written(module, tree.root):
        return module.find(tree)


def labels_in(module: Format, path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """What its `read` returns; InputError too where a file is not built as the tool writes it."""
    with _as_written(module, path):
        return module.read(path, files, config)


@contextmanager
def _as_written(module: Format, path: Path) -> Iterator[None]:
    """A reader trusts the form of what it reads; what it stumbles over is a fault of the file."""
    try:
        yield
    except NOT_AS_EXPECTED as error:
        raise InputError(
            f"{path}: not as {module.NAME} writes it ({type(error).__name__}: {error}): export it "
            "again"
        ) from error
