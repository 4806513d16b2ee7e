"""A zip archive -> a folder with its content, unpacked once; what could do harm is refused."""

import copy
import fcntl
import hashlib
import os
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath

from lib.runtime.progress import Progress, progress

LIMIT = 64 << 30  # bytes, unpacked
MOST_MEMBERS = 1_000_000
# Deflate packs at most 1032:1. A blank picture comes near that too, but is smaller than LARGE.
LARGE, MOST_RATIO = 64 << 20, 1000
# The module zipfile sets no limit to what a few bytes of the other methods become in memory.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
SKIPPED = {"__MACOSX", ".DS_Store", "Thumbs.db"}  # what Finder and Explorer leave behind
CHUNK = 1 << 20
LOCK = ".unpacking"

# Flag bits (APPNOTE.TXT of the zip format, 4.4.4): encrypted in any of three ways; a name in UTF-8.
ENCRYPTED, UTF8 = 0x1 | 0x40 | 0x2000, 0x800
# What the module zipfile raises where the content is not as the format has it.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,
)

Members = list[tuple[PurePosixPath, zipfile.ZipInfo]]


class ArchiveError(ValueError):
    """An archive that is not unpacked; the message names it and says what to do."""


def unpacked(archive: Path, into: Path) -> Path:
    """The folder below `into` with the archive's content, unpacked unless it is there already.

    Its name ends in a hash of the names, sizes and checksums in the archive: another content gets
    another folder. Where all files stand in one folder, that one is returned. Archives within the
    archive stay files; file modes, empty folders and SKIPPED are left out.

    Raises ArchiveError where the archive is not a whole zip, has no files, or more than the limits
    above or the disk allow; where a member is encrypted, damaged, a link, packed by a method not
    in METHODS, or would be written outside the folder; where two members are one file on a disk
    that tells neither case nor Unicode forms apart; and where the folder cannot be written.
    """
    with _opened(archive) as content:
        folder = into / f"{archive.stem}-{_key(content)}"
        try:
            if not folder.is_dir():
                _unpack(archive, content, folder)
            inside = [path for path in folder.iterdir() if path.name not in SKIPPED]
        except OSError as error:
            raise ArchiveError(
                f"{archive}: cannot be unpacked into {into} ({error.strerror}): make room there "
                "and have it writable, or unpack the archive yourself and give the folder"
            ) from error
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except OSError as error:
        raise ArchiveError(f"{archive}: cannot be read ({error.strerror})") from error
    except DAMAGED as error:
        raise ArchiveError(
            f"{archive}: not a zip archive, or not the whole of one: download it again"
        ) from error


def _key(content: zipfile.ZipFile) -> str:
    digest = hashlib.sha256()
    for info in content.infolist():
        digest.update(f"{info.orig_filename}\0{info.file_size}\0{info.CRC}\0".encode())
    return digest.hexdigest()[:12]


def _unpack(archive: Path, content: zipfile.ZipFile, folder: Path) -> None:
    """Makes the folder, which is there only when it is whole."""
    into = folder.parent
    members = _members(archive, content)
    into.mkdir(parents=True, exist_ok=True)
    with (into / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, and finds the folder
        if not folder.is_dir():
            _check_size(archive, members, into)
            _extract(archive, content, members, folder)


def _members(archive: Path, content: zipfile.ZipFile) -> Members:
    """The files to write, each one checked."""
    if len(content.infolist()) > MOST_MEMBERS:
        raise ArchiveError(
            f"{archive}: has more than {MOST_MEMBERS:,} members: unpack it yourself and give the "
            "folder"
        )
    members = []
    for info in content.infolist():
        name = _name(info)
        if fault := _fault(name, info):
            raise ArchiveError(f"{archive}: member {name!r} {fault}")
        path = PurePosixPath(name)
        if not name.endswith("/") and SKIPPED.isdisjoint(path.parts):
            members.append((path, info))
    if not members:
        raise ArchiveError(f"{archive}: there is no file in it: pack it again")
    _check_distinct(archive, [path for path, _ in members])
    return members


def _name(info: zipfile.ZipInfo) -> str:
    """The whole name; ZipInfo.filename ends at the first NUL."""
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        with suppress(UnicodeError):
            return name.encode("cp437").decode()  # Finder writes UTF-8 and does not say so
    return name


def _fault(name: str, info: zipfile.ZipInfo) -> str:
    """Why the member is refused and what to do; "" where it is not."""
    path = PurePosixPath(name)
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 from programs that know no Unix modes
    if info.flag_bits & ENCRYPTED:
        return "is encrypted: unpack the archive with its password and give the folder"
    if path.is_absolute() or ".." in path.parts or re.search(r"^[A-Za-z]:|[\\\0]", name):
        return "would be written outside the folder: pack it again, with paths like folder/file"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR if name.endswith("/") else 0):
        return "is a link or device: pack the file itself"
    if info.compress_type not in METHODS:
        return f"is packed by method {info.compress_type}: pack it again, by method 8 (deflate)"
    if info.file_size > max(LARGE, MOST_RATIO * info.compress_size):
        return (
            f"would become more than {MOST_RATIO:,} times as large, as a zip bomb does: if you "
            "trust the archive, unpack it yourself and give the folder"
        )
    return ""


