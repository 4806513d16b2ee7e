"""Pages, orientation, fractions, and the numbers that mask files hold."""

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from lib.data.pictures.arrays import (
    ImageFile,
    UnusableImage,
    frames_in,
    image_files,
    is_jpeg,
    raw_values,
    read_image,
    read_picture,
    stem_of_path,
)
from lib.data.pictures.rasters import pages_in
from tests.data.pictures.test_arrays import PIXELS, rotated, save, save_dicom

PAGES = [PIXELS, 255 - PIXELS, PIXELS // 2]


def save_pages(path: Path, pages: list[np.ndarray] = PAGES, **how: Any) -> Path:
    first, *others = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=others, **how)
    return path


def tiff(path: Path, pixels: np.ndarray, photometric: int, order: str = "<") -> Path:
    """By hand: one strip of 8 bits, with the tags that are needed."""
    height, width = pixels.shape
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height}
    tags[279] = pixels.size
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8 + pixels.size)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    path.write_bytes(start + pixels.tobytes() + directory)
    return path


IMAGEJ = {270: "ImageJ=1.54f\nimages=3\nslices=3\n"}


@pytest.mark.parametrize(
    "how", [{}, {"compression": "tiff_lzw"}, {"big_tiff": True}, {"tiffinfo": IMAGEJ}]
)
def test_the_pages_of_a_tiff_are_images_counted_from_1(tmp_path: Path, how: Any) -> None:
    save_pages(tmp_path / "stack.tif", **how)
    files = image_files(tmp_path)
    assert list(files) == ["stack_1", "stack_2", "stack_3"]
    for file, page in zip(files.values(), PAGES, strict=True):
        assert np.array_equal(read_image(file), page)
        assert np.array_equal(raw_values(file.path, file.frame), page)
    with pytest.raises(UnusableImage, match="3 pictures in one file"):
        read_image(ImageFile(tmp_path / "stack.tif"))
    with pytest.raises(UnusableImage, match="3 pictures in one file"):
        raw_values(tmp_path / "stack.tif")
    with pytest.raises(UnusableImage, match="damaged"):
        read_image(ImageFile(tmp_path / "stack.tif", 3))


def test_a_stack_of_16_bits_in_the_order_of_imagej_is_read(tmp_path: Path) -> None:
    height, width = PIXELS.shape
    stored = [(page.astype(np.uint16) * 4).astype(">u2").tobytes() for page in PAGES]
    content, place = b"MM\0*" + struct.pack(">I", 8 + sum(map(len, stored))) + b"".join(stored), 8
    for number, page in enumerate(stored, 1):
        tags = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: place, 277: 1, 278: height}
        tags[279] = len(page)
        parts = [struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items()]
        follows = len(content) + 2 + 12 * len(tags) + 4 if number < len(stored) else 0
        content += struct.pack(">H", len(tags)) + b"".join(parts) + struct.pack(">I", follows)
        place += len(page)
    (tmp_path / "stack.tif").write_bytes(content)
    for file, expected in zip(image_files(tmp_path, 10).values(), PAGES, strict=True):
        assert np.abs(read_image(file) - expected.astype(int)).max() <= 1
        assert np.array_equal(raw_values(file.path, file.frame), expected.astype(int) * 4)


def test_pages_are_counted_as_pillow_does_in_both_orders_of_bytes(tmp_path: Path) -> None:
    assert pages_in(tiff(tmp_path / "a.tif", PIXELS, 1, ">")) == 1
    assert pages_in(tiff(tmp_path / "b.tif", PIXELS, 1, "<")) == 1
    assert pages_in(save_pages(tmp_path / "c.tif", [PIXELS] * 7)) == 7


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("content", [b"", b"II*\0", b"II*\0\x08\0\0\0", b"GIF89a", b"no picture"])
@pytest.mark.parametrize("name", ["a.tif", "a.gif"])
def test_what_has_no_pages_is_one_image_that_is_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    assert frames_in(tmp_path / name) == 1
    with pytest.raises(UnusableImage):
        read_image(ImageFile(tmp_path / name))


def test_a_chain_of_directories_that_bites_its_tail_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IHI", 8, 0, 8))
    assert pages_in(path) == 1


def test_the_frames_of_a_gif_are_whole_pictures(tmp_path: Path) -> None:
    pages = [PIXELS.copy() for _ in range(3)]
    pages[1][:10, :10], pages[2][20:30] = 255, 0
    save_pages(tmp_path / "loop.gif", pages)
    files = image_files(tmp_path)
    assert list(files) == ["loop_1", "loop_2", "loop_3"]
    for file, page in zip(files.values(), pages, strict=True):
        assert np.array_equal(read_image(file), page)


