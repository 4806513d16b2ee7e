"""Files written beside their place, flushed and renamed: whole or not there. And their hashes."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock

from lib.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd  # slow to load, and only tables need it


LOCK = ".lock"


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A binary file for writing that takes its name only when all of it is on the disk."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, str(path.parent), str(temporary)):
            raise  # of another file, read meanwhile
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_once(folder: Path, fill: Callable[[Path], None]) -> None:
    """Makes the folder where it is not there: `fill` writes what belongs in it to another.

    That one gets the name when it is whole. Runs that make something in the same place at the same
    time wait for each other.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.part")
    with FileLock(folder.with_name(LOCK)):
        if folder.is_dir():
            return
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
        try:
            unfinished.mkdir()
            fill(unfinished)
            os.sync()  # else a power cut could leave the folder without all of its content
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def existing(path: Path, step: str) -> Path:
    """The path, or the InputError that names the step which makes it."""
    if not path.is_file():
        raise InputError(f"{path} is missing: run {step} first")
    return path


def sha_of(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def sha_of_file(path: Path) -> str:
    """sha_of its content, without having all of it in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def stable_hash(*values: object) -> int:
    """32 bits that depend on the values alone (Python's own hash differs from run to run)."""
    text = "/".join(map(str, values))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def save_table(path: Path, table: "pd.DataFrame") -> None:
    """A .csv in UTF-8; fractions to six digits."""
    with written_whole(path) as file:
        file.write(table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())


def save_json(path: Path, content: dict[str, Any]) -> None:
    with written_whole(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
