"""The images that a labelling tool names, among the files that are there."""

import posixpath
import re

from PIL import Image

from lib.data.pictures.arrays import ImageFile, composed, dicom, stem_of
from lib.data.pictures.rasters import DAMAGED, ORIENTATION

UPLOAD = re.compile("^[0-9a-f]{8}-")  # what Label Studio and others put before an uploaded name
ON_ITS_SIDE = range(5, 9)  # EXIF's orientations that exchange height and width


def image_of(told: str, files: dict[str, ImageFile]) -> str:
    """The name in `files` of the image that a tool calls `told`, a name or a path of any system.

    As much of the path as is found tells; then the name without the prefix of an upload. The bare
    name where nothing is found.
    """
    parts = posixpath.normpath(composed(told).replace("\\", "/")).split("/")
    names = ["/".join(parts[k:]) for k in range(len(parts))]
    for name in [*names, UPLOAD.sub("", parts[-1])]:
        if name in files:
            return name_of(files[name], files, name)
    return parts[-1]


def name_of(file: ImageFile, files: dict[str, ImageFile], other: str) -> str:
    """The shortest full name of a file that is this file's alone, else `other`."""
    names = (composed(file.path.name), stem_of(file))
    return next((name for name in names if files.get(name) == file), other)


def size_of(file: ImageFile) -> tuple[int, int]:
    """Height and width of the picture as it is shown, by its header; ValueError where it has none.

    Tools that show a picture upright have the points of their outlines so.
    """
    try:
        if dicom.is_dicom(file.path):
            if (size := dicom.size_of(file.path)) is None:
                raise ValueError("its header tells none")
            return size
        with Image.open(file.path) as image:
            turned = image.getexif().get(ORIENTATION) in ON_ITS_SIDE
            return (image.width, image.height) if turned else (image.height, image.width)
    except DAMAGED as error:
        raise ValueError(f"the size of its picture cannot be read: {error}") from None