def test_a_gif_of_one_picture_is_that_picture_by_its_palette(tmp_path: Path) -> None:
    save(tmp_path / "a.gif", PIXELS)
    files = image_files(tmp_path)
    assert set(files) == {"a", "a.gif"}
    assert np.array_equal(read_image(files["a"]), PIXELS)
    colours = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    colours.putpalette([0, 0, 0, 0, 255, 0])
    colours.save(tmp_path / "b.gif")
    assert read_image(ImageFile(tmp_path / "b.gif")).tolist() == [[0, 150]]
    assert raw_values(tmp_path / "b.gif").tolist() == [[0, 255 << 8]]


def test_pages_of_several_sizes_are_refused(tmp_path: Path) -> None:
    path = save_pages(tmp_path / "a.tif", [PIXELS, PIXELS[::2, ::2].copy()])
    assert np.array_equal(read_image(ImageFile(path, 0)), PIXELS)
    with pytest.raises(UnusableImage, match="its pages have several sizes"):
        read_image(ImageFile(path, 1))


@pytest.mark.parametrize("suffix", ["tif", "npy"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_fractions_are_of_0_to_1_or_of_0_to_255(tmp_path: Path, kind: type, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    for top, expected in ((1, [[0, 51, 255]]), (255, [[0, 51, 255]])):
        pixels: np.ndarray = np.array([[0, 0.2 * top, top]], kind)
        if suffix == "npy":
            np.save(path, pixels)
        elif kind == np.float32:
            save(path, pixels)
        else:  # which Pillow does not write
            cv2.imwrite(str(path), pixels)
        picture = read_picture(ImageFile(path))
        assert picture.pixels.tolist() == expected
        assert picture.kind == f"grey of 0 to {top} in fractions"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("compression", [1, 5])
def test_fractions_of_64_bits_that_are_cut_off_are_refused(
    tmp_path: Path, share: float, compression: int
) -> None:
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), PIXELS / 255, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert np.array_equal(read_image(ImageFile(path)), PIXELS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnusableImage):
        read_image(ImageFile(path))


def test_the_range_of_fractions_is_that_of_all_pages(tmp_path: Path) -> None:
    dark, bright = np.array([[0, 0.5]], np.float32), np.array([[0, 200.0]], np.float32)
    path = save_pages(tmp_path / "a.tif", [dark, bright])
    assert read_image(ImageFile(path, 0)).tolist() == [[0, 0]]
    path = save_pages(tmp_path / "b.tif", [dark, dark + 0.5])
    assert read_image(ImageFile(path, 0)).tolist() == [[0, 128]]


@pytest.mark.parametrize("kind", [np.uint8, np.bool_, np.uint16])
def test_an_array_of_numpy_is_a_picture(tmp_path: Path, kind: type) -> None:
    values: np.ndarray = np.array([[0, 1], [1, 0]]).astype(kind)
    np.save(tmp_path / "a.npy", values)
    picture = read_picture(ImageFile(tmp_path / "a.npy", bits=8))
    assert (
        picture.pixels.tolist() == (values.astype(int) * (255 if kind == np.bool_ else 1)).tolist()
    )
    assert raw_values(tmp_path / "a.npy").tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_picture_turned_by_exif_is_read_upright(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    path, plain = tmp_path / f"a.{suffix}", tmp_path / f"plain.{suffix}"
    rotated(PIXELS, orientation)(path)
    Image.fromarray(PIXELS).save(plain)
    exif = Image.Exif()
    exif[274] = orientation
    shown = Image.fromarray(read_image(ImageFile(plain)))
    shown.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(shown))
    picture = read_picture(ImageFile(path))
    assert expected.shape == PIXELS.shape[::-1]
    assert np.array_equal(picture.pixels, expected)
    assert picture.kind.endswith(", upright by EXIF")
    assert raw_values(path).shape == expected.shape


def test_a_page_turned_by_its_tag_is_read_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    first, second = Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)
    first.save(path, save_all=True, append_images=[second], tiffinfo={274: 6})
    for number, page in enumerate((PIXELS, 255 - PIXELS)):
        picture = read_picture(ImageFile(path, number))
        assert np.array_equal(picture.pixels, np.rot90(page, -1))
        assert picture.kind.endswith(", upright by EXIF")


def test_an_upright_orientation_says_nothing(tmp_path: Path) -> None:
    rotated(PIXELS, 1)(tmp_path / "a.png")
    assert read_picture(ImageFile(tmp_path / "a.png")).kind == "8-bit grey"


@pytest.mark.parametrize("order", ["<", ">"])
def test_values_of_a_tiff_whose_zero_is_white_are_those_that_are_stored(
    tmp_path: Path, order: str
) -> None:
    path = tiff(tmp_path / "mask.tif", PIXELS, 0, order)
    assert np.array_equal(raw_values(path), PIXELS)
    assert np.array_equal(read_image(ImageFile(path)), 255 - PIXELS)
    assert np.array_equal(raw_values(tiff(tmp_path / "b.tif", PIXELS, 1, order)), PIXELS)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "group4"])
