"""Files of tools that are not read: which tool, and the way out."""

from pathlib import Path

import pytest

from lib.data.formats import format_of
from lib.data.formats.refused import refused_in
from lib.data.layouts import load_settings
from lib.data.pictures.tree import tree_of
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY
from tests.data.formats.pictures import write_pictures

VOC = "<annotation><filename>a.png</filename><object><name>nerve</name>{}</object></annotation>"
FILES = {
    "panoptic.json": (
        '{"images": [{"id": 1}], "annotations": [{"image_id": 1, "segments_info": []}], '
        '"categories": []}',
        "COCO panoptic.*: export instances",
    ),
    "a.json": ('{"version": "2.0", "item": {"slots": []}, "annotations": []}', "V7 Darwin"),
    "old.json": ('{"image": {"workview_url": ""}, "annotations": []}', "V7 Darwin.*COCO"),
    "x.ndjson": ('{"data_row": {"id": "1"}, "projects": {}}\n', "Labelbox.*COCO"),
    "export.json": ('[{"Labeled Data": "a.png", "Label": {}}]', "Labelbox"),
    "datumaro.json": ('{"categories": {}, "items": [{"label_id": 0}]}', "Datumaro"),
    "encord.json": ('[{"data_hash": "1", "data_units": {}}]', "Encord.*COCO"),
    "super.json": ('{"metadata": {}, "instances": [{"className": "n"}]}', "SuperAnnotate"),
    "q.geojson": ('{"type": "Feature", "geometry": {}}', "QuPath or GeoJSON.*PNG"),
    "u.ndjson": ('{"type": "dataset", "class_names": {"0": "nerve"}}', "Ultralytics"),
    "boxes.xml": (VOC.format("<bndbox><xmin>1</xmin></bndbox>"), "Pascal VOC.*boxes are no masks"),
    "web.xml": (VOC.format("<polygon><pt><x>1</x></pt></polygon>"), "LabelMe's web tool"),
    "a.mat": ("MATLAB 5.0 MAT-file", "MATLAB.*imwrite"),
    "a.h5": ("x", "HDF5"),
    "a.npz": ("x", "numpy"),
    "a.roi": ("Iout", "ImageJ"),
    "task-1-annotation-2-by-3-tag-nerve-0.npy": ("x", "Label Studio's brush.*export as JSON"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_tool_and_the_way_out_are_named(tmp_path: Path, name: str) -> None:
    text, told = FILES[name]
    write_pictures(tmp_path / "images", "a.png", "b.png")
    (tmp_path / name).write_text(text)
    assert format_of(tree_of(tmp_path)) is None
    with pytest.raises(InputError, match=rf"{name} is of {told}"):
        load_settings(REPOSITORY / "config.yaml", [f"data={tmp_path}"])


def test_other_files_are_of_nobody(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"annotations": [], "image": 3}')
    (tmp_path / "voc.xml").write_text(VOC.format(""))
    (tmp_path / "nowhere.json").symlink_to(tmp_path / "none.json")
    assert refused_in(tree_of(tmp_path)) == ""
