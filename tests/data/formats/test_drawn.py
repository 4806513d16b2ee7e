"""The tools' own libraries draw the same (drawn.json, of benchmarks/labelling_tools.py)."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from lib.data.formats import Format, cvat, label_studio, label_studio_min, labelme, yolo
from tests.data.formats.pictures import SHAPE, assert_mask, is_near, mask_of, read, write_pictures

DRAWN = json.loads(Path(__file__).with_name("drawn.json").read_text())
# The reader, the tool, its files, and by how many pixels it draws the edge of an outline elsewhere:
# Pillow and OpenCV count every pixel that a line touches, and supervision cuts off fractions.
READ: list[tuple[Format, str, str, int]] = [
    (labelme, "labelme", ".json", 1),
    (label_studio, "label-studio-sdk", "project.json", 0),
    (label_studio_min, "label-studio-sdk", "result.json", 0),
    (label_studio_min, "label-studio-sdk", "result.csv", 0),
    (cvat, "datumaro", ".xml", 1),
    (yolo, "supervision", "", 2),
]


@pytest.mark.parametrize(("reader", "tool", "ending", "edge"), READ)
def test_masks_are_those_that_the_tools_own_library_draws(
    tmp_path: Path, reader: Format, tool: str, ending: str, edge: int
) -> None:
    texts, masks = DRAWN[tool]["texts"], DRAWN[tool]["masks"]
    write_pictures(tmp_path / "images", *(f"{name}.png" for name in masks))
    for name, text in texts.items():
        if name.endswith(ending):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    labels = {Path(name).stem: label for name, label in read(reader, tmp_path).by_image.items()}
    assert labels.keys() == masks.keys()
    for name, text in masks.items():
        bits = np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8))
        drawn = bits.reshape(SHAPE)
        assert drawn.any()
        if name.startswith(("polygon", "circle")):
            assert is_near(mask_of(labels[name]), drawn, edge), name
        else:
            assert_mask(labels[name], drawn)
