"""Label Studio's JSON-MIN or CSV, a row an annotation -> the labels of each image.

Format: https://labelstud.io/guide/export. The regions stand under the names of the page's controls;
their kinds have to be told by what they hold.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.config.fields import Config
from lib.data.formats.parts import collect
from lib.data.formats.parts.classes import joined
from lib.data.formats.parts.label_studio_results import OF_THE_WHOLE_IMAGE, draw_regions, image_told
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree, tree_of
from lib.data.tables.cells import is_nothing, read_table
from lib.runtime.errors import InputError

NAME = "Label Studio's JSON-MIN or CSV"
COLUMNS = ("annotation_id", "lead_time")
HOLDS = {"points": "polygon", "radiusX": "ellipse", "rle": "brush", "imageDataURL": "bitmask"}
NAMED = "labels"  # the end of the key that has the names of the classes


def find(tree: Tree) -> Path | None:
    return collect.one_or_root(tree, _files(tree))


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons, ellipses, brush and bitmask; a row without regions has an empty mask."""
    by_image: dict[str, Label] = {}
    for file in _files(tree_of(path)) if path.is_dir() else [path]:
        for row in _rows(file):
            image, error = image_told(row, files)
            label = Label(ours=True, error=error)
            if image in by_image:
                label.error = "has several annotations: delete all but one, or export as JSON"
            by_image[image] = label
            if is_nothing(str(row["annotation_id"])):
                label.error = "was never annotated"
            with collect.errors_of(label):
                draw_regions(label, list(_regions(row)))
    return joined(by_image, path)


def _files(tree: Tree) -> list[Path]:
    texts = [path for path, content in collect.jsons_with(tree, *COLUMNS) if _is_min(content)]
    return texts + collect.tables_with(tree, *COLUMNS)


def _is_min(content: Any) -> bool:
    rows = content if isinstance(content, list) else []
    return bool(rows) and all(isinstance(row, dict) and set(COLUMNS) <= row.keys() for row in rows)


def _rows(file: Path) -> list[dict[str, Any]]:
    if file.suffix.lower() in collect.TABLES:
        return read_table(file, "train_dataframe").to_dict("records")
    if not _is_min(rows := collect.json_of(file)):
        raise InputError(f"{file}: not {NAME}")
    return rows


def _regions(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """As the full JSON has them. A shape of one control is named by that of another."""
    lists = [_listed(cell) for cell in row.values()]
    values = [value for cell in lists for value in cell if _is_region(value)]
    named = [_shape(value) for value in values if _has_name(value)]
    for value in values:
        if _has_name(value) or _shape(value) not in named:
            size = {key: value[key] for key in ("original_width", "original_height")}
            kinds = [kind for key, kind in HOLDS.items() if key in value]
            yield {"type": kinds[0] if kinds else "box or point", "value": value, **size}


def _listed(cell: Any) -> list[Any]:
    """What a cell holds, as a text in CSV."""
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return []
    return cell if isinstance(cell, list) else []


def _is_region(value: Any) -> bool:
    """And nothing that is told of the whole image."""
    if not isinstance(value, dict) or "original_width" not in value:
        return False
    return not (OF_THE_WHOLE_IMAGE - {NAMED}) & value.keys()


def _has_name(value: dict[str, Any]) -> bool:
    return any(key.endswith(NAMED) for key in value)


def _shape(value: dict[str, Any]) -> dict[str, Any]:
    return {key: told for key, told in value.items() if not key.endswith(NAMED)}
