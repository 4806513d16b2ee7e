"""MetaImage, .mha or .mhd with its file of data -> arrays; ITK's format, whose header is text."""

import zlib
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

NAMES = "UCHAR CHAR USHORT SHORT UINT INT ULONG_LONG LONG_LONG FLOAT DOUBLE"
KINDS = "u1 i1 u2 i2 u4 i4 u8 i8 f4 f8"
TYPES = {f"MET_{n}": kind for n, kind in zip(NAMES.split(), KINDS.split(), strict=True)}
LONGEST = 1 << 16  # of a header; a file without an end to its header is none


class Header(NamedTuple):
    fields: dict[str, str]
    size: tuple[int, ...]  # (x, y, ...)
    end: int  # its bytes, behind which LOCAL data begin


def header_of(path: Path) -> Header:
    """ValueError where it is none, or its data are not of a kind that is read."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            key, sign, value = file.readline(LONGEST).decode("latin-1").partition("=")
            if not sign or file.tell() > LONGEST:
                raise ValueError("no header of a MetaImage")
            fields[key.strip()] = value.strip()
        kind, end = fields.get("ElementType", ""), file.tell()
    if kind not in TYPES or fields["ElementDataFile"].startswith("LIST"):
        raise ValueError(f"{kind} in {fields['ElementDataFile']}: save it as one .mha")
    return Header(fields, tuple(map(int, fields["DimSize"].split())), end)


def data_file_of(path: Path, header: Header) -> Path:
    name = header.fields["ElementDataFile"]
    return path if name.upper() == "LOCAL" else beside(path, name)


def beside(path: Path, name: str) -> Path:
    """The file that a header names; ValueError where it is in no folder of the header's own."""
    data = path.parent / name
    if (
        Path(name).is_absolute()
        or ".." in Path(name).parts
        or (data.exists() and not data.is_file())
    ):
        raise ValueError(f"its data {name[:80]!r} are no file beside it: put both into one folder")
    return data


def channels_of(header: Header) -> int:
    return int(header.fields.get("ElementNumberOfChannels", 1))


def array_of(path: Path) -> npt.NDArray[Any]:
    """(x, y, ...), or (channels, x, y, ...) where there are several."""
    header = header_of(path)
    file, told = data_file_of(path, header), header.fields
    skipped = header.end if file == path else int(told.get("HeaderSize", 0))
    high_first = told.get("BinaryDataByteOrderMSB", told.get("ElementByteOrderMSB", "False"))
    kind = np.dtype(TYPES[told["ElementType"]]).newbyteorder(">" if _true(high_first) else "<")
    shape = (channels_of(header), *header.size)
    needed = prod(shape) * kind.itemsize
    content = file.read_bytes()
    data = content[skipped:] if skipped >= 0 else content[-needed:]
    if _true(told.get("CompressedData", "False")):
        data = zlib.decompressobj().decompress(data, needed)
    if len(data) < needed or not _true(told.get("BinaryData", "True")):
        raise ValueError(f"{needed} bytes of data were expected, it has {len(data)}")
    values = np.frombuffer(data[:needed], kind).reshape(shape, order="F")
    return values[0] if shape[0] == 1 else values


def _true(word: str) -> bool:
    return word.lower() in ("true", "1")
