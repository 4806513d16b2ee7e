"""submission.csv: run lengths of the test images."""

import csv
import io
from pathlib import Path

from lib.runtime.files import written_whole

# Neither pandas nor torch: a check is done in less time than they take to load.

Key = tuple[str, str]  # image and class; the class is "" where there is only one

Table = dict[Key, str]  # run lengths, in the order of the rows

ONE_CLASS, CLASSES = ["img", "pixels"], ["img", "class_id", "pixels"]


def save(path: Path, table: Table) -> None:
    """Writes img,pixels, or img,class_id,pixels where the keys name classes."""
    named = {bool(name) for _, name in table}
    if len(named) > 1:
        raise ValueError("some rows name a class and some do not")
    columns = CLASSES if True in named else ONE_CLASS
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for (image, name), pixels in table.items():
        writer.writerow([image, name, pixels] if columns is CLASSES else [image, pixels])
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


def images_in(path: Path) -> set[str]:
    """The images that a submission tells of; none where it is damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row[0] for row in csv.reader(file) if row} - {"img"}
    except (UnicodeDecodeError, csv.Error):
        return set()
