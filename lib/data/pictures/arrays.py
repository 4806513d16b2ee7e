"""Image and mask files -> arrays, and the refusal of files that would give wrong ones."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lib.data.pictures import dicom, rasters, volumes
from lib.data.pictures.greys import (
    AS_GREY,
    Array,
    Grey,
    Picture,
    UnusableImage,
    from_colour,
    from_floats,
    from_integers,
    one_number,
    require_small,
    used_of,
)
from lib.data.pictures.rasters import opened as _opened
from lib.data.pictures.rasters import stored_values as _raw_values
from lib.data.pictures.tree import Tree, require_printable, tree_of
from lib.data.pictures.volumes import suffix_of
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of
from lib.runtime.threads import PARSING

NUMPY = ".npy"
PICTURE_SUFFIXES = (
    {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".gif", NUMPY}
) | volumes.SUFFIXES  # to be looked for by suffix_of, for .nii.gz has two dots
MASK_SUFFIX = "_mask"
OWN_PERSON = "file "  # before the name of a DICOM file that alone names nobody
ALL_BITS = 16  # of Picture.bits_used, where a file uses all that it states

NNUNET = ("imagesTr", "imagesTs")
SECOND_CHANNEL = re.compile(r"_000[1-9]\.")


Stamp = tuple[int, int, int, int]  # inode, size, times of the content and of the entry


class ImageFile(NamedTuple):
    """Where an image is: a file, or one frame of a file."""

    path: Path
    frame: int | None = None  # of a loop, volume or several pages, from 0; None for a file of one
    subject: str = ""  # a number for the person that the file names, never the name itself
    bits: int = 16  # of a file of more than 8 that does not tell how many it uses


def image_files(
    folder: Path, bits: int = 16, without: Collection[Path] = ()
) -> dict[str, ImageFile]:
    """The images below a folder, or of one file, by every name that means but one of them.

    These are its name with and without suffix, and the same behind its folders, p01/1.png, those
    that all images share left out. `names_of` says which one is the image's own. Frame k of the
    cine loop NAME.dcm is the image NAME_k, counted from 1. `bits` are those that files of 16 bits
    use, `without` are files to pass over. Raises InputError where two files of a folder would be
    the same image, for a file system that knows no capital letters too.
    """
    images = [file._replace(bits=bits) for file in _images_in(tree_of(folder), set(without))]
    whole: dict[str, ImageFile] = {}
    taken: dict[str, Path] = {}
    ends: dict[str, dict[ImageFile, None]] = {}
    parts_of = {place: _parts(place, folder) for place in {file.path.parent for file in images}}
    of_all = set.intersection(*map(set, parts_of.values())) if images else set()
    for file in images:
        parts = parts_of[file.path.parent]
        own = [part for part in parts if part not in of_all]
        for name in _names(file):
            path = "/".join([*own, name])
            if (other := taken.setdefault(path.casefold(), file.path)) != file.path:
                raise InputError(
                    f"{other} and {file.path.name}: which one is image {name}? Keep one"
                )
            whole[path] = file
            for end in _ends("/".join(["", *parts, name])) if parts else ():
                ends.setdefault(end, {})[file] = None
    return {name: next(iter(of)) for name, of in ends.items() if len(of) == 1} | whole


def path_in(folder: Path, file: ImageFile) -> str:
    """How folds.csv writes it: the path below the folder, and #3 for the third frame of a file."""
    frame = "" if file.frame is None else f"#{file.frame + 1}"
    path = file.path.relative_to(folder) if folder.is_dir() else Path(file.path.name)
    return f"{path.as_posix()}{frame}"


def file_at(folder: Path, path: str, bits: int) -> ImageFile:
    """The file that `path_in` wrote."""
    name, mark, number = path.rpartition("#")
    if mark and number.isdecimal() and not (folder / path).is_file():
        return ImageFile(folder / name, int(number) - 1, bits=bits)
    return ImageFile(folder / path, bits=bits)


def _parts(place: Path, folder: Path) -> list[str]:
    """The names of the folders from `folder` down to `place`, which lies in it."""
    return [composed(part) for part in place.relative_to(folder).parts] if folder.is_dir() else []


