"""COCO's instances, in one file or one a split -> the labels of each image.

Format: https://cocodataset.org/#format-data.
"""

from pathlib import Path
from typing import Any

from lib.config.fields import Config
from lib.data.formats.parts import collect
from lib.data.formats.parts.classes import is_no_class, joined
from lib.data.formats.parts.coco_entries import by_id, checked
from lib.data.formats.parts.coco_mask import coco_mask
from lib.data.formats.parts.coco_told import box_of, require_as_told, require_no_hole
from lib.data.formats.parts.images import image_of
from lib.data.label import ONE_CLASS, Label, Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree, tree_of
from lib.data.tables.cells import text_of
from lib.runtime.errors import InputError

NAME = "COCO"


def find(tree: Tree) -> Path | None:
    return collect.one_or_root(tree, _files(tree))


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons, uncompressed and compressed run lengths, joined by the category's name.

    A subject is told by a key of the image's entry that is named as group_fold_column.
    """
    by_image: dict[str, Label] = {}
    unused: set[str] = set()
    for file in _files(tree_of(path)) if path.is_dir() else [path]:
        content = checked(file)
        entries = by_id(content, "images", file)
        categories = by_id(content, "categories", file)
        names = {key: entry["name"].strip() for key, entry in categories.items()}
        labels = {key: _label(entry, config) for key, entry in entries.items()}
        for key, label in labels.items():
            image = str(file.parent / entries[key]["file_name"])
            collect.enter(by_image, image_of(image, files), label)
        _add_annotations(content["annotations"], labels, names, file)
        unused |= {name for name in names.values() if not is_no_class(name)}
    return joined(by_image, path, min(unused, default=ONE_CLASS))


def _files(tree: Tree) -> list[Path]:
    found = collect.jsons_with(tree, "images", "annotations")
    return [path for path, content in found if _is_coco(content)]


def _is_coco(content: Any) -> bool:
    """Not COCO panoptic, which lib/data/formats/refused.py tells of."""
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        return False
    told = content["annotations"]
    return not (isinstance(told, list) and told and "segments_info" in told[0])


def _label(entry: dict[str, Any], config: Config) -> Label:
    told = str(text_of(entry.get(config.group_fold_column)))
    return Label(
        subject=told,
        group=told,
        fold=str(text_of(entry.get(config.fold_column))),
        size=(entry["height"], entry["width"]),
        ours=True,
    )


def _add_annotations(
    annotations: list[dict[str, Any]], labels: dict[str, Label], names: dict[str, str], path: Path
) -> None:
    for annotation in annotations:
        for key, there in (("image_id", labels), ("category_id", names)):
            if str(annotation[key]) not in there:
                raise InputError(
                    f"{path}: an annotation has {key} {annotation[key]}, which is not there"
                )
        label = labels[str(annotation["image_id"])]
        with collect.errors_of(label):
            _add(label, names[str(annotation["category_id"])], annotation)


def _add(label: Label, name: str, annotation: dict[str, Any]) -> None:
    assert label.size is not None
    segmentation = annotation.get("segmentation")
    if not segmentation and box_of(annotation):
        raise ValueError("an annotation has a box and no outline: a box is no mask")
    mask = coco_mask(segmentation, label.size)
    require_as_told(mask, annotation)
    require_no_hole(mask, annotation)
    collect.draw(label, name, mask)
