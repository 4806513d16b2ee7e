"""Image and mask files -> arrays, and the refusal of files that would give wrong ones."""

import io
import struct
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from lib.data import dicom
from lib.data.tree import Tree, tree_of
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of

PICTURE_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm"}
MASK_SUFFIX = "_mask"
COLOURS = {"P", "PA", "RGB", "RGBA", "LA", "CMYK", "YCbCr"}
MODES = COLOURS | {"1", "L", "I", "I;16", "I;16L", "I;16B"}
# TIFF's tags, the first of them in EXIF too: of a picture that is to be shown rotated or mirrored,
# and of one whose lowest value is white.
ORIENTATION, PHOTOMETRIC, WHITE_IS_ZERO = 274, 262, 0
BITS = 258  # the tag of how many a channel has
# What Pillow's decoders raise for files whose content is not as their format has it.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

Grey = npt.NDArray[np.uint8]
Result = TypeVar("Result")


class UnusableImage(Exception):
    """An image file that cannot be used; the message says why, without the image's name."""


class ImageFile(NamedTuple):
    """Where an image is: a file, or one frame of a file."""

    path: Path
    frame: int | None = None  # of a DICOM cine loop, from 0; None for a file of one image
    subject: str = ""  # a number for the person that the file names, never the name itself
    bits: int = 16  # of a file of more than 8 that does not tell how many it uses


class Picture(NamedTuple):
    pixels: Grey  # (height, width)
    kind: str  # what the file held, such as "16-bit grey"
    bits_used: int = 0  # of a file of more than 8 that does not tell them; 0 of others


def image_files(
    folder: Path, bits: int = 16, without: Collection[Path] = ()
) -> dict[str, ImageFile]:
    """The images below a folder, or of one file, by every name that means but one of them.

    These are its name with and without suffix, and the same behind its folders, p01/1.png.
    `name_of` says which one is the image's own. Frame k of the cine loop NAME.dcm is the image
    NAME_k, counted from 1. `bits` are those that files of 16 bits use, `without` are files to pass
    over. Raises InputError where two files of a folder would be the same image, for a file system
    that knows no capital letters too.
    """
    images = [file._replace(bits=bits) for file in _images_in(tree_of(folder), set(without))]
    whole: dict[str, ImageFile] = {}
    taken: dict[str, Path] = {}
    ends: dict[str, dict[ImageFile, None]] = {}
    for file in images:
        place = file.path.parent.relative_to(folder).as_posix() if folder.is_dir() else "."
        for name in _names(file):
            path = name if place == "." else f"{composed(place)}/{name}"
            if (other := taken.setdefault(path.casefold(), file.path)) != file.path:
                raise InputError(
                    f"{other} and {file.path.name}: which one is image {name}? Keep one"
                )
            whole[path] = file
            for end in _ends(path):
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
    path = file.path
    stem = path.name if path.suffix[1:].isdigit() else path.stem  # a UID is a name as a whole
    if path.parent.name in ("imagesTr", "imagesTs"):  # nnU-Net's, which name the channel
        stem = stem.removesuffix("_0000")
    return composed(stem) + ("" if file.frame is None else f"_{file.frame + 1}")


def read_image(file: ImageFile) -> Grey:
    """Grey image uint8 (height, width); raises UnusableImage for a file that holds none."""
    return read_picture(file).pixels


def read_picture(file: ImageFile) -> Picture:
    """Any file as 8-bit grey, and what it was.

    Colours become luminance (ITU-R 601). More than 8 bits are scaled to 8, from the depth that a
    DICOM file states, else from `file.bits`.
    """
    if dicom.is_dicom(file.path):
        return _read_dicom(file)
    return _opened(file.path, lambda image: _read_pillow(image, file.bits))


def _opened(path: Path, read: Callable[[Image.Image], Result]) -> Result:
    """What `read` makes of the picture; UnusableImage for a file that is none."""
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            _require_plain(image)
            return read(image)
    except FileNotFoundError:
        raise UnusableImage("the file is missing") from None
    except UnidentifiedImageError:
        raise UnusableImage("not an image of a known format, or its end is missing") from None
    except DAMAGED as error:
        raise UnusableImage(f"damaged or truncated ({error})") from None


def _require_plain(image: Image.Image) -> None:
    """Refuses what has several pictures, or one that is to be shown turned or through others."""
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise UnusableImage(f"{frames} pictures in one file: save each as its own")
    if image.format == "JPEG" and (turned := image.getexif().get(ORIENTATION, 1)) != 1:
        raise UnusableImage(f"is stored rotated (EXIF orientation {turned}): save it upright")
    if image.mode not in MODES:
        raise UnusableImage(f"mode {image.mode}: save it as grey of 8 or 16 bits")
    if image.mode in COLOURS:
        if _bits_of_colour(image) > 8:
            raise UnusableImage("has 16 bits a colour: save it as grey, or with 8")
        if image.has_transparency_data and (np.asarray(image.convert("RGBA"))[..., 3] < 255).any():
            raise UnusableImage("has transparent pixels: save it without")


