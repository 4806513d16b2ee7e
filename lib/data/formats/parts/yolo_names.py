"""YOLO's data.yaml, or a classes.txt -> the names of the classes."""

from pathlib import Path

import yaml

from lib.data.pictures.tree import Tree
from lib.runtime.errors import InputError

LISTS = ("classes.txt", "obj.names")
KEYPOINTS = "kpt_shape"


def class_names(tree: Tree) -> dict[int, str]:
    """The class of each number; all files that name them must agree."""
    found = files_of_names(tree)
    if not found:
        raise InputError(
            f"{tree.root}: there is no data.yaml or classes.txt with the names of the classes"
        )
    (path, names), *others = found.items()
    for another, its in others:
        if its != names:
            raise InputError(f"{path} and {another} name other classes: keep one")
    return names


def files_of_names(tree: Tree) -> dict[Path, dict[int, str]]:
    """Those of .yaml files or, where there are none, of lists of names."""
    found = {path: _names_in(path) for path in tree.ending(".yaml", ".yml")}
    if not any(found.values()):
        found = {path: _listed_in(path) for path in tree.files if path.name in LISTS}
    return {path: names for path, names in found.items() if names}


def _listed_in(path: Path) -> dict[int, str]:
    """A name a line, as Label Studio and others write it."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return dict(enumerate(line.strip() for line in lines if line.strip()))


def _names_in(path: Path) -> dict[int, str]:
    """Written as a list, or by number."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        names = content.get("names") if isinstance(content, dict) else None
        if names and KEYPOINTS in content:
            raise InputError(f"{path}: its labels are boxes with keypoints, and those are no masks")
        numbered = dict(enumerate(names)) if isinstance(names, list) else dict(names or {})
        return {int(number): str(name) for number, name in numbered.items()}
    except (OSError, ValueError, TypeError, OverflowError, RecursionError, yaml.YAMLError):
        return {}