def _names(file: ImageFile) -> set[str]:
    return {stem_of(file)} | ({composed(file.path.name)} if file.frame is None else set())


def _ends(path: str) -> Iterator[str]:
    """b/c and c of a/b/c."""
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def names_of(files: Mapping[str, ImageFile]) -> dict[str, ImageFile]:
    """The images of `image_files` by their own names: the shortest without suffix."""
    shortest: dict[ImageFile, str] = {}
    for name, file in files.items():
        if name.rpartition("/")[2] != stem_of(file):
            continue
        if file not in shortest or len(name) < len(shortest[file]):
            shortest[file] = name
    return {name: file for file, name in shortest.items()}


def composed(name: str) -> str:
    """One way to write letters with accents, of which file systems and tables use two."""
    return unicodedata.normalize("NFC", name)


def stem_of(file: ImageFile) -> str:
    """The image's name without suffix."""
    return stem_of_path(file.path) + ("" if file.frame is None else f"_{file.frame + 1}")


def stem_of_path(path: Path) -> str:
    """The file's name without suffix, of .nii.gz without both."""
    if path.suffix[1:].isdigit():  # a UID is a name as a whole
        return composed(path.name)
    stem = composed(path.name[: len(path.name) - len(suffix_of(path))])
    if path.parent.name in NNUNET:  # whose files name the channel
        return stem.removesuffix("_0000")
    return stem


def is_picture(path: Path) -> bool:
    """Whether a file is one that images are read from, by its name, of DICOM by its content too."""
    return suffix_of(path) in PICTURE_SUFFIXES or dicom.is_dicom(path)


def frames_in(path: Path) -> int:
    """How many pictures a known file has; 1 where reading it will tell what is wrong."""
    suffix = suffix_of(path)
    if suffix in volumes.SUFFIXES:
        try:
            return volumes.frames_in(path)
        except (volumes.VolumeError, FileNotFoundError):
            return 1
    if suffix in rasters.SEVERAL:
        return rasters.pages_in(path)
    return 1 if suffix in PICTURE_SUFFIXES else dicom.frames_in(path)


def read_image(file: ImageFile) -> Grey:
    """Grey image uint8 (height, width); raises UnusableImage for a file that holds none."""
    return read_picture(file).pixels


def read_picture(file: ImageFile) -> Picture:
    """Any file as 8-bit grey, and what it was.

    Colours become luminance (ITU-R 601). More than 8 bits are scaled to 8: through the window that
    a DICOM file tells, else from the depth that it states, else from `file.bits`. Fractions of 0 to
    1, or of 0 to 255, by the whole file.
    """
    suffix = suffix_of(file.path)
    if suffix in volumes.SUFFIXES:
        return _read_volume(file)
    if suffix == NUMPY:
        return _read_array(file)
    if dicom.is_dicom(file.path):
        return _read_dicom(file)
    return _opened(file.path, lambda image: _read_pillow(image, file), file.frame)


def raw_values(path: Path, frame: int | None = None) -> npt.NDArray[np.integer[Any]]:
    """Integers (height, width) as a file of any format has them stored, for masks.

    Colours are one number each, red << 16 | green << 8 | blue, and greys among them their value.
    Where the colours are all one and the transparency is not, it is the values. The lowest value of
    a TIFF stays the lowest, though it be shown as white. UnusableImage where there is none, where
    `frame` is needed and missing, and of values with fractions.
    """
    suffix = suffix_of(path)
    counted = suffix in rasters.SEVERAL  # when they are opened
    if frame is None and not counted and (several := frames_in(path)) > 1:
        raise UnusableImage(f"{several} pictures in one file: save each as its own")
    if suffix in volumes.SUFFIXES:
        values = _slice_of(path, frame or 0)
    elif suffix == NUMPY:
        values = _array_of(path)
    elif dicom.is_dicom(path):
        values = _frame_of(path, frame or 0).pixels
    else:
        values = _opened(path, _raw_values, frame)
    return _whole(one_number(values) if values.ndim == 3 else values)


