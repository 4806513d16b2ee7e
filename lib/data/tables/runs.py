"""Run lengths of a table in one form: pairs of start and length, each image's rows joined."""

from collections import Counter
from collections.abc import Mapping

from lib.config.fields import Config
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile, UnusableImage, read_image
from lib.data.tables import run_lengths
from lib.runtime.errors import InputError

RELATIVE_AT_LEAST = 3  # masks: one that does not ascend may be a slip
SIZES_CHECKED = 20  # images whose size tells whether such masks fit


def settle_runs(labels: Labels, config: Config, files: Mapping[str, ImageFile]) -> None:
    """Cells of every form -> pairs; then what only all rows together tell."""
    for label in labels.by_image.values():
        for cells in label.runs.values():
            cells[:] = _pairs(label, cells, config)
    _read_relative(labels, files)
    _join(labels)


def _pairs(label: Label, cells: list[str], config: Config) -> list[str]:
    pairs = []
    for cell in cells:
        try:
            text, size = run_lengths.pairs_of(cell, config)
        except run_lengths.RunLengthError as error:
            label.error = label.error or str(error)
            continue
        if size and label.size not in (None, size):
            label.error = f"its cells tell two sizes, {label.size} and {size}"
        label.size = size or label.size
        pairs.append(text)
    return pairs


def _read_relative(labels: Labels, files: Mapping[str, ImageFile]) -> None:
    """Starts that count from the end of the run before, where the table has such."""
    masks = {
        text: image
        for image, label in labels.by_image.items()
        for texts in label.runs.values()
        for text in texts
        if len(run_lengths.numbers_in(text)) > 2
    }
    falling = {text: image for text, image in masks.items() if not run_lengths.is_ascending(text)}
    if len(falling) < max(RELATIVE_AT_LEAST, len(masks) / 2) or not _fit(falling, files):
        return
    relative = "starts count from the end of the run before: relative run lengths"
    if len(falling) < len(masks):
        ascending = next(image for text, image in masks.items() if text not in falling)
        raise InputError(
            f"{labels.origin}: in {len(falling)} of {len(masks)} masks {relative}; in the others, "
            f"such as that of {ascending}, they ascend: write all starts as counted from the first "
            "pixel, by adding up each run length and the start behind it"
        )
    print(f"{labels.origin}: {relative}, as in SIIM-ACR; they are read so")
    for label in labels.by_image.values():
        for texts in label.runs.values():
            texts[:] = [run_lengths.cumulated(t) if t in falling else t for t in texts]


def _fit(falling: Mapping[str, str], files: Mapping[str, ImageFile]) -> bool:
    """Whether masks of relative starts stay inside of their pictures, of which some are read."""
    inside: list[bool] = []
    for text, image in falling.items():
        if image in files and len(inside) < SIZES_CHECKED:
            try:
                pixels = read_image(files[image]).size
            except UnusableImage:
                continue
            inside.append(run_lengths.end_of(run_lengths.cumulated(text)) <= pixels + 1)
    return all(inside)


def _join(labels: Labels) -> None:
    """Several rows of one image and class are parts of one mask, where they do not overlap."""
    rows: Counter[str] = Counter()
    for image, label in labels.by_image.items():
        for name, texts in label.runs.items():
            told = [text for text in texts if text]
            if len(told) < 2:
                continue
            rows[image] += 1
            if run_lengths.two_that_overlap(told) and not label.error:
                label.error = (
                    f"has two rows whose masks of {name} overlap: two readers? Keep one's rows"
                )
    joined = [image for image in rows if not labels.by_image[image].error]
    if joined:
        print(
            f"{labels.origin}: {len(joined)} images have several rows: their masks are joined "
            f"({joined[0]} ...)"
        )
