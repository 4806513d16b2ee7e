"""The names that a tool gives outlines -> classes, the same for each image."""

from collections import Counter
from pathlib import Path

import numpy as np

from lib import rle
from lib.data.label import ONE_CLASS, Label, Labels, all_told


def is_no_class(name: str) -> bool:
    """Whether a name, such as LabelMe's _background_ and __ignore__, is that of no class."""
    return name.strip("_ ").casefold() in ("background", "ignore")


def joined(by_image: dict[str, Label], origin: Path, unused: str = ONE_CLASS) -> Labels:
    """All labels, with every class for each image; `unused` is the class where none is drawn."""
    _leave_out_background(by_image, origin)
    _unite_spellings(by_image)
    classes = sorted({name for label in by_image.values() for name in label.runs} - {""})
    for label in by_image.values():
        if "" not in label.runs:
            continue
        if len(classes) > 1:
            label.error = f"has an outline without a class, and there are {', '.join(classes)}"
        label.runs.setdefault(classes[0] if classes else unused, []).extend(label.runs.pop(""))
    return Labels(by_image, all_told(by_image, classes or [unused]), str(origin))


def _unite_spellings(by_image: dict[str, Label]) -> None:
    """Nerve and nerve are one class, called as most of its outlines are; that is told."""
    counts = Counter(name for label in by_image.values() for name in label.runs if name)
    spellings: dict[str, list[str]] = {}
    for name, _ in counts.most_common():
        spellings.setdefault(name.casefold(), []).append(name)
    for usual, *others in spellings.values():
        for other in others:
            print(f"classes        {other} and {usual} are taken for one, {usual}")
            for label in by_image.values():
                if other in label.runs:
                    label.runs.setdefault(usual, []).extend(label.runs.pop(other))


def _leave_out_background(by_image: dict[str, Label], origin: Path) -> None:
    """An outline of no class is left out; one that covers part of another may be a hole in it."""
    left_out = 0
    for label in by_image.values():
        names = [name for name in label.runs if is_no_class(name)]
        above = [text for name in names for text in label.runs.pop(name)]
        left_out += len(above)
        if not above or label.size is None:
            continue
        for name, texts in label.runs.items():
            own, other = _united(texts, label.size), _united(above, label.size)
            if 0 < (own & other).sum() < own.sum():
                label.error = f"an outline of the background covers part of {name}: is it a hole?"
    if left_out:
        print(f"{origin}: {left_out} annotations are of the background, and are left out")


def _united(texts: list[str], size: tuple[int, int]) -> rle.Mask:
    return np.bitwise_or.reduce([rle.decode(text, size) for text in texts])