def test_one_bit_whose_zero_is_white_is_as_it_is_stored(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "mask.tif"
    image = Image.fromarray(PIXELS > 128)
    image.save(path, compression=compression, tiffinfo={262: 0})
    with Image.open(path) as opened:
        assert isinstance(opened, TiffImageFile) and opened.tag_v2[262] == 0
        shown = np.asarray(opened)
    assert np.array_equal(raw_values(path), 1 - shown.astype(int))


def with_alpha(colours: list[Any], alpha: list[int]) -> np.ndarray:
    full = [(c, c, c) if isinstance(c, int) else c for c in colours]
    pixels = [(*c, a) for c, a in zip(full, alpha, strict=True)]
    return np.array([pixels], dtype=np.uint8)


@pytest.mark.parametrize(
    ("colours", "alpha", "expected"),
    [
        ([0, 7, (1, 2, 3)], [255] * 3, [0, 7, 0x010203]),
        ([0, 7, (1, 2, 3)], [9] * 3, [0, 7, 0x010203]),
        ([0, 0, 0], [0, 128, 255], [0, 128, 255]),  # only the transparency tells
        ([255, 0, 0], [0, 255, 255], [0, 255, 255]),  # what lies below it is not seen
        ([9, 255, (255, 0, 0)], [0, 255, 255], [0, 255, 0xFF0000]),
    ],
)
def test_values_of_a_picture_with_transparency(
    tmp_path: Path, colours: list[Any], alpha: list[int], expected: list[int]
) -> None:
    path = save(tmp_path / "mask.png", with_alpha(colours, alpha)).path
    assert raw_values(path).tolist() == [expected]


@pytest.mark.parametrize(
    ("colours", "alpha"),
    [([3, 255, 7], [0, 128, 255]), ([9, 0, 7], [0, 255, 255])],
)
def test_transparency_that_leaves_open_what_is_drawn_is_refused(
    tmp_path: Path, colours: list[Any], alpha: list[int]
) -> None:
    path = save(tmp_path / "mask.png", with_alpha(colours, alpha)).path
    with pytest.raises(UnusableImage, match="transparent pixels"):
        raw_values(path)


@pytest.mark.parametrize("suffix", ["tif", "npy"])
def test_whole_numbers_in_fractions_are_integers_and_others_are_refused(
    tmp_path: Path, suffix: str
) -> None:
    for values, good in (([[0, 3.0]], True), ([[0, 0.5]], False), ([[0, np.nan]], False)):
        path, pixels = tmp_path / f"a.{suffix}", np.array(values, np.float32)
        if suffix == "npy":
            np.save(path, pixels)
        else:
            save(path, pixels)
        if good:
            assert raw_values(path).tolist() == [[0, 3]]
            assert raw_values(path).dtype.kind == "i"
        else:
            with pytest.raises(UnusableImage, match="holds fractions"):
                raw_values(path)


def test_the_values_of_a_dicom_mask_are_those_that_are_stored(tmp_path: Path) -> None:
    mask = np.array([[0, 1], [3, 4000]], np.uint16)
    path = save_dicom(tmp_path / "mask.dcm", mask, WindowCenter="1", WindowWidth="2")
    assert raw_values(path).tolist() == mask.tolist()


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_the_content_tells_a_jpeg_not_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for kind in ("JPEG", "PNG"):
        Image.fromarray(PIXELS).save(path, kind)
        assert is_jpeg(path) == (kind == "JPEG")
        assert raw_values(path).shape == PIXELS.shape


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.nii.gz", "a"), ("a.b.NII.GZ", "a.b"), ("a.tif", "a"), ("1.2.840", "1.2.840"), ("a", "a")],
)
def test_a_stem_has_no_suffix(name: str, stem: str) -> None:
    assert stem_of_path(Path(name)) == stem
