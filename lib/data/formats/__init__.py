"""Files of labelling tools -> the labels of each image: a module for each format.

Each has NAME, find(tree) -> the path to give as train_dataframe, or None, and read(path, files,
config) -> Labels. A new format is a new module and its name in FORMATS.
"""

from types import ModuleType

from lib.data import coco
from lib.data.tree import Tree

FORMATS: tuple[ModuleType, ...] = (coco,)


def format_of(tree: Tree) -> ModuleType | None:
    """The format that the folder or file is in."""
    return next((module for module in FORMATS if module.find(tree) is not None), None)
