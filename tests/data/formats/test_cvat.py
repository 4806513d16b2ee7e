"""CVAT for images -> labels."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.config.fields import Config
from lib.data.formats import cvat
from lib.data.pictures.tree import tree_of
from lib.runtime.errors import InputError
from tests.data.formats.pictures import (
    ANGLE,
    ANGLE_MASK,
    BOX,
    BOX_MASK,
    assert_error_of_a_alone,
    assert_mask,
    assert_two_classes,
    disc,
    files_in,
    is_near,
    mask_of,
    read,
    write_pictures,
)

META = "<version>1.1</version><meta><task><id>3</id><labels><label><name>nerve</name></label>"
META += "</labels></task></meta>"


def polygon(points: Sequence[tuple[float, float]], label: str = "nerve") -> str:
    told = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon label="{label}" source="manual" occluded="0" points="{told}" z_order="0"/>'


def mask(part: np.ndarray, left: int, top: int) -> str:
    """As CVAT packs it: in rows, how many are outside, how many inside, and so on."""
    lengths = [len(list(run)) for _, run in groupby(part.ravel().tolist())]
    if part.ravel()[0]:
        lengths.insert(0, 0)
    runs = ", ".join(map(str, lengths))
    height, width = part.shape
    place = f'left="{left}" top="{top}" width="{width}" height="{height}"'
    return f'<mask label="nerve" source="semi-auto" occluded="0" rle="{runs}" {place} z_order="0"/>'


def image(name: str, *shapes: str) -> str:
    return f'<image id="0" name="{name}" width="64" height="48">{"".join(shapes)}</image>'


def write(root: Path, *images: str, name: str = "annotations.xml") -> Path:
    write_pictures(root / "images", "a.png", "b.png")
    head = '<?xml version="1.0" encoding="utf-8"?>'
    (root / name).write_text(f"{head}<annotations>{META}{''.join(images)}</annotations>")
    return root


def test_polygons_of_two_classes_and_an_image_without_any_are_read(tmp_path: Path) -> None:
    shapes = [polygon(ANGLE), polygon(BOX), polygon(BOX, "vessel")]
    write(tmp_path, image("a.png", *shapes), image("train\\b.png", '<tag label="good"/>'))
    assert cvat.find(tree_of(tmp_path)) == tmp_path / "annotations.xml"
    labels = read(cvat, tmp_path)
    assert_two_classes(labels)


def test_run_lengths_are_read_by_rows_in_their_box(tmp_path: Path) -> None:
    """A box of 3 rows and 4 columns whose first pixel is at column 60, row 45, the last corner."""
    runs = '<mask label="nerve" rle="1, 2, 1, 4, 3, 1" left="60" top="45" width="4" height="3"/>'
    write(tmp_path, image("a.png", runs))
    found = mask_of(read(cvat, tmp_path).by_image["a.png"])
    assert found[45:, 60:].tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]]
    assert found.sum() == 7


@given(st.integers(0, 2**32 - 1))
def test_any_mask_comes_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 9, 2)
    part = random.integers(0, 2, (height, width)).astype(np.uint8)
    told = dict(ElementTree.fromstring(mask(part, 5, 7)).attrib)
    found = cvat._unrolled(told, (20, 20))
    assert np.array_equal(found[7 : 7 + height, 5 : 5 + width], part)
    assert found.sum() == part.sum()


def test_a_mask_and_a_polygon_of_one_class_are_one_mask(tmp_path: Path) -> None:
    write(tmp_path, image("a.png", mask(BOX_MASK[18:27, 39:51], 39, 18), polygon(ANGLE)))
    assert_mask(read(cvat, tmp_path).by_image["a.png"], ANGLE_MASK | BOX_MASK)


@pytest.mark.parametrize("turned", [0, 40])
def test_an_ellipse_turns_clockwise(tmp_path: Path, turned: float) -> None:
    about = f'cx="32.0" cy="24.0" rx="16.0" ry="8.0" rotation="{turned}"'
    write(tmp_path, image("a.png", f'<ellipse label="nerve" {about} z_order="0"/>'))
    found = mask_of(read(cvat, tmp_path).by_image["a.png"])
    assert is_near(found, disc(32, 24, 16, 8, turned))


PLACE = 'left="0" top="0" width="4" height="3"'
BAD = [
    ('<box label="nerve" xtl="1" ytl="1" xbr="9" ybr="9"/>', "a box, and a box is no mask"),
    ('<polyline label="nerve" points="1,1;9,9"/>', "a polyline is no mask"),
    (polygon([(1, 1), (9, 9)]), "three points or more"),
    (polygon([(1, 1), (9, 9), (9, 200)]), "9, 200 is far outside"),
    ('<polygon label="nerve" points="1,1;9"/>', "inhomogeneous"),
    ('<polygon points="1,1;9,1;9,9"/>', "it lacks 'label'"),
    (f'<mask label="nerve" rle="5, 6" {PLACE}/>', "cover 11 of 12 pixels"),
    (f'<mask label="nerve" rle="14, -2" {PLACE}/>', "lengths is below 0"),
    (
        '<mask label="nerve" rle="12" left="61" top="0" width="4" height="3"/>',
        "leaves the image",
    ),
    ('<mask label="nerve" rle="12" left="0" top="46" width="4" height="3"/>', "leaves the image"),
]


@pytest.mark.parametrize(("wrong", "complaint"), BAD)
def test_what_is_no_mask_is_the_error_of_its_image_alone(
    tmp_path: Path, wrong: str, complaint: str
) -> None:
    write(tmp_path, image("a.png", wrong), image("b.png", polygon(ANGLE)))
    assert_error_of_a_alone(read(cvat, tmp_path), complaint)


@pytest.mark.parametrize("name", ["background", "_background_", "__ignore__"])
def test_the_background_is_no_class_and_perhaps_a_hole(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = [(12, 7), (18, 7), (18, 12), (12, 12)]
    everything = [(0, 0), (64, 0), (64, 48), (0, 48)]
    write(
        tmp_path,
        image("a.png", polygon(ANGLE), polygon(inner, name)),
        image("b.png", polygon(everything, name), polygon(ANGLE), polygon(BOX, name)),
    )
    labels = read(cvat, tmp_path)
    assert labels.classes == ["nerve"]
    assert_error_of_a_alone(labels, "covers part of nerve: is it a hole?")
    assert "3 annotations are of the background" in capsys.readouterr().out


def test_images_of_one_name_are_told_apart_by_the_subset_of_a_project(tmp_path: Path) -> None:
    shapes = {"train": ANGLE, "val": BOX}
    for part in shapes:
        write_pictures(tmp_path / part, "1.png")
    images = {part: image("1.png", polygon(shape)) for part, shape in shapes.items()}
    write(tmp_path, *(text.replace(" id=", f' subset="{p}" id=') for p, text in images.items()))
    files, labels = files_in(tmp_path), read(cvat, tmp_path)
    found = {files[name].path.parent.name: label for name, label in labels.by_image.items()}
    assert_mask(found["train"], ANGLE_MASK)
    assert_mask(found["val"], BOX_MASK)


def test_several_exports_are_read_together_and_an_image_in_two_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, image("a.png", polygon(ANGLE)))
    write(tmp_path, image("a.png"), image("b.png"), name="second.xml")
    assert cvat.find(tree_of(tmp_path)) == tmp_path
    labels = read(cvat, tmp_path)
    assert "in two files" in labels.by_image["a.png"].error
    assert not labels.by_image["b.png"].error


def test_the_export_of_a_video_says_which_export_to_take(tmp_path: Path) -> None:
    write(tmp_path, f'<track id="0" label="nerve">{polygon(ANGLE)}</track>')
    with pytest.raises(InputError, match=r"annotations\.xml: .* export it as CVAT for images"):
        read(cvat, tmp_path)


def test_xml_of_other_tools_is_not_found_and_a_broken_file_is_named(tmp_path: Path) -> None:
    voc = "<annotation><filename>a.png</filename><object><name>nerve</name></object></annotation>"
    (tmp_path / "voc.xml").write_text(voc)
    (tmp_path / "feed.xml").write_text("<rss><channel><image/></channel></rss>")
    (tmp_path / "broken.xml").write_text("<annotations><meta>")
    assert cvat.find(tree_of(tmp_path)) is None
    with pytest.raises(InputError, match=r"broken\.xml: not an XML file"):
        cvat.read(tmp_path / "broken.xml", files_in(tmp_path), Config())
