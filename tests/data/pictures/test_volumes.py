"""Volumes, held to bytes written by hand and to what nibabel and pynrrd write."""

import gzip
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pandas as pd
import pytest

from lib.config.fields import Config
from lib.data.pictures.arrays import (
    ImageFile,
    UnusableImage,
    frames_in,
    image_files,
    raw_values,
    read_picture,
    sha_of_image,
    spacing_of,
    volumes,
)
from lib.data.table import with_files
from lib.runtime.errors import InputError

SLICES = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # 2 slices of 3 rows and 4 columns
META = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementSpacing = 0.1 0.2 1\n"


def save_nifti(path: Path, slices: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(np.moveaxis(slices, 0, -1).swapaxes(0, 1), np.eye(4))
    image.header.set_zooms((0.1, 0.2, 1))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def save_nrrd(path: Path, slices: np.ndarray) -> Path:
    directions = np.diag([0.1, 0.2, 1])
    header = {"space": "left-posterior-superior", "space directions": directions}
    nrrd.write(str(path), np.moveaxis(slices, 0, -1).swapaxes(0, 1), header)
    return path


def save_meta(path: Path, slices: np.ndarray) -> Path:
    """By hand: LOCAL in .mha, compressed; beside it in .mhd, its highest byte first."""
    kinds = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "uint16": "MET_USHORT"}
    kinds |= {"float32": "MET_FLOAT", "float64": "MET_DOUBLE", "int64": "MET_LONG_LONG"}
    shape = " ".join(map(str, slices.shape[::-1]))
    text = META.replace("4 3 2", shape) + f"ElementType = {kinds[slices.dtype.name]}\n"
    if path.suffix == ".mha":
        data = zlib.compress(slices.tobytes())
        text += f"CompressedData = True\nCompressedDataSize = {len(data)}\n"
        path.write_bytes(text.encode() + b"ElementDataFile = LOCAL\n" + data)
    else:
        path.write_text(f"{text}ElementByteOrderMSB = True\nElementDataFile = {path.stem}.raw\n")
        swapped = slices.astype(slices.dtype.newbyteorder(">"))
        path.with_suffix(".raw").write_bytes(swapped.tobytes())
    return path


SAVE: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "a.nii": save_nifti,
    "a.nii.gz": save_nifti,
    "a.nrrd": save_nrrd,
    "a.nhdr": save_nrrd,
    "a.mha": save_meta,
    "a.mhd": save_meta,
}
NAMES = list(SAVE)


