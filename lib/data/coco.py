"""COCO's instances -> the labels of each image."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from lib import rle
from lib.config.fields import Config
from lib.data.label_tables import ONE_CLASS, Label, Labels, all_told
from lib.data.pictures import ImageFile, composed
from lib.data.tables import text_of
from lib.data.tree import Tree, json_in
from lib.runtime.errors import InputError

COCO_KEYS: dict[str, dict[str, Any]] = {
    "images": {"id": (int, str), "file_name": str, "height": int, "width": int},
    "annotations": {"image_id": (int, str), "category_id": (int, str), "segmentation": object},
    "categories": {"id": (int, str), "name": str},
}


NAME = "COCO"


def find(tree: Tree) -> Path | None:
    for path in tree.ending(".json"):
        content = json_in(path)
        if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
            return path
    return None


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    return labels_of_coco(path, config)


def labels_of_coco(path: Path, config: Config) -> Labels:
    """COCO's instances: polygons, uncompressed and compressed run lengths, joined by category.

    Format: https://cocodataset.org/#format-data. A subject is told by a key of the image's entry
    that is named as group_fold_column.
    """
    content = _read_coco(path)
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    by_id: dict[Any, Label] = {}
    by_image: dict[str, Label] = {}
    for entry in content["images"]:
        told = str(text_of(entry.get(config.group_fold_column)))
        label = Label(
            subject=told,
            group=told,
            fold=str(text_of(entry.get(config.fold_column))),
            size=(entry["height"], entry["width"]),
            ours=True,
        )
        image = composed(Path(str(entry["file_name"])).name)
        if image in by_image:
            label.error = "stands in the file twice"
        by_id[entry["id"]] = by_image[image] = label
    for annotation in content["annotations"]:
        _add_coco(annotation, by_id, names, path)
    used = sorted({name for label in by_image.values() for name in label.runs})
    classes = all_told(by_image, used or sorted(names.values())[:1] or [ONE_CLASS])
    return Labels(by_image, classes, str(path))


def _read_coco(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"train_dataframe={path}: there is no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a JSON file that can be read ({error})") from None
    for part, kinds in COCO_KEYS.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise InputError(f"{path}: not COCO: a list {part!r} was expected")
        for number, entry in enumerate(entries):
            found = entry if isinstance(entry, dict) else {}
            wrong = [key for key, kind in kinds.items() if not isinstance(found.get(key), kind)]
            if wrong:
                raise InputError(f"{path}: entry {number} of {part} lacks {', '.join(wrong)}")
    return content


def _add_coco(
    annotation: dict[str, Any], by_id: dict[Any, Label], names: dict[Any, str], path: Path
) -> None:
    label, name = by_id.get(annotation["image_id"]), names.get(annotation["category_id"])
    if label is None or name is None:
        what = "image_id" if label is None else "category_id"
        raise InputError(f"{path}: an annotation has {what} {annotation[what]}, which is not there")
    assert label.size is not None
    try:
        mask = coco_mask(annotation["segmentation"], label.size)
        label.runs.setdefault(name, []).append(rle.encode(mask))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        label.error = f"an annotation of it cannot be read ({error})"


def coco_mask(segmentation: Any, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A segmentation of COCO -> mask uint8 0/1 of `size` (height, width).

    Raises ValueError, TypeError or KeyError for what is none: pycocotools trusts what it is given.
    """
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, size)
    if not isinstance(segmentation, dict):
        raise ValueError("a list of polygons or run lengths were expected")
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"its size is {segmentation['size']}, the image's {list(size)}")
    counts = segmentation["counts"]
    lengths = _coco_counts(counts) if isinstance(counts, str) else counts
    if min(lengths) < 0 or sum(lengths) != size[0] * size[1]:
        raise ValueError(f"its run lengths cover {sum(lengths)} of {size[0] * size[1]} pixels")
    runs = coco.frPyObjects({"size": list(size), "counts": lengths}, *size)
    return np.asarray(coco.decode(runs), dtype=np.uint8)


def _coco_counts(text: str) -> list[int]:
    """The run lengths that COCO writes as a text, of which pycocotools checks nothing.

    Five bits a letter, the lowest first, a sixth where more follow; from the fourth length on the
    difference to the last but one (rleToString in COCO's maskApi.c).
    """
    lengths: list[int] = []
    number, shift = 0, 0
    for letter in text.encode("ascii"):
        bits = letter - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        number -= (1 << shift) if bits & 0x10 else 0
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
        number, shift = 0, 0
    if shift:
        raise ValueError("its run lengths end in the middle of a number")
    return lengths


def _of_polygons(polygons: list[list[float]], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if not polygons:
        return np.zeros(size, dtype=np.uint8)
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
        raise ValueError("a polygon is a list of x, y of three points or more")
    # Beyond these pycocotools would fill the memory; a little outside of the image it may go.
    if not all(abs(value) <= 2 * max(size) for polygon in polygons for value in polygon):
        raise ValueError("a polygon leaves the image")
    runs = coco.merge(coco.frPyObjects(polygons, *size))
    return np.asarray(coco.decode(runs), dtype=np.uint8)
