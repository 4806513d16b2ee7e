"""A folder whose layout is not known -> the nearest layout, and what is missing for it."""

from collections import defaultdict
from pathlib import Path

from lib.data.formats import yolo
from lib.data.formats.refused import refused_in
from lib.data.masks.folders import sorted_out
from lib.data.masks.pairs import beside
from lib.data.masks.values import drawn
from lib.data.pictures.arrays import ImageFile, UnusableImage, images_of_file, is_picture, stem_of
from lib.data.pictures.tree import Tree
from lib.data.tables.cells import TABLES
from lib.data.tables.labels import told_by

OTHERS = (".json", ".xml", ".yaml")


def missing(tree: Tree) -> str:
    """A sentence that leads on, for a person."""
    pictures = [path for path in tree.files if is_picture(path)]
    if not pictures:
        return "it holds no picture of a known format"
    if refused := refused_in(tree):
        return refused
    if table := next((path for path in tree.ending(*TABLES) if not told_by(path)), None):
        return (
            f"nearest is a table of labels: {table.name} has no column of run lengths or of mask "
            "files by a usual name; name it, rle_mask_column=NAME with train_dataframe=TABLE"
        )
    if text := next(filter(yolo.is_label, tree.ending(".txt")), None):
        return (
            f"nearest is YOLO: {text.name} is of it, but no data.yaml or classes.txt names classes"
        )
    if pair := _pair_of_folders(pictures):
        return f"nearest are two folders of pictures: {_why_no_mask(*pair)}"
    if soft := _no_mask_beside(pictures):
        return f"nearest are masks beside images: {soft}"
    if other := next(iter(tree.ending(*OTHERS)), None):
        return (
            f"nearest is a labelling tool's file: {other.name} is of none that is known; export as "
            "COCO, or as mask pictures"
        )
    if sorted_out(tree).masks:
        return "nearest are folders of pictures and masks: no mask has the name of an image"
    return f"it holds {len(pictures)} pictures and no labels: no mask, no table, no tool's file"


def _pair_of_folders(pictures: list[Path]) -> tuple[Path, Path] | None:
    """A picture of each of two folders that have one of the same name."""
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        by_stem[stem_of(ImageFile(path))].append(path)
    return next(((of[0], of[1]) for of in by_stem.values() if len(of) == 2), None)


def _no_mask_beside(pictures: list[Path]) -> str:
    """Why a_mask.png beside a.png is none; "" where there is no such picture, or it is one."""
    places = {(path.parent, stem_of(ImageFile(path))): path for path in pictures}
    for (folder, _), path in places.items():
        stems = [stem for place, stem in places if place == folder]
        if stem_of(ImageFile(path)) in beside(stems):
            return _why_no_mask(path)
    return ""


def _why_no_mask(*paths: Path) -> str:
    reasons = []
    for path in paths:
        try:
            drawn(images_of_file(path)[0])
        except UnusableImage as error:
            reasons.append(f"{path.parent.name}/{path.name} is no mask, as it {error}")
    soft = [reason for reason in reasons if "probabilities" in reason]
    return "; ".join(soft or reasons) or "both hold masks, and none of them images"