def volume(folder: Path, slices: np.ndarray, name: str = "a.nrrd") -> ImageFile:
    return ImageFile(SAVE[name](folder / name, slices), 0)


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_a_slice_is_the_picture_of_its_rows_and_columns(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = volume(tmp_path, SLICES.astype(kind), name).path
    assert volumes.frames_in(path) == 2
    for k in (0, 1):
        assert volumes.values_of(path, k).tolist() == SLICES[k].tolist()
        assert volumes.values_of(path, k).dtype == kind
    assert volumes.range_of(path) == (0, 23)
    assert volumes.spacing_of(path) == pytest.approx((0.2, 0.1))
    with pytest.raises(volumes.VolumeError, match="no slice 3"):
        volumes.values_of(path, 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_is_a_folder_of_images_by_its_name_without_suffixes(
    tmp_path: Path, name: str
) -> None:
    volume(tmp_path, SLICES.astype(np.uint8), name)
    files = image_files(tmp_path)
    assert list(files) == ["a_1", "a_2"]
    picture = read_picture(files["a_2"])
    assert picture.pixels.tolist() == SLICES[1].tolist()
    assert (picture.kind, picture.bits_used) == ("8-bit grey volume", 0)
    assert spacing_of(files["a_2"]) == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize("name", NAMES)
def test_one_slice_is_an_image_by_its_file_name_too(tmp_path: Path, name: str) -> None:
    path = volume(tmp_path, SLICES[:1].astype(np.uint8), name).path
    assert list(image_files(path)) == ["a", name] or list(image_files(path)) == [name, "a"]
    assert raw_values(path).tolist() == SLICES[0].tolist()


def test_a_nifti_of_bytes_written_by_hand_is_read(tmp_path: Path) -> None:
    header = struct.pack("<i36x8h", 348, 2, 4, 3, 1, 1, 1, 1, 1).ljust(70, b"\0")
    header = (header + struct.pack("<hh", 2, 8)).ljust(344, b"\0") + b"n+1\0" + bytes(4)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(header + SLICES[0].astype(np.uint8).tobytes()))
    assert frames_in(path) == 1
    assert raw_values(path).tolist() == SLICES[0].tolist()
    assert spacing_of(ImageFile(path)) is None


def test_a_nrrd_of_bytes_written_by_hand_is_read_with_its_data_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.nhdr"
    path.write_text(
        "NRRD0004\ntype: ushort\ndimension: 3\nsizes: 4 3 2\nspacings: 0.1 0.2 nan\n"
        "encoding: raw\nendian: big\ndata file: b.raw\n"
    )
    (tmp_path / "b.raw").write_bytes(SLICES.astype(">u2").tobytes())
    assert raw_values(path, 1).tolist() == SLICES[1].tolist()
    assert spacing_of(ImageFile(path)) == pytest.approx((0.2, 0.1))
    before = sha_of_image(ImageFile(path, 0))
    (tmp_path / "b.raw").write_bytes((SLICES + 1).astype(">u2").tobytes())
    assert sha_of_image(ImageFile(path, 0)) != before
    assert raw_values(path, 1).tolist() == (SLICES[1] + 1).tolist()


def test_a_meta_image_of_colours_written_by_hand_is_read(tmp_path: Path) -> None:
    colours = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    path = tmp_path / "a.mha"
    text = (
        "NDims = 2\nDimSize = 4 2\nElementType = MET_UCHAR\nElementNumberOfChannels = 3\n"
        "BinaryDataByteOrderMSB = False\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(text.encode() + colours.tobytes())
    assert np.array_equal(volumes.values_of(path, 0), colours[0])
    assert raw_values(path)[0, 1] == (3 << 16) + (4 << 8) + 5
    assert read_picture(ImageFile(path)).kind == "8-bit colour as volume"


def test_colours_of_nibabel_and_pynrrd_are_colours(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 3, 2, 3), dtype=np.uint8)  # x y k c
    record = colours.view([(name, "u1") for name in "RGB"])[..., 0]
    nibabel.save(nibabel.Nifti1Image(record, np.eye(4)), tmp_path / "a.nii")
    nrrd.write(
        str(tmp_path / "a.nrrd"),
        np.moveaxis(colours, -1, 0),
        {"kinds": ["RGB-color", "domain", "domain", "domain"], "spacings": [np.nan, 0.1, 0.2, 1]},
    )
    for name in ("a.nii", "a.nrrd"):
        found = volumes.values_of(tmp_path / name, 1)
        assert np.array_equal(found, colours[:, :, 1].swapaxes(0, 1))
    assert volumes.spacing_of(tmp_path / "a.nrrd") == pytest.approx((0.2, 0.1))


def test_the_last_of_four_axes_is_that_of_the_frames_and_two_of_them_are_refused(
    tmp_path: Path,
) -> None:
    moving = np.moveaxis(SLICES, 0, -1).swapaxes(0, 1).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(moving[:, :, None], np.eye(4)), tmp_path / "a.nii")
    assert volumes.frames_in(tmp_path / "a.nii") == 2
    assert raw_values(tmp_path / "a.nii", 1).tolist() == SLICES[1].tolist()
    several = np.zeros((4, 3, 2, 5), np.uint8)
    nibabel.save(nibabel.Nifti1Image(several, np.eye(4)), tmp_path / "b.nii")
    assert frames_in(tmp_path / "b.nii") == 1
    with pytest.raises(UnusableImage, match="4 x 3 x 2 x 5: save each volume"):
        read_picture(ImageFile(tmp_path / "b.nii"))


