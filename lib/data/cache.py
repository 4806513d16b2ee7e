"""Arrays of one shape in a file: made once, then read in any order by any process.

The file is the arrays one after the other, then the CRC-32 of all. Its name holds a key of all that
they depend on, so it never changes: it is written under a name of its own beside its place and
renamed, and whoever makes it at the same time makes the same bytes. Hence no locks, which some
network disks do not know.
"""

import errno
import os
import shutil
import time
import uuid
import weakref
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lib.runtime.progress import progress

Pixels = npt.NDArray[np.uint8]
Make = Callable[[], Iterable[Pixels]]

SUFFIX, UNFINISHED = ".images", ".part"
GIB = 1 << 30
CHECKSUM = 4  # bytes
SPARE = GIB  # bytes that a new file leaves free on the disk, for models and states
LEFT_BEHIND = 600  # seconds in which nothing was written, after which its writer counts as killed
INSTEAD = "images are read from their own files"


class Store:
    """The arrays of a file, read when asked for.

    Not mapped: where a network disk loses a file that is mapped, the process ends (SIGBUS). Reading
    takes as long, and tells. The file stays open, so that it can be read to the end when another
    run has deleted it.
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self._path, self._shape = path, shape
        self._file: int | None = None
        with suppress(OSError):
            self._file = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)

    def __getitem__(self, place: int) -> Pixels | None:
        """A new array of the shape; None where the file can no longer be read, which it says."""
        size = self._shape[0] * self._shape[1]
        if self._file is None:
            return None
        try:
            content = os.pread(self._file, size, place * size)
        except OSError:
            content = b""
        if len(content) < size:
            self._file = None
            print(f"{self._path} can no longer be read: {INSTEAD}")
            return None
        return np.frombuffer(content, dtype=np.uint8).reshape(self._shape).copy()

    def __reduce__(self) -> tuple[type["Store"], tuple[Path, tuple[int, int]]]:
        """A worker process that is not a fork opens the file for itself."""
        return Store, (self._path, self._shape)


def kept(path: Path, count: int, shape: tuple[int, int], make: Make, limit: int) -> Store | None:
    """The file's `count` arrays uint8; it is made where it is not there or damaged.

    `make` gives them in their order, in batches (n, height, width). None where there is no room,
    and a line that says so. The folder keeps to `limit` bytes: the files that were not used for
    longest are deleted.
    """
    needed = count * shape[0] * shape[1] + CHECKSUM
    size = f"{count} images at {shape[0]}x{shape[1]} ({needed / GIB:.2f} GiB)"
    if needed > limit:
        print(f"cache_gib={limit / GIB:g} has no room for {size}: {INSTEAD}")
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_room(path, limit - needed)
        if not _is_whole(path, count, shape):
            _require_free(path.parent, needed)
            _write(path, count, shape, make())
            _make_room(path, limit - needed)  # another run may have made its own meanwhile
            print(f"{path}: {size}")
    except OSError as error:
        print(f"{path} cannot be kept ({error.strerror}): {INSTEAD}")
        return None
    with suppress(OSError):  # the file of another person
        os.utime(path)
    return Store(path, shape)


def _make_room(path: Path, limit: int) -> None:
    """Deletes what killed runs left, and of other files those not used for longest, to `limit`."""
    for part in path.parent.glob(f"*{UNFINISHED}"):
        with suppress(OSError):  # another run was faster, or it is of another person
            if time.time() - part.stat().st_mtime > LEFT_BEHIND:
                part.unlink()
    others = []
    for other in path.parent.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            if other != path:
                others.append((other.stat().st_mtime, other.stat().st_size, other))
    used = sum(size for _, size, _ in others)
    for _, size, other in sorted(others):
        if used > limit:
            other.unlink(missing_ok=True)
            used -= size
            print(f"{other} is deleted, to keep within cache_gib")


def _is_whole(path: Path, count: int, shape: tuple[int, int]) -> bool:
    """Whether the file is there, and as long and with the content that it was written with."""
    size, checksum = shape[0] * shape[1], 0
    if not path.is_file():
        return False
    if path.stat().st_size == count * size + CHECKSUM:
        with path.open("rb") as file:
            for _ in progress(range(count), "checking the cache"):
                checksum = zlib.crc32(file.read(size), checksum)
            if file.read() == _written(checksum):
                return True
    print(f"{path} is damaged and is made anew")
    return False


def _written(checksum: int) -> bytes:
    return checksum.to_bytes(CHECKSUM, "little")


def _require_free(folder: Path, needed: int) -> None:
    """Raises OSError where a file of `needed` bytes would fill the disk."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise OSError(
            errno.ENOSPC,
            f"{needed / GIB:.2f} GiB and {SPARE / GIB:.0f} to spare are more than the "
            f"{free / GIB:.2f} GiB that are free",
        )


def _write(path: Path, count: int, shape: tuple[int, int], batches: Iterable[Pixels]) -> None:
    part = path.with_name(f"{path.stem}.{uuid.uuid4().hex}{UNFINISHED}")
    checksum = 0
    try:
        with (
            part.open("xb") as file,
            progress(title="caching images", total=count) as bar,
        ):
            for batch in batches:
                content = np.ascontiguousarray(batch).data
                file.write(content)
                checksum = zlib.crc32(content, checksum)
                bar.update(len(batch))
            file.write(_written(checksum))
            file.flush()
            os.fsync(file.fileno())
        # Not over one that another run has made meanwhile: it may be reading it on another machine.
        if not _is_whole(path, count, shape):
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
