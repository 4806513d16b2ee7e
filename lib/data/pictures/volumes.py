"""Volumes, NIfTI, NRRD and MetaImage -> their slices, in the numbers that the file holds.

array[x, y, k] is the pixel [y, x] of slice k, as ITK has it. Nothing is turned or mirrored by what
a header tells of the body: an image and its mask are read alike.
"""

import bz2
import gzip
import logging
import threading
from contextlib import suppress
from functools import lru_cache
from math import inf, prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lib.data.pictures import metaimage

NIFTI, NRRD, METAIMAGE = {".nii", ".nii.gz"}, {".nrrd", ".nhdr"}, {".mha", ".mhd"}
SUFFIXES = NIFTI | NRRD | METAIMAGE
NIFTI_HEADER = 352  # bytes; some writers tell 0 for the place of the data behind it
COLOURS = 3  # channels of a slice that has several
MOST_VALUES = 1 << 29  # of a volume, which is read as a whole; as float64 they take 4 GiB
PACKED = 1032  # values that a byte of a compressed file can stand for
CHUNK = 1 << 20  # bytes that are unpacked at a time
LONGEST = 300  # characters of a message
LINES = 10_000  # that a NRRD file may have between header and data
MM = {"mm": 1.0, "millimeter": 1.0, "meter": 1000.0, "micron": 0.001, "cm": 10.0, "um": 0.001}

Array = npt.NDArray[Any]


class VolumeError(Exception):
    """A file that cannot be read; the message says why."""


class _Volume(NamedTuple):
    slices: Array  # (slices, height, width), or with 3 behind
    low: float  # the lowest value of all of them
    high: float


def suffix_of(path: Path) -> str:
    """In small letters, and .nii.gz as a whole."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def is_volume(path: Path) -> bool:
    return suffix_of(path) in SUFFIXES


def frames_in(path: Path) -> int:
    """How many slices, by the header alone; three may be one picture, of which all are read."""
    size, channels = _read(_with_room, path)
    count = _slices_of(tuple(size), channels)[-1]
    return len(_volume(path).slices) if count == COLOURS and channels == 1 else count


def values_of(path: Path, frame: int) -> Array:
    """Slice `frame`, from 0: (height, width), or (height, width, 3), in the file's own numbers."""
    slices = _volume(path).slices
    if not 0 <= frame < len(slices):
        raise VolumeError(f"has {len(slices)} slices, and no slice {frame + 1}")
    found: Array = slices[frame]
    return found


def range_of(path: Path) -> tuple[float, float]:
    """The lowest and the highest value of all slices; nan where one is nan."""
    volume = _volume(path)
    return volume.low, volume.high


def spacing_of(path: Path) -> tuple[float, float] | None:
    """Millimetres a pixel, down and across; None where the file tells none.

    1 by 1 is what programs write that know of none.
    """
    across, down = _read(_spacing, path)
    known = 0 < across < np.inf and 0 < down < np.inf and (across, down) != (1, 1)
    return (down, across) if known else None


def files_of(path: Path) -> list[Path]:
    """The file, and that of its data where they lie beside it."""
    kind = suffix_of(path)
    if kind == ".mhd":
        data = _read(lambda path: metaimage.data_file_of(path, metaimage.header_of(path)), path)
    elif kind == ".nhdr":
        header = _read(_nrrd_header, path)
        data = _read(lambda path: _nrrd_data(path, header), path)
    else:
        return [path]
    return [path, data] if data != path else [path]


def _read(read: Any, path: Path) -> Any:
    """What a reader makes of the path; VolumeError where it cannot, or FileNotFoundError."""
    try:
        return read(path)
    except VolumeError:
        raise
    except FileNotFoundError as error:
        if not path.exists():
            raise
        raise VolumeError(f"its data {Path(str(error.filename)).name} are missing") from None
    except Exception as error:  # what nibabel and pynrrd raise has no common base
        reason = str(error).partition("\n")[0][:LONGEST]
        raise VolumeError(reason or type(error).__name__) from None


_LOCK = threading.Lock()  # else several readers would decode one volume at the same time


def _volume(path: Path) -> _Volume:
    with _LOCK:
        found: _Volume = _read(lambda path: _decoded(path, _state_of(path)), path)
        return found