def _whole(values: Array) -> npt.NDArray[np.integer[Any]]:
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values
    if values.dtype.kind == "f" and 0 <= values.min() <= values.max() <= 1 and (values % 1).any():
        raise UnusableImage(
            "holds fractions of 0 to 1, as probabilities are: set the pixels below the threshold "
            "that you choose to 0 and the others to 1, and save that as whole numbers"
        )
    if values.dtype.kind != "f" or not (np.abs(values) < 2**31).all() or (values % 1).any():
        raise UnusableImage("holds fractions, where whole numbers were expected")
    return values.astype(np.int64)


def is_jpeg(path: Path) -> bool:
    """By its first bytes, whatever its name."""
    with path.open("rb") as file:
        return file.read(3) == b"\xff\xd8\xff"


def spacing_of(file: ImageFile) -> tuple[float, float] | None:
    """Millimetres a pixel, down and across, as a volume or a DICOM file tells; None of others."""
    if not volumes.is_volume(file.path):
        return dicom.spacing_of(file.path) if dicom.is_dicom(file.path) else None
    try:
        return volumes.spacing_of(file.path)
    except (volumes.VolumeError, FileNotFoundError):
        return None


def sha_of_image(file: ImageFile) -> str:
    """Depends on the file's bytes, on those of a volume's data beside it, and on the frame."""
    paths = files_of_image(file.path)
    shas = [_sha_of_file(path, stamp) for path, stamp in zip(paths, stamp_of(file), strict=True)]
    sha = shas[0] if len(shas) == 1 else sha_of("/".join(shas).encode())
    return sha if file.frame is None else sha_of(f"{sha}/{file.frame}".encode())


def files_of_image(path: Path) -> list[Path]:
    """The file, and that of its data where it tells of one beside it."""
    try:
        return volumes.files_of(path)
    except (volumes.VolumeError, FileNotFoundError):
        return [path]


def stamp_of(file: ImageFile) -> list[Stamp]:
    """Of each of its files: what the disk tells of a change, without that any of it is read.

    A copy that keeps its date has another inode or another time of change still.
    """
    found = (path.stat() for path in files_of_image(file.path))
    return [(at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns) for at in found]


@lru_cache(maxsize=16)
def _sha_of_file(path: Path, _: Stamp) -> str:
    """Kept for the frames of one loop, which follow each other."""
    return sha_of(path.read_bytes())


def _images_in(tree: Tree, without: Collection[Path]) -> Iterator[ImageFile]:
    people: dict[str, str] = {}
    found: list[ImageFile] = []
    for path in tree.files:
        if path in without:
            continue
        require_printable(path)
        if path.parent.name in NNUNET and SECOND_CHANNEL.search(path.name):
            raise InputError(f"{path}: nnU-Net's second channel: keep the files _0000 alone")
        if is_picture(path):
            found += images_of_file(path, people)
    yield from _each_somebody(found, tree.root) if people else found


def images_of_file(path: Path, people: dict[str, str] | None = None) -> list[ImageFile]:
    """One image a frame. `people` gives each PatientID a number; where it is empty nobody knows."""
    people = {} if people is None else people
    if suffix_of(path) in PICTURE_SUFFIXES:
        count, subject = frames_in(path), ""
    else:
        count, person = dicom.frames_and_person(path)
        subject = people.setdefault(person, f"p{len(people) + 1}") if person else ""
    frames = range(count) if count > 1 else [None]
    return [ImageFile(path, frame, subject) for frame in frames]


def _each_somebody(files: list[ImageFile], folder: Path) -> Iterator[ImageFile]:
    """Where other DICOM files name a person, one that does not is a person of its own."""
    for file in files:
        if file.subject or suffix_of(file.path) in PICTURE_SUFFIXES:
            yield file
        else:
            name = file.path.relative_to(folder) if folder != file.path else file.path.name
            yield file._replace(subject=f"{OWN_PERSON}{composed(str(name))}")


