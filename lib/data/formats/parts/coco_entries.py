"""A file of COCO -> its lists, of which each entry has what the format asks for."""

from pathlib import Path
from typing import Any

from lib.data.formats.parts.collect import json_of
from lib.runtime.errors import InputError

KEYS: dict[str, dict[str, Any]] = {
    "images": {"id": (int, str), "file_name": str, "height": int, "width": int},
    "annotations": {"image_id": (int, str), "category_id": (int, str)},
    "categories": {"id": (int, str), "name": str},
}


def checked(path: Path) -> dict[str, Any]:
    content = json_of(path)
    for part, kinds in KEYS.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise InputError(f"{path}: not COCO: a list {part!r} was expected")
        for number, entry in enumerate(entries):
            found = entry if isinstance(entry, dict) else {}
            wrong = [key for key, kind in kinds.items() if not isinstance(found.get(key), kind)]
            if wrong:
                raise InputError(f"{path}: entry {number} of {part} lacks {', '.join(wrong)}")
    return content


def by_id(content: dict[str, Any], part: str, path: Path) -> dict[str, dict[str, Any]]:
    """Tools write an id as a number in one place and as a text in another."""
    found: dict[str, dict[str, Any]] = {}
    for entry in content[part]:
        key = str(entry["id"])
        if key in found:
            raise InputError(f"{path}: two of {part} have the id {key}")
        found[key] = entry
    return found