def _bits_of_colour(image: Image.Image) -> int:
    """As a PNG or TIFF tells them; Pillow reads the upper 8."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITS, (8,)))
    tile: Any = getattr(image, "tile", None)
    return 16 if image.format == "PNG" and tile and "16" in str(tile[0][3]) else 8


def _raw_values(image: Image.Image) -> npt.NDArray[Any]:
    """(height, width): grey values as they are stored, colours as one number each."""
    if image.mode in COLOURS:
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int32), -1, 0)
        grey = (red == green) & (green == blue)
        return np.where(grey, red, (red << 16) + (green << 8) + blue)
    pixels = np.asarray(image)
    return pixels.astype(np.uint8 if pixels.dtype.itemsize == 1 else np.int64)


def sha_of_image(file: ImageFile) -> str:
    """Depends on the file's bytes and on the frame."""
    about = file.path.stat()
    sha = _sha_of_file(file.path, about.st_mtime_ns, about.st_size)
    return sha if file.frame is None else sha_of(f"{sha}/{file.frame}".encode())


@lru_cache(maxsize=16)
def _sha_of_file(path: Path, _modified: int, _size: int) -> str:
    """Kept for the frames of one loop, which follow each other."""
    return sha_of(path.read_bytes())


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES or dicom.is_dicom(path)


def _images_in(tree: Tree, without: Collection[Path]) -> Iterator[ImageFile]:
    people: dict[str, str] = {}
    for path in tree.files:
        if path in without:
            continue
        if not path.name.isprintable():
            raise InputError(f"{str(path)!a}: a name in UTF-8 was expected: rename the file")
        if is_picture(path):
            yield from images_of_file(path, people)


def images_of_file(path: Path, people: dict[str, str] | None = None) -> list[ImageFile]:
    """One image a frame. `people` gives each PatientID a number; where it is empty nobody knows."""
    if not dicom.is_dicom(path):
        return [ImageFile(path)]
    count, person = dicom.frames_and_person(path)
    people = {} if people is None else people
    subject = people.setdefault(person, f"p{len(people) + 1}") if person else ""
    return (
        [ImageFile(path, frame, subject) for frame in range(count)]
        if count > 1
        else [ImageFile(path, None, subject)]
    )


def is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == b"\xff\xd8\xff"


def raw_values(path: Path, frame: int | None = None) -> npt.NDArray[Any]:
    return _opened(path, _raw_values)


def _read_dicom(file: ImageFile) -> Picture:
    try:
        pixels, bits = dicom.pixels_of(file.path, file.frame or 0)
    except dicom.DicomError as error:
        raise UnusableImage(f"not a DICOM image that can be read ({error})") from None
    if pixels.ndim == 3:
        return _from_colour(Image.fromarray(pixels), "DICOM")
    return Picture(_to_8_bits(pixels, bits), f"{bits}-bit grey DICOM")


def _read_pillow(image: Image.Image, bits: int) -> Picture:
    if image.mode == "1":
        return Picture(np.asarray(image, dtype=np.uint8) * 255, "1-bit grey")
    if image.mode == "L":
        return Picture(np.asarray(image), "8-bit grey")
    if image.mode in COLOURS:
        return _from_colour(image, image.mode)
    picture = _from_integers(np.asarray(image).astype(np.int64), bits)
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    return picture._replace(pixels=255 - picture.pixels) if inverted else picture


def _from_integers(values: npt.NDArray[np.int64], bits: int) -> Picture:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= 2**16:
        raise UnusableImage(f"holds values of {low} to {high}: save it as grey of 8 or 16 bits")
    used = high.bit_length()
    if used > bits:
        raise UnusableImage(f"holds values up to {high}: image_bits={bits} is less than its {used}")
    return Picture(_to_8_bits(values, bits), f"16-bit grey, {used} used", used)


def _to_8_bits(values: npt.NDArray[np.int64], bits: int) -> Grey:
    if bits == 8:
        return values.astype(np.uint8)
    return np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)


def _from_colour(image: Image.Image, mode: str) -> Picture:
    colours = image.convert("RGB")
    pixels = np.asarray(colours)
    grey = (pixels[..., :1] == pixels[..., 1:3]).all()
    kind = f"8-bit {'grey' if grey else 'colour'} as {mode}"
    return Picture(np.asarray(colours.convert("L")), kind)
