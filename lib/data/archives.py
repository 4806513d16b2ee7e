"""A zip archive -> a folder with its content, unpacked once."""

import hashlib
import re
import shutil
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath

from lib.runtime.files import make_once
from lib.runtime.progress import progress

LIMIT = 64 << 30  # bytes, unpacked
MOST_FILES = 1_000_000
MOST_PACKED, RATIO = 1 << 30, 100  # what unpacks to more than either is no archive of pictures
SKIPPED = {"__MACOSX", ".DS_Store", "Thumbs.db"}  # what Finder and Explorer leave behind
ENCRYPTED, UTF8 = 0x1, 0x800  # flag bits: encrypted; a name in UTF-8
# What the module zipfile raises where the content is not as the format has it.
DAMAGED = (
    zipfile.BadZipFile,
    IndexError,  # of a name that begins with a zero
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,
)

Members = list[zipfile.ZipInfo]


class ArchiveError(ValueError):
    """An archive that is not unpacked; the message names it and says what to do."""


def unpacked(archive: Path, into: Path) -> Path:
    """The folder below `into` with the archive's content, unpacked unless it is there already.

    Its name ends in a hash of the names, sizes and checksums in the archive: another content gets
    another folder. Where all files stand in one folder, that one is returned. Archives within the
    archive stay files; file modes, empty folders and SKIPPED are left out.

    Raises ArchiveError where the archive is not a whole zip, has no files, or more than LIMIT or
    the disk allow; where a member is encrypted, damaged or would be written outside the folder;
    where two members are one file on a disk that does not tell capitals apart; and where the folder
    cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = _members(archive, content)
            folder = into / f"{archive.stem}-{_key(members)}"
            make_once(folder, lambda new: _extract(archive, content, members, new))
    except ArchiveError:
        raise
    except OSError as error:
        raise ArchiveError(
            f"{archive}: cannot be unpacked into {into} ({error.strerror or error}): check that "
            "both can be read and written, or unpack it yourself and give the folder"
        ) from error
    except DAMAGED as error:
        raise ArchiveError(
            f"{archive}: not a zip archive, or not the whole of one ({error}): download it again"
        ) from error
    inside = [path for path in folder.iterdir() if path.name not in SKIPPED]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _members(archive: Path, content: zipfile.ZipFile) -> Members:
    """The files to write, each one checked."""
    if len(content.infolist()) > MOST_FILES:
        raise ArchiveError(
            f"{archive}: has more than {MOST_FILES:,} files: unpack it yourself and give the folder"
        )
    members: dict[str, zipfile.ZipInfo] = {}
    for info in content.infolist():
        name = info.filename = _name(info)
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or re.search(r"^[A-Za-z]:|\\", name):
            raise ArchiveError(
                f"{archive}: member {name!r} would be written outside the folder: pack it again, "
                "with paths like folder/file"
            )
        if info.flag_bits & ENCRYPTED:
            raise ArchiveError(
                f"{archive}: member {name!r} is encrypted: unpack the archive with its password "
                "and give the folder"
            )
        if name.endswith("/") or not SKIPPED.isdisjoint(path.parts):
            continue
        if (other := members.setdefault(str(path).casefold(), info)) is not info:
            raise ArchiveError(
                f"{archive}: members {other.filename!r} and {name!r} are one file on some disks: "
                "pack it again, with other names"
            )
    if not members:
        raise ArchiveError(f"{archive}: there is no file in it: pack it again")
    return list(members.values())


def _name(info: zipfile.ZipInfo) -> str:
    if not info.flag_bits & UTF8:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode()  # Finder writes UTF-8, and does not say
    return info.filename


def _key(members: Members) -> str:
    about = [f"{info.filename}\0{info.file_size}\0{info.CRC}\0" for info in members]
    return hashlib.sha256("".join(about).encode()).hexdigest()[:12]


def _extract(archive: Path, content: zipfile.ZipFile, members: Members, into: Path) -> None:
    size, room = sum(info.file_size for info in members), shutil.disk_usage(into).free
    if size > min(LIMIT, room):
        raise ArchiveError(
            f"{archive}: would unpack to {size:,} bytes, and {into.parent} has room for "
            f"{min(LIMIT, room):,}: unpack it elsewhere and give the folder"
        )
    if size > max(MOST_PACKED, RATIO * archive.stat().st_size):
        raise ArchiveError(
            f"{archive}: would unpack to {size:,} bytes, more than {RATIO} times its own, as bombs "
            "do: if you trust it, unpack it yourself and give the folder"
        )
    for info in progress(members, archive.name, unit="files"):
        content.extract(info, into)
