"""What is told about one image, and about all."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.dicom import MOST_PIXELS

ONE_CLASS = "nerve"


@dataclass
class Label:
    """What is told about one image. Empty texts are what nobody tells."""

    subject: str = ""
    group: str = ""
    fold: str = ""
    # By class: run lengths, to be joined; none is an empty mask. No class: only files tell.
    runs: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)  # by class: a mask file that a table names
    masks: dict[str, list[ImageFile]] = field(default_factory=dict)  # by class: all mask files
    drawn: dict[str, list[str]] = field(default_factory=dict)  # by class: what they hold, as `runs`
    drawn_size: tuple[int, int] | None = None  # height and width of the mask files
    drawn_from: str = ""  # the name of the last of them
    size: tuple[int, int] | None = None  # height and width, where the labels tell
    validation: bool = False  # of validation_dataframe
    ours: bool = False  # `runs` are in the house's convention, whatever the settings say
    error: str = ""  # why the label cannot be used


def require_size(size: tuple[int, int]) -> None:
    """ValueError for a height and width that labels tell, and no mask of memory could have."""
    if min(size) < 1 or size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"a size of {size[0]} x {size[1]}: 1 to {MOST_PIXELS:,} pixels are read")


class Labels(NamedTuple):
    by_image: dict[str, Label]
    classes: list[str]
    origin: str  # for a person


def all_told(by_image: dict[str, Label], classes: list[str]) -> list[str]:
    """The classes, each of which now has a file or run lengths, if none, of every image."""
    for label in by_image.values():
        for name in classes:
            if name not in label.files:
                label.runs.setdefault(name, [])
    return classes
