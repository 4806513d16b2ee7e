"""VGG Image Annotator's files of every version -> what they tell of each image, as version 2 does.

An entry has a filename and a list of regions, each with shape_attributes and region_attributes.
"""

import json
from pathlib import Path
from typing import Any

from lib.data.formats.parts import collect, via_3
from lib.data.formats.parts.via_3 import Entry
from lib.data.pictures.tree import Tree, json_in
from lib.data.tables.cells import read_table
from lib.runtime.errors import InputError

CELLS = ("filename", "region_shape_attributes", "region_attributes")


def files_of(tree: Tree) -> list[Path]:
    words = (("filename", "regions"), ("vid_list", "metadata"))
    texts = [path for pair in words for path, _ in collect.jsons_with(tree, *pair)]
    return [path for path in texts if entries_of(path)] + collect.tables_with(tree, *CELLS)


def entries_of(path: Path) -> list[Entry] | None:
    """None for what is not of this tool."""
    if path.suffix.lower() in collect.TABLES:
        return _of_table(path)
    content = json_in(path)
    if not isinstance(content, dict):
        return None
    if content.keys() >= via_3.KEYS:
        return via_3.entries_of(content, path)
    content = content.get("_via_img_metadata", content)
    entries = list(content.values()) if isinstance(content, dict) else []
    keys = {"filename", "regions"}
    right = entries and all(isinstance(e, dict) and keys <= e.keys() for e in entries)
    return entries if right else None


def _of_table(path: Path) -> list[Entry] | None:
    """A row a region, or one without a shape for an image that has none."""
    table = read_table(path, "train_dataframe").rename(columns=lambda name: name.strip("# "))
    if not set(CELLS) <= set(table.columns):
        return None
    entries: dict[tuple[str, str], Entry] = {}
    for row in table.to_dict("records"):
        key = (row["filename"], row.get("file_size", ""))
        entry = entries.setdefault(key, {"filename": row["filename"], "regions": []})
        if shape := _object(row["region_shape_attributes"], path):
            told = _object(row["region_attributes"], path)
            entry["regions"].append({"shape_attributes": shape, "region_attributes": told})
    return list(entries.values())


def _object(cell: str, path: Path) -> dict[str, Any]:
    try:
        return json.loads(cell or "{}")
    except (ValueError, RecursionError):
        raise InputError(f"{path}: a cell holds {cell[:40]}, and no JSON") from None
