"""How grey of more than 8 bits is shown, who is who, and what a scanner's header tells."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_windowing
from pydicom.uid import UID, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless

from lib.data.pictures.arrays import (
    ImageFile,
    UnusableImage,
    dicom,
    image_files,
    raw_values,
    read_image,
    read_picture,
    spacing_of,
)
from lib.data.pictures.dicom_notes import notes_on, person_note, screen_note
from tests.data.pictures.test_arrays import PIXELS, save_dicom

TEN_BITS = PIXELS.astype(np.uint16) * 4


def lossless(pixels: np.ndarray) -> bytes:
    """JPEG of ISO 10918-1 Annex H: predictor 1, one table with codes of 4 bits, 1 or 3 colours."""
    values = np.atleast_3d(pixels).astype(int)
    height, width, colours = values.shape
    told = np.empty_like(values)
    told[:, 1:], told[1:, 0], told[0, 0] = values[:, :-1], values[:-1, 0], 128
    bits = ""
    for apart in (values - told).ravel().tolist():
        size = abs(apart).bit_length()
        bits += f"{size:04b}"
        if size:
            bits += f"{apart if apart > 0 else apart + (1 << size) - 1:0{size}b}"
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    names = range(1, colours + 1)
    frame = b"\x08" + size + bytes([colours, *(b for n in names for b in (n, 0x11, 0))])
    scan = bytes([colours, *(b for n in names for b in (n, 0)), 1, 0, 0])
    table = bytes([0, 0, 0, 0, 9, *[0] * 12, *range(9)])
    parts = segment(0xC3, frame) + segment(0xC4, table) + segment(0xDA, scan)
    return b"\xff\xd8" + parts + data.replace(b"\xff", b"\xff\0") + b"\xff\xd9"


def save_lossless(path: Path, frames: list[np.ndarray], syntax: UID = JPEGLosslessSV1) -> Path:
    colour = frames[0].ndim == 3
    save_dicom(path, frames[0], photometric="RGB" if colour else "MONOCHROME2")
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = syntax
    data.NumberOfFrames = len(frames)
    data.PixelData = encapsulate([lossless(frame) for frame in frames])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    return path


def region(**tags: Any) -> pydicom.Dataset:
    one = pydicom.Dataset()
    told: dict[str, Any] = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "PhysicalUnitsXDirection": 3,
    }
    told |= {"PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3}
    told |= {"PhysicalDeltaX": 0.01, "PhysicalDeltaY": -0.02}
    told |= {f"RegionLocation{name}": value for name, value in REGION.items()}
    for name, value in (told | tags).items():
        setattr(one, name, value)
    return one


REGION = {"MinX0": 10, "MaxX1": 69, "MinY0": 5, "MaxY1": 44}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_grey_of_more_than_8_bits_is_shown_through_its_window(
    tmp_path: Path, photometric: str
) -> None:
    stored = 1023 - TEN_BITS if photometric == "MONOCHROME1" else TEN_BITS
    path = save_dicom(
        tmp_path / "a.dcm",
        stored,
        photometric=photometric,
        WindowCenter="511.5",
        WindowWidth="1023",
    )
    picture = read_picture(ImageFile(path))
    assert np.abs(picture.pixels - PIXELS.astype(int)).max() <= 1
    assert (picture.kind, picture.bits_used) == ("16-bit grey DICOM by its window", 0)


@pytest.mark.parametrize(
    ("tags", "values", "expected"),
    [
        (("40", "100"), [-1000, -10, 0, 40, 89, 1000], [0, 0, 26, 129, 255, 255]),
        ((["40", "9"], ["100", "9"]), [-10, 0, 40, 89], [0, 26, 129, 255]),
        (("40", "1"), [-9, 39, 40, 41], [0, 0, 255, 255]),
        (("511.5", "1023"), [0, 511, 1022, 1023], [0, 128, 255, 255]),
    ],
)
def test_a_window_is_of_the_values_after_slope_and_intercept(
    tmp_path: Path, tags: tuple[Any, Any], values: list[int], expected: list[int]
) -> None:
    stored = np.array([[value * 2 + 2000 for value in values]], np.uint16)
    path = save_dicom(
        tmp_path / "a.dcm",
        stored,
        stored=14,
        RescaleSlope="0.5",
        RescaleIntercept="-1000",
        WindowCenter=tags[0],
        WindowWidth=tags[1],
    )
    assert read_image(ImageFile(path)).tolist() == [expected]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("signed", [False, True])
def test_windows_are_those_of_pydicom(tmp_path: Path, function: str, signed: bool) -> None:
    stored = np.linspace(-2048 if signed else 0, 2047 if signed else 4095, 300).reshape(15, 20)
    path = save_dicom(
        tmp_path / "a.dcm",
        stored.astype(np.int16 if signed else np.uint16),
        stored=12,
        WindowCenter="300.5",
        WindowWidth="900",
        VOILUTFunction=function,
    )
    data = pydicom.dcmread(path)
    theirs = apply_windowing(data.pixel_array, data)
    low, high = (-2048, 2047) if signed else (0, 4095)
    expected = np.rint((theirs - low) / (high - low) * 255)
    assert np.abs(read_image(ImageFile(path)) - expected).max() <= 1


@pytest.mark.parametrize(
    "tags", [{}, {"WindowWidth": "9"}, {"WindowCenter": "", "WindowWidth": ""}]
)
def test_without_a_window_the_bits_that_are_used_are_told(
    tmp_path: Path, tags: dict[str, Any]
) -> None:
    path = save_dicom(tmp_path / "a.dcm", TEN_BITS, **tags)
    dark = read_picture(ImageFile(path))
    assert dark.bits_used == int(TEN_BITS.max()).bit_length() == 10
    assert dark.pixels.max() <= 4
    right = read_picture(ImageFile(path, bits=10))
    assert np.abs(right.pixels - PIXELS.astype(int)).max() <= 1
    with pytest.raises(UnusableImage, match="image_bits=9 is less than its 10"):
        read_picture(ImageFile(path, bits=9))


def test_a_file_that_uses_all_the_bits_it_states_is_not_dark(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", PIXELS.astype(np.uint16) * 16, stored=12)
    expected = np.rint(PIXELS * 16.0 * 255 / 4095)
    for bits in (16, 14, 12):
        picture = read_picture(ImageFile(path, bits=bits))
        assert np.array_equal(picture.pixels, expected)
        assert picture.bits_used == 16


def test_a_window_is_not_for_grey_of_8_bits(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", PIXELS, WindowCenter="20", WindowWidth="10")
    assert np.array_equal(read_image(ImageFile(path)), PIXELS)


def test_a_palette_of_16_bits_is_read_as_one_in_frames_of_its_dark_entries_too(
    tmp_path: Path,
) -> None:
    ramp = np.arange(256, dtype=np.uint16)
    tables = (("real", ramp * 200, 200), ("old", ramp, 256))  # of 256 parts of an index, how many
    for name, table, share in tables:
        tags: dict[str, Any] = {}
        for colour in ("Red", "Green", "Blue"):
            tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
            tags[f"{colour}PaletteColorLookupTableData"] = table.astype("<u2").tobytes()
        path = tmp_path / f"{name}.dcm"
        for pixels in (PIXELS, np.ones_like(PIXELS)):
            save_dicom(path, pixels, photometric="PALETTE COLOR", **tags)
            expected = pixels.astype(int) * share // 256
            assert np.array_equal(read_image(ImageFile(path)), expected)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
@pytest.mark.parametrize("colour", [False, True])
def test_lossless_jpeg_is_read_without_a_package_more(
    tmp_path: Path, syntax: UID, colour: bool
) -> None:
    frames = [PIXELS[:20, :30], PIXELS[20:40, 30:60]]
    stored = [np.dstack([f, f, f]) for f in frames] if colour else frames
    save_lossless(tmp_path / "loop.dcm", stored, syntax)
    files = image_files(tmp_path)
    assert list(files) == ["loop_1", "loop_2"]
    for file, frame in zip(files.values(), frames, strict=True):
        assert np.array_equal(read_image(file), frame)


def test_what_needs_a_package_more_names_it(tmp_path: Path) -> None:
    path = save_lossless(tmp_path / "a.dcm", [PIXELS], JPEGLSLossless)
    with pytest.raises(UnusableImage, match="pip install pylibjpeg pylibjpeg-libjpeg"):
        read_image(ImageFile(path))


def test_a_file_that_alone_names_nobody_is_a_person_of_its_own_and_told(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a.dcm", PIXELS, "Jane Doe")
    save_dicom(tmp_path / "b.dcm", np.stack([PIXELS, 255 - PIXELS]), "")
    save_dicom(tmp_path / "c.dcm", PIXELS, "")
    files = image_files(tmp_path)
    assert {name: files[name].subject for name in ("a", "b_1", "b_2", "c")} == {
        "a": "p1",
        "b_1": "file b.dcm",
        "b_2": "file b.dcm",
        "c": "file c.dcm",
    }
    assert person_note(files.values()).startswith("2 DICOM files have no PatientID, where others")
    (tmp_path / "a.dcm").unlink()
    files = image_files(tmp_path)
    assert {file.subject for file in files.values()} == {""}
    assert notes_on(files.values()) == []


def test_pixels_have_the_size_that_a_file_tells(tmp_path: Path) -> None:
    def told(**tags: Any) -> Any:
        return spacing_of(ImageFile(save_dicom(tmp_path / "a.dcm", PIXELS, **tags)))

    assert told() is None
    assert told(PixelSpacing=["0.2", "0.1"]) == (0.2, 0.1)
    assert told(SequenceOfUltrasoundRegions=[region()]) == pytest.approx((0.2, 0.1))
    seconds = region(PhysicalUnitsXDirection=4)
    assert told(SequenceOfUltrasoundRegions=[seconds]) is None
    assert told(SequenceOfUltrasoundRegions=[region(), seconds]) == pytest.approx((0.2, 0.1))
    zoomed = region(PhysicalDeltaX=0.02)
    assert told(SequenceOfUltrasoundRegions=[region(), zoomed]) is None


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        ([region()], (5, 45, 10, 70)),
        ([region(), region(RegionDataType=3)], (5, 45, 10, 70)),
        ([region(), region()], None),
        ([region(RegionSpatialFormat=2)], None),
        ([region(RegionLocationMinX0=0, RegionLocationMaxX1=79, RegionLocationMaxY1=59)], None),
        ([region(RegionLocationMaxX1=5)], None),
        ([], None),
    ],
)
def test_the_one_region_of_tissue_of_a_screen_is_told(
    tmp_path: Path, regions: list[Any], expected: Any
) -> None:
    path = save_dicom(tmp_path / "a.dcm", PIXELS, SequenceOfUltrasoundRegions=regions)
    assert dicom.region_of(path) == expected
    assert np.array_equal(read_image(ImageFile(path)), PIXELS)


def test_screens_are_told_once_with_their_images_counted(tmp_path: Path) -> None:
    tags: dict[str, Any] = {"SequenceOfUltrasoundRegions": [region()]}
    save_dicom(tmp_path / "a.dcm", np.stack([PIXELS] * 3), **tags)
    save_dicom(tmp_path / "b.dcm", PIXELS, **tags)
    save_dicom(tmp_path / "c.dcm", PIXELS)
    (note,) = notes_on(image_files(tmp_path).values())
    assert note.startswith(
        "4 DICOM images show a scanner's screen: the picture is rows 5 to 44, columns 10 to 69; "
    )
    tags["SequenceOfUltrasoundRegions"] = [region(RegionLocationMinX0=20)]
    save_dicom(tmp_path / "e.dcm", PIXELS, **tags)
    assert "columns 10 to 69 (in most; 2 places in all)" in screen_note(
        image_files(tmp_path).values()
    )


def test_what_is_no_dicom_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"no DICOM")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dicom.region_of(path) is None
        assert spacing_of(ImageFile(path)) is None
        with pytest.raises(UnusableImage, match="not a DICOM image"):
            raw_values(path)
