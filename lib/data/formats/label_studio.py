"""Label Studio's JSON -> the labels of each image.

Format: https://labelstud.io/guide/task_format.
"""

from pathlib import Path
from typing import Any

from lib.config.fields import Config
from lib.data.formats.parts import collect
from lib.data.formats.parts.classes import joined
from lib.data.formats.parts.label_studio_results import draw_regions, image_told
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile
from lib.data.pictures.tree import Tree, tree_of
from lib.runtime.errors import InputError

NAME = "Label Studio"
WORDS = ("annotations", "completions")  # the second before version 1.0


def find(tree: Tree) -> Path | None:
    return collect.one_or_root(tree, _files(tree))


def read(path: Path, files: dict[str, ImageFile], config: Config) -> Labels:
    """Polygons, ellipses, brush and bitmask; a task that was submitted without a shape is empty."""
    by_image: dict[str, Label] = {}
    for file in _files(tree_of(path)) if path.is_dir() else [path]:
        tasks = collect.json_of(file)
        if not _is_label_studio(tasks):
            raise InputError(f"{file}: not {NAME}'s export named JSON")
        for task in tasks:
            image, error = image_told(task["data"], files)
            label = Label(ours=True, error=error)
            collect.enter(by_image, image, label)
            with collect.errors_of(label):
                if counted := _one(label, _annotations(task) or []):
                    draw_regions(label, counted["result"])
    return joined(by_image, path)


def _files(tree: Tree) -> list[Path]:
    return [
        path
        for word in WORDS
        for path, content in collect.jsons_with(tree, "data", word)
        if _is_label_studio(content)
    ]


def _is_label_studio(content: Any) -> bool:
    return (
        isinstance(content, list)
        and all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in content)
        and any(isinstance(_annotations(task), list) for task in content)
    )


def _annotations(task: dict[str, Any]) -> Any:
    return next((task[word] for word in WORDS if word in task), None)


def _one(label: Label, annotations: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The annotation that counts."""
    skipped = ("was_cancelled", "skipped")
    kept = [one for one in annotations if not any(map(one.get, skipped))]
    kept = [one for one in kept if one.get("ground_truth")] or kept
    if len(kept) == 1:
        return kept[0]
    many = f"has {len(kept)} annotations: mark one as ground truth"
    label.error = many if kept else "was never annotated"
    return None