def _check_distinct(archive: Path, paths: list[PurePosixPath]) -> None:
    files: dict[str, PurePosixPath] = {}
    for path in paths:
        if (other := files.setdefault(_folded(path), path)) is not path:
            raise ArchiveError(
                f"{archive}: members '{other}' and '{path}' are one file on some disks: pack it "
                "again, with names that differ in more than case or accents' form"
            )
    for folder in {parent for path in paths for parent in path.parents}:
        if file := files.get(_folded(folder)):
            raise ArchiveError(
                f"{archive}: member '{file}' is a file and a folder: pack it again, with one of "
                "them renamed"
            )


def _folded(path: PurePosixPath) -> str:
    """Equal for canonical caseless matches (The Unicode Standard, definition D145)."""
    decomposed = unicodedata.normalize("NFD", str(path))
    return unicodedata.normalize("NFD", decomposed.casefold())


def _check_size(archive: Path, members: Members, into: Path) -> None:
    size = sum(info.file_size for _, info in members)
    if size > LIMIT:
        raise ArchiveError(
            f"{archive}: would unpack to {size:,} bytes, more than {LIMIT:,}: unpack it yourself "
            "and give the folder"
        )
    if sum(info.compress_size for _, info in members) > archive.stat().st_size:
        raise ArchiveError(
            f"{archive}: its members overlap, as those of a zip bomb do: pack it again"
        )
    if size > (free := shutil.disk_usage(into).free):
        raise ArchiveError(
            f"{archive}: would unpack to {size:,} bytes, and {into} has room for {free:,}: make "
            "room there, or unpack it elsewhere and give the folder"
        )


def _extract(archive: Path, content: zipfile.ZipFile, members: Members, folder: Path) -> None:
    part = folder.with_name(f".{folder.name}.part")
    _remove_leftovers(folder.parent, archive.stem)
    size = sum(info.file_size for _, info in members)
    try:
        for parent in {path.parent for path, _ in members}:
            (part / parent).mkdir(parents=True, exist_ok=True)
        with progress(title=archive.name, total=size, unit="B", unit_scale=True) as bar:
            for path, info in members:
                if not _copied(content, info, part / path, bar):
                    raise ArchiveError(
                        f"{archive}: member '{path}' is damaged, its size or checksum is another "
                        "than the archive says: download it again"
                    )
        os.sync()  # else, after a power cut, the folder could be there without all of its content
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _remove_leftovers(into: Path, stem: str) -> None:
    """Removes what killed runs had unpacked of this archive; needs the lock."""
    for path in list(into.iterdir()):
        if path.name.startswith(f".{stem}-") and path.suffix == ".part":
            shutil.rmtree(path)


def _copied(content: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, bar: Progress) -> bool:
    """Writes the member; False where it is not what the archive says."""
    longer = copy.copy(info)
    longer.file_size += 1  # else zipfile would cut off unseen what is more than the size given
    try:
        with content.open(longer) as source, target.open("xb") as file:
            while chunk := source.read(CHUNK):
                bar.update(file.write(chunk))
            return file.tell() == info.file_size
    except DAMAGED:
        return False