def test_the_numbers_of_a_nifti_are_scaled_as_it_says(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(6, dtype=np.uint8).reshape(3, 2, 1), np.eye(4))
    image.header.set_slope_inter(2, 1)
    nibabel.save(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<2f", content, 112, 2.0, 1.0)  # nibabel writes its own
    struct.pack_into("<6B", content, 352, *range(6))
    (tmp_path / "a.nii").write_bytes(content)
    assert raw_values(tmp_path / "a.nii").tolist() == [[1, 3, 5], [7, 9, 11]]


def shown(folder: Path, slices: Any, bits: int = 16) -> Any:
    return read_picture(volume(folder, np.array(slices))._replace(bits=bits))


@pytest.mark.parametrize("kind", ["int16", "uint16"])
def test_bytes_in_wider_integers_are_8_bits_by_the_whole_volume(tmp_path: Path, kind: str) -> None:
    bright = np.array([[[3, 7]], [[200, 255]]]).astype(kind)
    picture = shown(tmp_path, bright)
    assert (picture.pixels.tolist(), picture.bits_used) == ([[3, 7]], 0)
    bright[1, 0, 1] = 1023
    (tmp_path / "a.nrrd").unlink()
    picture = shown(tmp_path, bright, 10)
    assert (picture.pixels.tolist(), picture.bits_used) == ([[1, 2]], 3)
    with pytest.raises(UnusableImage, match="values up to 1023: image_bits=9 is less than its 10"):
        read_picture(volume(tmp_path, bright)._replace(bits=9))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_fractions_are_of_0_to_1_or_of_0_to_255_by_the_whole_volume(
    tmp_path: Path, kind: type
) -> None:
    low: np.ndarray = np.array([[[0, 0.5]], [[0.25, 1]]], kind)
    high: np.ndarray = np.array([[[0, 0.5]], [[2, 255]]], kind)
    (tmp_path / "other").mkdir()
    assert shown(tmp_path, low).pixels.tolist() == [[0, 128]]
    assert shown(tmp_path / "other", high).pixels.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([-0.5, 1.0], "-0.5 to 1, where 0 to 1 or 0 to 255"),
        ([0.0, 256.0], "0 to 256, where"),
        ([0.0, np.nan], "nan to nan, where"),
        ([-1, 4], "-1 to 4: save it as grey"),
        ([0, 70_000], "0 to 70000: save it as grey"),
    ],
)
def test_values_that_are_no_grey_are_refused_with_their_range(
    tmp_path: Path, values: list[float], words: str
) -> None:
    with pytest.raises(UnusableImage, match=words):
        shown(tmp_path, [[[0, 0]], [values]])  # though the slice itself is in range


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_that_is_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 30, 40), dtype=np.uint8)
    path = volume(tmp_path, noise, name).path
    data = next(f for f in tmp_path.iterdir() if f.suffix not in (".mhd", ".nhdr"))
    data.write_bytes(data.read_bytes()[: data.stat().st_size * 3 // 4])
    with pytest.raises(UnusableImage, match="not a volume that can be read"):
        read_picture(ImageFile(path, 0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"no volume", b"NRRD0004\n", b"NDims = 3\n", bytes(4000)])
def test_what_is_no_volume_is_one_image_that_is_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    files = image_files(path)
    assert set(files) == {"a", name}
    sha_of_image(files["a"])
    assert spacing_of(files["a"]) is None
    with pytest.raises(UnusableImage, match="not a volume that can be read"):
        read_picture(files["a"])


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
def test_data_that_are_missing_beside_a_header_are_named(tmp_path: Path, name: str) -> None:
    path = volume(tmp_path, SLICES.astype(np.uint8), name).path
    (data,) = (file for file in tmp_path.iterdir() if file != path)
    data.unlink()
    with pytest.raises(UnusableImage, match=f"its data {data.name} are missing"):
        read_picture(ImageFile(path, 0))


def test_a_volume_is_decoded_once_for_readers_side_by_side(tmp_path: Path) -> None:
    slices = np.random.default_rng(0).integers(0, 256, (40, 200, 150), dtype=np.uint8)
    path = volume(tmp_path, slices, "a.nii.gz").path
    before = volumes._decoded.cache_info().misses
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: volumes.values_of(path, k), range(40)))
    assert np.array_equal(np.stack(found), slices)
    assert volumes._decoded.cache_info().misses == before + 1


def test_a_volume_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    for add in (0, 1):
        path = volume(tmp_path, SLICES.astype(np.uint8) + np.uint8(add), "a.nii").path
        assert volumes.values_of(path, 0)[0, 0] == add


@pytest.mark.parametrize("name", NAMES)
def test_three_planes_that_are_alike_are_one_picture(tmp_path: Path, name: str) -> None:
    picture = SLICES[0].astype(np.uint8)
    path = volume(tmp_path, np.stack([picture] * 3), name).path
    assert frames_in(path) == 1
    assert read_picture(ImageFile(path)).pixels.tolist() == picture.tolist()


@pytest.mark.parametrize("planes", [np.arange(3), np.zeros(3)])
def test_three_slices_that_differ_or_are_empty_stay_three(
    tmp_path: Path, planes: np.ndarray
) -> None:
    slices = (SLICES[0] * planes[:, None, None]).astype(np.uint8)
    assert frames_in(volume(tmp_path, slices).path) == 3


def test_colours_of_nrrd_are_its_first_axis_and_refused_on_its_last(tmp_path: Path) -> None:
    colours = np.moveaxis(np.stack([SLICES[0]] * 3).astype(np.uint8), 2, 1)
    nrrd.write(str(tmp_path / "first.nrrd"), colours)
    assert read_picture(ImageFile(tmp_path / "first.nrrd")).pixels.shape == (3, 4)
    kinds = {"kinds": ["domain", "domain", "RGB-color"]}
    nrrd.write(str(tmp_path / "last.nrrd"), np.moveaxis(colours, 0, 2), kinds)
    with pytest.raises(UnusableImage, match="colours along the last axis: save them along the fi"):
        read_picture(ImageFile(tmp_path / "last.nrrd"))


def test_data_beside_a_header_that_went_after_01_are_named(tmp_path: Path) -> None:
    image = volume(tmp_path, SLICES[:1].astype(np.uint8), "a.mhd")
    sha = sha_of_image(ImageFile(image.path))
    folds = pd.DataFrame({"image": ["a"], "path": ["a.mhd"], "sha": [sha]})
    config = Config(data_folder=str(tmp_path))
    assert len(with_files(folds, config)) == 1
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"not there:\n  a: there is no .*a\.raw"):
        with_files(folds, config)
