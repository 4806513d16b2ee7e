"""Arrays of one shape in a .npy file: made once, then mapped into memory by every process.

The file's name holds a key of all that its content depends on, so it never changes.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from numpy.lib import format as npy

from lib.runtime.errors import NotWritten
from lib.runtime.files import remove_parts, written_whole
from lib.runtime.progress import progress

Pixels = npt.NDArray[np.uint8]
Make = Callable[[], Iterable[Pixels]]

SUFFIX = ".npy"
GIB = 1 << 30
SPARE = GIB  # bytes that a new file leaves free on the disk, for models and states
INSTEAD = "images are read from their own files"


class Store:
    """The arrays of a file, read when asked for."""

    def __init__(self, path: Path) -> None:
        self._path, self._arrays = path, npy.open_memmap(path, mode="r")

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, place: int) -> Pixels:
        """A new array of the shape."""
        return np.array(self._arrays[place])

    def __reduce__(self) -> tuple[type["Store"], tuple[Path]]:
        """A worker process that is not a fork maps the file for itself."""
        return Store, (self._path,)


def kept(path: Path, count: int, shape: tuple[int, int], make: Make, limit: int) -> Store | None:
    """The file's `count` arrays uint8; it is made where it is not there or cut off.

    `make` gives them in their order, in batches (n, height, width). None where the folder would
    grow beyond `limit` bytes or the disk would be full, and a line that says so.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".lock"):  # a second run waits, and finds the file
            remove_parts(path.parent)
            if not _is_whole(path):
                if not _has_room(path.parent, count * shape[0] * shape[1], limit):
                    return None
                _write(path, (count, *shape), make())
    except OSError as error:
        print(f"{path} cannot be kept ({error.strerror}): {INSTEAD}")
        return None
    except NotWritten as error:
        print(f"{error}. Meanwhile {INSTEAD}")
        return None
    return Store(path)


def _is_whole(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        Store(path)
    except ValueError:
        print(f"{path} is damaged and is made anew")
        return False
    return True


def _has_room(folder: Path, needed: int, limit: int) -> bool:
    used = sum(path.stat().st_size for path in folder.glob(f"*{SUFFIX}"))
    if used + needed > limit:
        print(
            f"cache_gib={limit / GIB:g} has no room for {needed / GIB:.2f} GiB beside the "
            f"{used / GIB:.2f} of other runs: {INSTEAD}. What is in {folder} may be deleted"
        )
    elif needed + SPARE > shutil.disk_usage(folder).free:
        print(f"{folder}: the disk has no room for {needed / GIB:.2f} GiB and 1 more: {INSTEAD}")
    else:
        return True
    return False


def _write(path: Path, shape: tuple[int, ...], batches: Iterable[Pixels]) -> None:
    """Not mapped: where the disk is full, that would end the process instead of telling."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with written_whole(path) as file, progress(title="caching images", total=shape[0]) as bar:
        npy.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(np.ascontiguousarray(batch).data)
            bar.update(len(batch))
    print(f"{path}: {shape[0]} images at {shape[1]}x{shape[2]}")