def _state_of(path: Path) -> tuple[tuple[int, int], ...]:
    """Another one where the file, or that of its data, was written anew."""
    return tuple((one.st_mtime_ns, one.st_size) for one in map(Path.stat, files_of(path)))


@lru_cache(maxsize=2)
def _decoded(path: Path, _state: tuple[tuple[int, int], ...]) -> _Volume:
    """Kept for its slices, which follow each other."""
    _with_room(path)
    array, channels = _array_and_channels(path)
    width, height, count = _slices_of(array.shape[1:] if channels > 1 else array.shape, channels)
    parts = channels if channels > 1 else 1
    laid = array.reshape((parts, width, height, count), order="F").transpose(3, 2, 1, 0)
    slices = np.ascontiguousarray(laid if channels > 1 else laid[..., 0])
    slices = slices.astype(slices.dtype.newbyteorder("="), copy=False)
    if len(slices) == COLOURS and channels == 1 and _is_grey_as_colours(slices):
        slices = slices[:1]
    slices.setflags(write=False)
    return _Volume(slices, slices.min().item(), slices.max().item())


def _is_grey_as_colours(slices: Array) -> bool:
    """Three planes that are alike, and not all of one value, as slices of a mask often are."""
    first = slices[0]
    alike = bool((slices[1:] == first).all())
    return alike and bool((first != first.flat[0]).any())


def _slices_of(size: tuple[int, ...], channels: int) -> tuple[int, int, int]:
    """(width, height, slices); VolumeError where several axes might be that of the slices."""
    if channels not in (1, COLOURS):
        raise VolumeError(f"has {channels} values a pixel: save one or {COLOURS}")
    if len(size) < 2 or min(size) < 1:
        raise VolumeError(f"is {_by(size)}: no picture")
    several = [length for length in size[2:] if length > 1]
    if len(several) > 1:
        raise VolumeError(f"is {_by(size)}: save each volume of it as a file of its own")
    return size[0], size[1], several[0] if several else 1


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _size_and_channels(path: Path) -> tuple[tuple[int, ...], int]:
    kind = suffix_of(path)
    if kind in NIFTI:
        image = _nifti(path)
        return image.shape, len(_names_of(path))
    if kind in NRRD:
        header = _nrrd_header(path)
        return _size_of_nrrd(header)
    told = metaimage.header_of(path)
    return told.size, metaimage.channels_of(told)


def _with_room(path: Path) -> tuple[tuple[int, ...], int]:
    """_size_and_channels; VolumeError where it is more than the file can hold, or too much."""
    size, channels = _size_and_channels(path)
    values = prod(map(int, size)) * channels
    if values > MOST_VALUES:
        raise VolumeError(
            f"is {_by(size)}, more than {MOST_VALUES:,} values: save it as several files"
        )
    if values > files_of(path)[-1].stat().st_size * _most_in_a_byte(path):
        raise VolumeError(f"is {_by(size)}, as its header tells, and too short for that")
    return size, channels


def _most_in_a_byte(path: Path) -> float:
    """How many values a byte of the file of the data can stand for."""
    kind = suffix_of(path)
    if kind in NIFTI:
        size = max(1, _nifti(path).get_data_dtype().itemsize)
        return (PACKED if kind == ".nii.gz" else 1) * len(_names_of(path)) / size
    if kind in NRRD:
        return {"raw": 1, "gzip": PACKED, "gz": PACKED}.get(_nrrd_header(path)["encoding"], inf)
    told = metaimage.header_of(path).fields.get("CompressedData", "False")
    return 1 if told.lower() == "false" else PACKED


def _array_and_channels(path: Path) -> tuple[Array, int]:
    """(x, y, ...) or, of several channels, (channels, x, y, ...)."""
    kind = suffix_of(path)
    if kind in NIFTI:
        return _nifti_array(path)
    if kind in NRRD:
        import nrrd

        _require_no_bomb(path, _nrrd_header(path))
        array, header = nrrd.read(str(path))
        return array, _size_of_nrrd(header)[1]
    return metaimage.array_of(path), metaimage.channels_of(metaimage.header_of(path))


