"""Files of tools that are not read -> which tool's they are, and which export to choose."""

import re
from pathlib import Path
from typing import NamedTuple

from lib.data.pictures.tree import Tree

BRUSH = re.compile(r"task-\d+-annotation-\d+-by-")
BEGINNING = 1_000_000  # bytes of a file that are looked at


class Refused(NamedTuple):
    tool: str
    suffixes: tuple[str, ...]
    words: tuple[str, ...]  # that all stand in such a file
    way_out: str


COCO = "export as COCO"
PICTURES = "save each mask as a PNG of the image's name, 0 and 255, in a folder of its own"
KNOWN = (
    Refused("COCO panoptic", (".json",), ('"segments_info"',), "export instances, not panoptic"),
    Refused("V7 Darwin", (".json",), ('"annotations"', '"item"', '"slots"'), COCO),
    Refused("V7 Darwin", (".json",), ('"annotations"', '"image"', '"workview_url"'), COCO),
    Refused(
        "Labelbox", (".json", ".ndjson"), ('"data_row"', '"projects"'), f"{COCO} (labelbox SDK)"
    ),
    Refused("Labelbox", (".json",), ('"Labeled Data"',), f"{COCO} (labelbox SDK)"),
    Refused("Datumaro", (".json",), ('"categories"', '"items"', '"label_id"'), COCO),
    Refused("Encord", (".json",), ('"data_hash"', '"data_units"'), COCO),
    Refused("SuperAnnotate", (".json",), ('"instances"', '"metadata"', '"className"'), COCO),
    Refused("QuPath or GeoJSON", (".json", ".geojson"), ('"Feature"', '"geometry"'), PICTURES),
    Refused("Ultralytics' NDJSON", (".ndjson",), ('"class_names"',), "export as YOLO or COCO"),
    Refused(
        "Pascal VOC",
        (".xml",),
        ("<annotation", "<object>", "<bndbox>"),
        "its boxes are no masks: export SegmentationClass, or COCO with outlines",
    ),
    Refused(
        "LabelMe's web tool",
        (".xml",),
        ("<annotation", "<object>", "<pt>"),
        "open it in a newer tool and export as COCO",
    ),
    Refused("MATLAB", (".mat",), (), f"{PICTURES}: imwrite(255 * uint8(mask), 'a.png')"),
    Refused("HDF5", (".h5", ".hdf5"), (), PICTURES),
    Refused("numpy", (".npz", ".pkl"), (), f"{PICTURES}, or as .npy"),
    Refused("ImageJ", (".roi",), (), PICTURES),
)


def refused_in(tree: Tree) -> str:
    """A sentence about the first such file, for a person; "" where there is none."""
    for path in tree.files:
        if BRUSH.match(path.name):
            return f"{path.name} is of Label Studio's brush, and names no image: export as JSON"
        for one in KNOWN:
            if path.suffix.lower() in one.suffixes and _holds(path, one.words):
                return f"{path.name} is of {one.tool}, which is not read: {one.way_out}"
    return ""


def _holds(path: Path, words: tuple[str, ...]) -> bool:
    if not words:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(BEGINNING)
    return all(word.encode() in beginning for word in words)
