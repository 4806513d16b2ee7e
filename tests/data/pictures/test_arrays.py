from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

from lib.data.pictures.arrays import (
    ImageFile,
    UnusableImage,
    image_files,
    read_image,
    read_picture,
)
from lib.runtime.errors import InputError
from tests.conftest import SHAPE, tiny_image

PIXELS = tiny_image(5, nerve=True)[0]


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> ImageFile:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return ImageFile(path)


def save_dicom(
    path: Path,
    pixels: np.ndarray,
    patient: str = "Jane Doe",
    photometric: str = "MONOCHROME2",
    stored: int | None = None,
    **tags: Any,
) -> Path:
    """Pixels (height, width), (frames, height, width) or, for RGB, (height, width, 3)."""
    colour = photometric == "RGB"
    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.PatientID = data.PatientName = patient
    data.PhotometricInterpretation = photometric
    data.SamplesPerPixel = 3 if colour else 1
    if colour:
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    if pixels.ndim == 3 and not colour:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = 8 * pixels.dtype.itemsize
    data.BitsStored = stored or data.BitsAllocated
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_is_read_the_same_however_it_is_stored(tmp_path: Path, mode: str, suffix: str) -> None:
    picture = read_picture(save(tmp_path / f"image.{suffix}", PIXELS, mode))
    assert np.array_equal(picture.pixels, PIXELS)
    assert picture.kind.startswith("8-bit grey")


def test_colours_become_their_luminance(tmp_path: Path) -> None:
    pixels = np.zeros((4, 5, 3), dtype=np.uint8)
    pixels[0], pixels[1], pixels[2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    picture = read_picture(save(tmp_path / "image.png", pixels))
    assert picture.pixels[:, 0].tolist() == [76, 150, 29, 0]
    assert picture.kind == "8-bit colour as RGB"


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_from_the_depth_that_is_told(
    tmp_path: Path, bits: int, suffix: str
) -> None:
    pixels = np.linspace(0, 2**bits - 1, 300).reshape(15, 20).astype(np.uint16)
    file = save(tmp_path / f"image.{suffix}", pixels)._replace(bits=bits)
    picture = read_picture(file)
    assert picture.kind == f"16-bit grey, {bits} used"
    assert np.abs(picture.pixels - pixels * 255.0 / (2**bits - 1)).max() <= 0.5
    if bits > 8:
        with pytest.raises(UnusableImage, match=f"image_bits={bits - 1} is less than its {bits}"):
            read_picture(file._replace(bits=bits - 1))


def test_a_tif_whose_zero_is_white_is_turned_round(tmp_path: Path) -> None:
    pixels = np.arange(0, 4000, 100, dtype=np.uint16).reshape(5, 8)
    path = tmp_path / "image.tif"
    Image.fromarray(pixels).save(path, tiffinfo={262: 0})
    expected = 255 - np.rint(pixels * 255.0 / 65535)
    assert np.array_equal(read_image(ImageFile(path)), expected)


@pytest.mark.parametrize("name", ["image.png", "image.tif"])
def test_sixteen_bits_a_colour_are_refused(tmp_path: Path, name: str) -> None:
    pixels = np.full((4, 5, 3), 3000, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / name), pixels)
    with pytest.raises(UnusableImage, match="has 16 bits a colour"):
        read_image(ImageFile(tmp_path / name))


