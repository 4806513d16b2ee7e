"""The names that tools give images, and the sizes of pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.data.formats.parts.images import image_of, size_of
from lib.data.pictures.arrays import ImageFile
from tests.data.formats.pictures import files_in, write_pictures
from tests.data.pictures.test_arrays import save_dicom


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "images", "a.png", "0123abcd-b.png", "b.png")
    return tmp_path


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("a.png", "a.png"),
        ("a", "a.png"),
        ("images\\a.png", "a.png"),
        ("C:\\Users\\me\\images\\a.png", "a.png"),
        ("/data/upload/1/a.png", "a.png"),
        ("labels/../images/a.png", "a.png"),
        ("/data/upload/1/89abcdef-a.png", "a.png"),
        ("0123abcd-b.png", "0123abcd-b.png"),
        ("76543210-b.png", "b.png"),
        ("89abcdeg-a.png", "89abcdeg-a.png"),
        ("89abcde-a.png", "89abcde-a.png"),
        ("x89abcdef-a.png", "x89abcdef-a.png"),
        ("folder/none.png", "none.png"),
        ("a.jpg", "a.jpg"),
    ],
)
def test_an_image_is_found_under_every_name_that_a_tool_gives_it(
    root: Path, told: str, name: str
) -> None:
    assert image_of(told, files_in(root)) == name


def test_of_two_images_of_one_name_the_path_tells(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        write_pictures(tmp_path / part, "a.png")
    files = files_in(tmp_path)
    for part in ("train", "valid"):
        name = image_of(f"/somewhere/else/{part}/a.png", files)
        assert files[name].path == tmp_path / part / "a.png"


def test_accents_are_the_same_however_they_are_written(tmp_path: Path) -> None:
    files = {"n\u00e9rf.png": ImageFile(tmp_path / "n\u00e9rf.png")}
    assert image_of("ne\u0301rf.png", files) == "n\u00e9rf.png"


def test_the_size_is_that_of_the_picture_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (64, 48)).save(tmp_path / "turned.jpg", exif=exif)
    write_pictures(tmp_path, "plain.png")
    save_dicom(tmp_path / "scan.dcm", np.zeros((30, 20), dtype=np.uint8), "x")
    sizes = [size_of(ImageFile(tmp_path / n)) for n in ("turned.jpg", "plain.png", "scan.dcm")]
    assert sizes == [(64, 48), (48, 64), (30, 20)]


@pytest.mark.parametrize("name", ["broken.png", "broken.dcm", "missing.png"])
def test_the_size_of_what_is_no_picture_is_an_error(tmp_path: Path, name: str) -> None:
    if name != "missing.png":
        (tmp_path / name).write_text("<html>404</html>")
    with pytest.raises(ValueError, match="size of its picture cannot be read"):
        size_of(ImageFile(tmp_path / name))
