"""Files written beside their place, flushed and renamed: whole or not there. And their hashes."""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock

from lib.runtime.errors import InputError, NotWritten

if TYPE_CHECKING:
    import pandas as pd  # slow to load, and only tables need it


LOCK = ".lock"
PART = ".part"  # the end of a file that is being written
SUMS = "checksums.json"
SUMS_KEPT = 4  # of a file: a kill may come between the hash and the name, more than once
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def written_whole(path: Path, summed: bool = False) -> Iterator[IO[bytes]]:
    """A binary file for writing that takes its name only when all of it is on the disk.

    With `summed` its hash is kept in checksums.json beside it, and `existing` compares. NotWritten
    where the disk refuses; what had the name before has it then still.
    """
    temporary, raw = path.with_name(f".{path.name}{PART}"), None
    try:
        _make(path.parent)
        raw = _Watched(temporary, "wb")
        with io.BufferedWriter(raw) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if summed:
            _note(path, sha_of_file(temporary))
        temporary.replace(path)
        sync_folder(path.parent)
    except Exception as error:
        reason = _refusal(error, raw, temporary)
        if reason is None:
            raise
        raise NotWritten(f"{path}: cannot be written{_advice(reason, raw)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


class _Watched(io.FileIO):
    """Keeps what the disk said: those who write, such as torch.save, may raise something else."""

    refused: OSError | None = None
    missing = 0  # bytes at least

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            self.refused, self.missing = error, memoryview(data).nbytes
            raise


def _refusal(error: Exception, raw: _Watched | None, temporary: Path) -> OSError | None:
    """What the disk said, where it is the reason for the error."""
    if raw and raw.refused:
        return raw.refused
    ours = [None, str(temporary), *map(str, temporary.parents)]
    if not isinstance(error, OSError) or isinstance(error, ConnectionError):  # that of a worker
        return None
    return error if error.filename in ours else None


def _advice(reason: OSError, raw: _Watched | None) -> str:
    if reason.errno not in FULL:
        return f" ({reason.strerror})"
    missing = f"at least {raw.missing:,} bytes are missing" if raw and raw.missing else "it is full"
    return f" ({reason.strerror}): {missing}. Make room, and start the same command again to go on"


def _make(folder: Path) -> None:
    """So that a power cut does not take a new folder with all that is in it."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Puts the names in it on the disk: else a power cut could undo a rename."""
    with suppress(OSError):  # some network disks know no such thing
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def remove_parts(folder: Path) -> None:
    """Deletes what killed runs left half-written in a folder that nobody else writes to now."""
    for path in folder.glob(f".*{PART}"):
        if path.is_file():
            path.unlink(missing_ok=True)


def _note(path: Path, sha: str) -> None:
    """Before the file gets its name: those of the file before count for as long."""
    sums = _sums(path.parent)
    known = [other for other in sums.get(path.name, []) if other != sha]
    now = {path.name: [sha, *known][:SUMS_KEPT]}
    if sums | now != sums:
        save_json(path.with_name(SUMS), sums | now)


def _sums(folder: Path) -> dict[str, list[str]]:
    """The last hashes of each file in the folder that was written with `summed`."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    try:
        sums: dict[str, list[str]] = json.loads(path.read_bytes())
        return {str(name): [*shas] for name, shas in sums.items()}
    except (ValueError, AttributeError, TypeError):
        raise InputError(f"{path} is damaged: delete it") from None


def intact(path: Path, noted_as: str = "") -> bool:
    """Whether the file is as it was written, as far as its folder's checksums.json knows it.

    `noted_as` is the name it had then.
    """
    shas = _sums(path.parent).get(noted_as or path.name)
    return shas is None or sha_of_file(path) in shas


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
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def existing(path: Path, step: str) -> Path:
    """The path, or the InputError that names the step which makes it.

    So too where it is not as it was written.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: run {step} first")
    if not intact(path):
        raise InputError(f"{not_as_written(path)}. Delete it and run {step} again")
    return path


def not_as_written(path: Path) -> str:
    """What is said of a file that is not `intact`; its hash may be what is wrong."""
    return (
        f"{path} is not as it was written: it, or {SUMS} beside it, is damaged or was changed by "
        "hand"
    )


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


def save_table(path: Path, table: "pd.DataFrame", summed: bool = False) -> None:
    """A .csv in UTF-8; fractions to six digits."""
    with written_whole(path, summed) as file:
        file.write(table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())


def save_json(path: Path, content: dict[str, Any], summed: bool = False) -> None:
    with written_whole(path, summed) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
