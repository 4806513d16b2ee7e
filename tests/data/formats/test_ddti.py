"""DDTI -> labels."""

import json
from pathlib import Path
from typing import Any

import pytest

from lib.data.formats import ddti
from lib.data.pictures.tree import tree_of
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX,
    BOX_MASK,
    assert_mask,
    read,
    write_pictures,
)


def outline(points: list[tuple[float, float]], kind: str = "freehand") -> dict[str, Any]:
    return {"points": [{"x": x, "y": y} for x, y in points], "annotation": {}, "regionType": kind}


def write(root: Path, number: str, *marks: tuple[str, Any]) -> Path:
    """A case, and a picture for each image that a mark names."""
    write_pictures(root, *(f"{number}_{image}.jpg" for image, _ in marks))
    told = "".join(
        f"<mark>\n<image>{image}</image>\n<svg>{json.dumps(svg) if svg else ''}</svg></mark>"
        for image, svg in marks
    )
    (root / f"{number}.xml").write_text(
        f"<case><number>{number}</number><age>50</age>{told}</case>"
    )
    return root


def test_outlines_are_read_by_image_and_the_case_is_the_person(tmp_path: Path) -> None:
    write(tmp_path, "1", ("1", [outline(ANGLE)]), ("2", [outline(BOX)]), ("1", [outline(BOX)]))
    write(tmp_path, "12", ("1", [outline(BOX), outline(ANGLE)]))
    assert ddti.find(tree_of(tmp_path)) == tmp_path
    labels = read(ddti, tmp_path)
    assert labels.classes == ["nerve"]
    assert {name: label.subject for name, label in labels.by_image.items()} == {
        "1_1.jpg": "1",
        "1_2.jpg": "1",
        "12_1.jpg": "12",
    }
    assert_mask(labels.by_image["1_1.jpg"], ANGLE_MASK | BOX_MASK)
    assert_mask(labels.by_image["1_2.jpg"], BOX_MASK)
    assert_mask(labels.by_image["12_1.jpg"], ANGLE_MASK | BOX_MASK)


BAD = [
    (None, "has no outline"),
    ([outline(ANGLE, "rectangle")], "a rectangle is no mask"),
    ([outline([(1, 1), (9, 9)])], "three points or more"),
    ("text", "string indices|has no attribute"),
]


@pytest.mark.parametrize(("svg", "complaint"), BAD)
def test_what_is_no_outline_is_the_error_of_its_image_alone(
    tmp_path: Path, svg: Any, complaint: str
) -> None:
    write(tmp_path, "1", ("1", svg), ("2", [outline(ANGLE)]))
    labels = read(ddti, tmp_path)
    assert any(words in labels.by_image["1_1.jpg"].error for words in complaint.split("|"))
    assert_mask(labels.by_image["1_2.jpg"], ANGLE_MASK)