def truncated(path: Path) -> None:
    save(path, PIXELS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rotated(pixels: np.ndarray, orientation: int) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(pixels).save(path, exif=exif)

    return save


def two_pages(path: Path) -> None:
    Image.fromarray(PIXELS).save(path, save_all=True, append_images=[Image.fromarray(255 - PIXELS)])


def stack_that_lists_one(path: Path) -> None:
    Image.fromarray(PIXELS).save(path, tiffinfo={270: "ImageJ=1.54f\nimages=40\nslices=40\n"})


def half_transparent(path: Path) -> None:
    save(path, np.dstack([np.zeros((*SHAPE, 3), np.uint8), np.full(SHAPE, 128, np.uint8)]))


UNUSABLE: list[tuple[str, Callable[[Path], object], str]] = [
    ("a.png", lambda path: None, "the file is missing"),
    ("a.png", lambda path: path.write_bytes(b""), "not an image of a known format"),
    ("a.jpg", lambda path: path.write_text("<!doctype html><html>"), "not an image of a known"),
    ("a.tif", truncated, "truncated|its end is missing"),
    ("a.png", truncated, "truncated"),
    ("a.bmp", truncated, "truncated"),
    *(
        (name, rotated(pixels, how), f"is stored rotated .EXIF orientation {how}")
        for name in ("a.jpg", "a.png", "a.webp", "a.tif")
        for pixels, how in ((PIXELS, 3), (PIXELS[:60, :60], 6))
    ),
    ("a.png", two_pages, "2 pictures in one file"),
    ("a.webp", two_pages, "2 pictures in one file"),
    ("a.tif", stack_that_lists_one, "a stack of 40 pictures that lists 1: save it"),
    ("a.png", half_transparent, "has transparent pixels"),
    ("a.tif", lambda path: save(path, np.full(SHAPE, np.nan, np.float32)), "values of nan to nan"),
    ("a.tif", lambda path: save(path, np.full(SHAPE, 300.5, np.float32)), "of 300.5 to 300.5"),
    ("a.npy", lambda path: np.save(path, np.zeros((3, 4, 5), np.uint8)), "array of .height, width"),
    ("a.npy", lambda path: np.save(path, np.zeros((4, 5), np.int64)), "array of int64: save it as"),
    ("a.npy", lambda path: np.save(path, np.array([[{}]]), allow_pickle=True), "not an array that"),
    ("a.npy", lambda path: path.write_bytes(b"\x93NUMPY"), "not an array that can be read"),
    ("a.nii.gz", lambda path: path.write_bytes(b"no volume"), "not a volume that can be read"),
    ("a.tif", lambda path: save(path, np.full(SHAPE, -3, np.int32)), "holds values of -3 to -3"),
    ("a.tif", lambda path: save(path, np.full(SHAPE, 70_000, np.int32)), "70000: save it as grey"),
    ("a.dcm", lambda path: path.write_bytes(b"DICM"), "not a DICOM image that can be read"),
    ("a.dcm", lambda path: save(path.with_suffix(".png"), PIXELS).path.rename(path), "not a DICOM"),
]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(("name", "make", "complaint"), UNUSABLE)
def test_a_file_that_holds_no_usable_image_says_why(
    tmp_path: Path, name: str, make: Callable[[Path], object], complaint: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(UnusableImage, match=complaint):
        read_image(ImageFile(tmp_path / name))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_truncated_image_of_any_format_is_refused(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = tmp_path / f"image.{suffix}"
    compression = {"compression": "tiff_lzw"} if suffix == "tif" else {}
    Image.fromarray(PIXELS).save(path, **compression)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnusableImage):
        read_image(ImageFile(path))


def test_a_dicom_image_is_read_as_the_picture_it_holds(tmp_path: Path) -> None:
    save_dicom(tmp_path / "scan.dcm", PIXELS)
    (file,) = set(image_files(tmp_path).values())
    assert np.array_equal(read_image(file), PIXELS)


def test_the_frames_of_a_cine_loop_are_images_of_one_person_counted_from_1(tmp_path: Path) -> None:
    frames = np.stack([PIXELS, 255 - PIXELS, PIXELS // 2])
    save_dicom(tmp_path / "loop.dcm", frames)
    files = image_files(tmp_path)
    assert list(files) == ["loop_1", "loop_2", "loop_3"]
    for number, file in enumerate(files.values()):
        assert np.array_equal(read_image(file), frames[number])
    assert {file.subject for file in files.values()} == {"p1"}


def test_people_are_numbers_and_their_names_and_numbers_stay_in_the_file(tmp_path: Path) -> None:
    for name, patient in (("a", "Jane Doe"), ("b", "John Roe"), ("c", "Jane Doe")):
        save_dicom(tmp_path / f"{name}.dcm", PIXELS, patient)
    files = image_files(tmp_path)
    assert [files[name].subject for name in "abc"] == ["p1", "p2", "p1"]
    assert "Doe" not in str(files)


def test_nobody_is_told_where_the_patient_id_is_empty(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a.dcm", PIXELS, "")
    assert image_files(tmp_path)["a"].subject == ""


def test_a_dicom_file_needs_no_suffix(tmp_path: Path) -> None:
    save_dicom(tmp_path / "1.2.840.7", PIXELS)
    save_dicom(tmp_path / "IM0001", PIXELS)
    (tmp_path / "README").write_text("not an image")
    assert {file.path.name for file in image_files(tmp_path).values()} == {"1.2.840.7", "IM0001"}


def test_files_named_by_uids_are_images_of_that_name(tmp_path: Path) -> None:
    for name in ("1.2.840.7", "1.2.840.8"):
        save_dicom(tmp_path / name, PIXELS)
    assert list(image_files(tmp_path)) == ["1.2.840.7", "1.2.840.8"]


@pytest.mark.parametrize(
    ("pixels", "photometric", "stored", "expected"),
    [
        (255 - PIXELS, "MONOCHROME1", 8, PIXELS),
        (
            PIXELS.astype(np.uint16) * 16,
            "MONOCHROME2",
            12,
            np.rint(PIXELS.astype(float) * 16 * 255 / 4095),
        ),
        (PIXELS.astype(np.int16) - 128, "MONOCHROME2", 8, PIXELS),
        (np.repeat(PIXELS[..., None], 3, axis=2), "RGB", 8, PIXELS),
    ],
)
def test_dicom_of_other_kinds_gives_the_same_picture(
    tmp_path: Path, pixels: np.ndarray, photometric: str, stored: int, expected: np.ndarray
) -> None:
    save_dicom(tmp_path / "scan.dcm", pixels, photometric=photometric, stored=stored)
    assert np.array_equal(read_image(ImageFile(tmp_path / "scan.dcm")), expected)


def test_a_file_named_as_the_stem_of_another_is_an_error(tmp_path: Path) -> None:
    for name in ("a.png", "a.png.tif"):
        save(tmp_path / name, PIXELS)
    with pytest.raises(InputError, match=r"which one is image a.png"):
        image_files(tmp_path)


@pytest.mark.parametrize("other", ["a.tif", "A.png", "A.tif"])
def test_two_files_of_one_name_are_an_error(tmp_path: Path, other: str) -> None:
    for name in ("a.png", other):
        save(tmp_path / name, PIXELS)
    with pytest.raises(InputError, match="which one is image a"):
        image_files(tmp_path)


def test_letters_with_accents_are_one_name_however_they_are_written(tmp_path: Path) -> None:
    save(tmp_path / "Mu\u0308ller_é.png", PIXELS)
    assert "M\u00fcller_é.png" in image_files(tmp_path)
