"""Label Studio's JSON -> the labels of each image.

Format: https://labelstud.io/guide/task_format, all lengths in percent of the image's size.
"""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from lib.config.fields import Config
from lib.data.formats import collect
from lib.data.formats.brush import unpacked
from lib.data.formats.images import image_of
from lib.data.formats.polygon import ellipse, filled
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import PICTURE_SUFFIXES, ImageFile
from lib.data.pictures.tree import Tree, tree_of
from lib.rle import Mask
from lib.runtime.errors import InputError

NAME = "Label Studio"
OF_THE_WHOLE_IMAGE = {"choices", "textarea", "rating", "number", "datetime", "taxonomy", "labels"}


def find(tree: Tree) -> Path | None:
    return collect.one_or_root(tree, _files(tree))


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons, ellipses and the brush; a task that was submitted without a shape is empty."""
    by_image: dict[str, Label] = {}
    for file in _files(tree_of(path)) if path.is_dir() else [path]:
        tasks = collect.json_of(file)
        if not _is_label_studio(tasks):
            raise InputError(f"{file}: not {NAME}'s export named JSON")
        for task in tasks:
            label = Label(ours=True)
            collect.enter(by_image, image_of(_picture(task["data"]), files), label)
            with collect.errors_of(label):
                _add(label, task.get("annotations") or [])
    return collect.joined(by_image, path)


def _files(tree: Tree) -> list[Path]:
    found = collect.jsons_with(tree, "data", "annotations")
    return [path for path, content in found if _is_label_studio(content)]


def _is_label_studio(content: Any) -> bool:
    return (
        isinstance(content, list)
        and all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in content)
        and any(isinstance(task.get("annotations"), list) for task in content)
    )


def _picture(data: dict[str, Any]) -> str:
    """The task's value that names a picture; of an address without what else it asks for."""
    texts = [unquote(value) for value in data.values() if isinstance(value, str)]
    names = [text.rpartition("?d=")[2].partition("?")[0] for text in texts]
    pictures = [name for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES]
    return next(iter([*pictures, *names]), "")


def _add(label: Label, annotations: list[dict[str, Any]]) -> None:
    kept = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    kept = [annotation for annotation in kept if annotation.get("ground_truth")] or kept
    if len(kept) != 1:
        many = f"has {len(kept)} annotations: mark one as ground truth"
        label.error = many if kept else "was never annotated"
        return
    results = kept[0]["result"]
    classes = {r["id"]: _classes(r) for r in results if "id" in r and _classes(r)}
    for result in results:
        if result["type"] in OF_THE_WHOLE_IMAGE or "value" not in result:  # such as a relation
            continue
        size = int(result["original_height"]), int(result["original_width"])
        if result.get("image_rotation") or label.size not in (None, size):
            raise ValueError("it was drawn on a turned picture, or on one of another size")
        label.size = size
        mask = _mask(result, size)
        for name in _classes(result) or classes.get(result.get("id"), [""]):
            collect.draw(label, name, mask)


def _classes(result: dict[str, Any]) -> list[str]:
    """In a value such as `polygonlabels`, or `labels` in a result of its own of the same id."""
    value = result.get("value", {})
    return [name for key, names in value.items() if key.endswith("labels") for name in names]


def _mask(result: dict[str, Any], size: tuple[int, int]) -> Mask:
    value, kind = result["value"], result["type"].removesuffix("labels")
    percent = np.array(size[::-1]) / 100
    if kind == "polygon":
        return filled(np.asarray(value["points"], dtype=np.float64) * percent, size)
    if kind == "ellipse":
        x, y = (value["x"], value["y"]) * percent
        across, down = (value["radiusX"], value["radiusY"]) * percent
        return filled(ellipse(x, y, across, down, value.get("rotation", 0)), size)
    if kind == "brush":
        return unpacked(value["rle"], size)
    raise collect.no_mask("box" if kind == "rectangle" else kind)