def _spacing(path: Path) -> tuple[float, float]:
    """Across and down; 0 and 0 where nothing tells."""
    kind = suffix_of(path)
    if kind in NIFTI:
        header = _nifti(path).header
        unit = MM.get(header.get_xyzt_units()[0], 1.0)
        across, down = header.get_zooms()[:2]
        return float(across) * unit, float(down) * unit
    if kind in NRRD:
        return _spacing_of_nrrd(_nrrd_header(path))
    words = metaimage.header_of(path).fields.get("ElementSpacing", "0 0").split()
    return float(words[0]), float(words[1])


def _nifti(path: Path) -> Any:
    import nibabel  # here, for it takes a fifth of a second that few need

    # It says of each file without sizes of pixels that it takes 1, which spacing_of knows.
    logging.getLogger("nibabel.global").setLevel(logging.ERROR)
    return nibabel.load(path, mmap=False)


def _names_of(path: Path) -> tuple[str, ...]:
    """Of the channels of a NIfTI file; one without a name where there is one."""
    return _nifti(path).get_data_dtype().names or ("",)


def _nifti_array(path: Path) -> tuple[Array, int]:
    from nibabel.arrayproxy import ArrayProxy

    told = _nifti(path).dataobj
    spec = told.shape, told.dtype, told.offset or NIFTI_HEADER, told.slope, told.inter
    array = np.asanyarray(ArrayProxy(str(path), spec, mmap=False))
    if array.dtype.names:  # RGB, a record of 3 bytes
        return np.stack([array[name] for name in array.dtype.names]), len(array.dtype.names)
    return array, 1


def _nrrd_header(path: Path) -> Any:
    import nrrd

    return nrrd.read_header(str(path))


def _nrrd_data(path: Path, header: Any) -> Path:
    name = header.get("data file", header.get("datafile"))
    return path if name is None else metaimage.beside(path, str(name))


def _require_no_bomb(path: Path, header: Any) -> None:
    """VolumeError where data unpack to more than the header tells: pynrrd would have them all."""
    import nrrd

    lines = int(header.get("line skip", header.get("lineskip", 0)))
    if lines > LINES:
        raise VolumeError(f"has {lines:,} lines before its data: save it again")
    packed: dict[str, Any] = {"gzip": gzip.open, "gz": gzip.open}
    packed |= {"bzip2": bz2.open, "bz2": bz2.open}
    if (unpacked := packed.get(header["encoding"])) is None:
        return
    left = 8 * prod(map(int, header["sizes"])) + CHUNK  # of the longest values
    data = _nrrd_data(path, header)
    with data.open("rb") as file:
        if data == path:
            nrrd.read_header(file)
        for _ in range(lines):
            file.readline()
        with suppress(OSError, EOFError), unpacked(file) as stream:  # pynrrd tells what is wrong
            while left >= 0 and (chunk := stream.read(CHUNK)):
                left -= len(chunk)
    if left < 0:
        raise VolumeError("unpacks to more than its header tells: save it again")


def _size_of_nrrd(header: Any) -> tuple[tuple[int, ...], int]:
    """An axis of colours, the first, is no axis of the picture."""
    size, kinds = tuple(map(int, header["sizes"])), list(header.get("kinds", []))
    if kinds and "color" in kinds[-1].lower() and len(size) > 2:
        raise VolumeError("has its colours along the last axis: save them along the first")
    if not kinds and len(size) == 3 and size[0] == COLOURS:
        return size[1:], size[0]
    if (kinds and "color" in kinds[0].lower()) or kinds[:1] in (["vector"], ["list"]):
        return size[1:], size[0]
    return size, 1


def _spacing_of_nrrd(header: Any) -> tuple[float, float]:
    axes = slice(-len(_size_of_nrrd(header)[0]), None)
    units = header.get("space units", header.get("units"))
    unit = MM.get(str(units[0]).strip('"'), 0.0) if units is not None and len(units) else 1.0
    if "space directions" in header:
        vectors = np.asarray(header["space directions"], dtype=float)[axes]
        across, down = np.linalg.norm(vectors[:2], axis=1)
    else:
        across, down = np.asarray(header.get("spacings", [0.0, 0.0]), dtype=float)[axes][:2]
    return float(across) * unit, float(down) * unit
