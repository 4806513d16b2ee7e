"""NumPy's .npz files, written a member at a time: memory does not grow with their number."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

# Bytes before a member's name in a zip (APPNOTE.TXT of the zip format, 4.3.7).
LOCAL_HEADER = 30


class Packed(NamedTuple):
    """A compressed member."""

    name: str  # of the file in the zip
    size: int  # in bytes, before
    checksum: int  # CRC-32, before
    deflated: bytes


def packed(name: str, array: npt.NDArray[Any]) -> Packed:
    """An array as a member. Any thread may do it: zlib holds up no other."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    content = buffer.getbuffer()
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)  # without zlib's own header
    deflated = deflate.compress(content) + deflate.flush()
    return Packed(f"{name}.npy", len(content), zlib.crc32(content), deflated)


def packed_image(image: str, planes: npt.NDArray[np.uint8]) -> Packed:
    """Planes (classes, height, width); of one class (height, width)."""
    return packed(image, planes[0] if len(planes) == 1 else planes)


class MemberWriter:
    """Writes an .npz. The same members give the same bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._members: list[zipfile.ZipInfo] = []

    def add(self, member: Packed) -> None:
        """Does what ZipFile.writestr does, which would compress, one member at a time."""
        info = zipfile.ZipInfo(member.name)  # dated 1980, whenever it is written
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        info.CRC, info.file_size = member.checksum, member.size
        info.compress_size, info.header_offset = len(member.deflated), self._file.tell()
        self._file.write(info.FileHeader())
        self._file.write(member.deflated)
        self._members.append(info)

    def close(self) -> None:
        """Writes the list of the members: without it the file is none."""
        with zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.filelist += self._members  # begins where the members end


def members_of(path: Path) -> Iterator[Packed]:
    """The members of a zip that MemberWriter wrote, in its order."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + LOCAL_HEADER - 4)
            name, extra = struct.unpack("<HH", file.read(4))  # lengths of what follows the header
            file.seek(name + extra, os.SEEK_CUR)
            deflated = file.read(info.compress_size)
            yield Packed(info.filename, info.file_size, info.CRC, deflated)
