"""A project of VGG Image Annotator 3 -> entries of images, as version 2 writes them."""

from pathlib import Path
from typing import Any

from lib.data.formats.parts.collect import NOT_AS_EXPECTED
from lib.runtime.errors import InputError

Entry = dict[str, Any]  # filename, and regions with shape_attributes and region_attributes
KEYS = {"metadata", "view", "file", "attribute"}
# By number: the shape, and what its numbers are.
SHAPES = {
    1: ("point", ("cx", "cy")),
    2: ("rect", ("x", "y", "width", "height")),
    3: ("circle", ("cx", "cy", "r")),
    4: ("ellipse", ("cx", "cy", "rx", "ry")),
    7: ("polygon", ()),
}
SEVERAL_OPTIONS = 2  # the kind of an attribute of which several may be chosen: a checkbox


def entries_of(content: dict[str, Any], path: Path) -> list[Entry]:
    try:
        return _entries(content, path)
    except NOT_AS_EXPECTED as error:
        raise InputError(f"{path}: not a project as VIA 3 writes it ({error!r})") from None


def _entries(content: dict[str, Any], path: Path) -> list[Entry]:
    """Its views are of one image each; a region that has a time is of a video."""
    names = {str(key): file["fname"] for key, file in content["file"].items()}
    entries: dict[str, Entry] = {}
    for key, view in content["view"].items():
        first, *more = view["fid_list"]
        if more:
            raise InputError(f"{path}: a view shows several files: make a project of one in each")
        entries[str(key)] = {"filename": names[str(first)], "regions": []}
    for region in content["metadata"].values():
        if region["z"]:
            raise InputError(f"{path}: holds marks in a video: mark its frames as images")
        if region["xy"]:
            told = _attributes(region["av"], content["attribute"])
            shape = _shape(region["xy"])
            entry = entries[str(region["vid"])]
            entry["regions"].append({"shape_attributes": shape, "region_attributes": told})
    return list(entries.values())


def _shape(numbers: list[float]) -> dict[str, Any]:
    number, *values = numbers
    name, keys = SHAPES.get(int(number), ("line", ()))
    if name == "polygon":
        return {"name": name, "all_points_x": values[::2], "all_points_y": values[1::2]}
    return {"name": name, **dict(zip(keys, values, strict=False))}


def _attributes(told: dict[str, str], known: dict[str, Any]) -> dict[str, Any]:
    """By name, and the options that were chosen by theirs."""
    found: dict[str, Any] = {}
    for key, value in told.items():
        attribute = known[key]
        options = attribute.get("options") or {}
        if attribute["type"] == SEVERAL_OPTIONS:
            chosen = [options.get(one, one) for one in value.split(",") if one]
            found[attribute["aname"]] = dict.fromkeys(chosen, True)
        else:
            found[attribute["aname"]] = options.get(value, value)
    return found