def _frame_of(path: Path, frame: int) -> dicom.Frame:
    try:
        return dicom.frame_of(path, frame)
    except FileNotFoundError:
        raise UnusableImage("the file is missing") from None
    except dicom.DicomError as error:
        raise UnusableImage(f"not a DICOM image that can be read ({error})") from None


def _read_dicom(file: ImageFile) -> Picture:
    frame = _frame_of(file.path, file.frame or 0)
    if frame.pixels.ndim == 3:
        return from_colour(Image.fromarray(frame.pixels), "DICOM")
    kind = f"{frame.bits}-bit grey DICOM"
    pixels, high = dicom.shown(frame, file.bits)
    used = used_of(high, dicom.depth_of(frame, file.bits))
    if frame.bits > 8 and frame.window:
        kind += " by its window"
    return Picture(pixels, kind, ALL_BITS if used == frame.bits else used)


def _read_volume(file: ImageFile) -> Picture:
    values = _slice_of(file.path, file.frame or 0)
    low, high = volumes.range_of(file.path)
    if values.ndim == 3:
        if values.dtype != np.uint8:
            raise UnusableImage(f"has colours of {values.dtype}: save it as grey, or with 8 bits")
        return from_colour(Image.fromarray(values), "volume")
    if values.dtype.kind == "f":
        return from_floats(values, low, high)
    if values.dtype.kind not in "iu" or low < 0 or high >= 2**16:
        raise UnusableImage(f"holds values of {low:g} to {high:g}: {AS_GREY}")
    if high <= 255:
        return Picture(values.astype(np.uint8), "8-bit grey volume")
    used_of(int(high), file.bits)  # of the volume as a whole
    return from_integers(values, file.bits)


def _slice_of(path: Path, frame: int) -> Array:
    try:
        return volumes.values_of(path, frame)
    except FileNotFoundError:
        raise UnusableImage("the file is missing") from None
    except volumes.VolumeError as error:
        raise UnusableImage(f"not a volume that can be read ({error})") from None


def _read_array(file: ImageFile) -> Picture:
    values = _array_of(file.path)
    if values.dtype == np.bool_:
        return Picture(values.astype(np.uint8) * 255, "1-bit grey")
    if values.dtype == np.uint8:
        return Picture(values, "8-bit grey")
    if values.dtype.kind == "f":
        return from_floats(values, float(values.min()), float(values.max()))
    if values.dtype != np.uint16:
        raise UnusableImage(f"is an array of {values.dtype}: save it as uint8 or uint16")
    return from_integers(values, file.bits)


def _array_of(path: Path) -> Array:
    try:
        with PARSING:
            told = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory, cannot lie
        if not isinstance(told, np.ndarray) or told.ndim != 2 or not told.size:
            raise UnusableImage("an array of (height, width) was expected")
        require_small(*told.shape)
        del told  # a mapped file that is cut off while it is read would end the process
        with PARSING:
            return np.asarray(np.load(path, allow_pickle=False))
    except FileNotFoundError:
        raise UnusableImage("the file is missing") from None
    except UnusableImage:
        raise
    except Exception as error:  # what its parser of headers raises has no common base
        raise UnusableImage(f"not an array that can be read ({error})") from None


def _read_pillow(image: Image.Image, file: ImageFile) -> Picture:
    turned = rasters.orientation_of(image) != 1
    picture = _grey_of(rasters.upright(image), file)
    return picture._replace(kind=f"{picture.kind}, upright by EXIF") if turned else picture


def _grey_of(image: Image.Image, file: ImageFile) -> Picture:
    if image.mode == "1":
        return Picture(np.asarray(image, dtype=np.uint8) * 255, "1-bit grey")
    if image.mode == "L":
        return Picture(np.asarray(image), "8-bit grey")
    if image.mode in rasters.COLOURS:
        rasters.require_opaque(image)
        return from_colour(image, image.mode)
    inverted = rasters.white_is_zero(image)
    if image.mode == "F":
        picture = from_floats(np.asarray(image), *rasters.range_of(image, file.path, file.frame))
    else:
        picture = from_integers(np.asarray(image).astype(np.int64), file.bits)
    return picture._replace(pixels=255 - picture.pixels) if inverted else picture
