"""YOLO's data.yaml -> the names of the classes."""

from pathlib import Path

import yaml

from lib.data.pictures.tree import Tree
from lib.runtime.errors import InputError


def class_names(tree: Tree) -> dict[int, str]:
    """The class of each number; all files that name them must agree."""
    found = files_of_names(tree)
    if not found:
        raise InputError(f"{tree.root}: there is no data.yaml with the names of the classes")
    (path, names), *others = found.items()
    for another, its in others:
        if its != names:
            raise InputError(f"{path} and {another} name other classes: keep one")
    return names


def files_of_names(tree: Tree) -> dict[Path, dict[int, str]]:
    found = {path: _names_in(path) for path in tree.ending(".yaml", ".yml")}
    return {path: names for path, names in found.items() if names}


def _names_in(path: Path) -> dict[int, str]:
    """Written as a list, or by number."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        names = content.get("names") if isinstance(content, dict) else None
        numbered = dict(enumerate(names)) if isinstance(names, list) else dict(names or {})
        return {int(number): str(name) for number, name in numbered.items()}
    except (OSError, ValueError, TypeError, yaml.YAMLError):
        return {}
