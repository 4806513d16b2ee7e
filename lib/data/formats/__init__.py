"""The files of labelling tools -> the labels of each image.

A module a format, all alike; parts/ has what they share, refused.py what is not read.
"""

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
from lib.data.label import Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree


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
    return next((module for module in FORMATS if module.find(tree) is not None), None)
