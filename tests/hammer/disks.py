"""A disk that is full, or a quota that is used up, at any write of a step."""

import contextlib
import errno
import io
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from lib.runtime.errors import InputError
from tests.conftest import configured, step
from tests.hammer.runs import Scene, complaint, hashes, leftovers
from tests.hammer.table import Try

ROOM = "256m"


def full_disks(folder: Path, random: random.Random) -> Iterator[Try]:
    """A small tmpfs for runs/, then the same command with room. Needs root; else no try."""
    scene = Scene(folder, "number_of_workers=0", "build_scoring_pipelines=true")
    shutil.rmtree(scene.runs)
    scene.runs.mkdir()
    if not _mounted(scene.runs, "1m"):
        return
    try:
        while True:
            number = random.randint(1, 4)
            _mounted(scene.runs, ROOM, "remount")
            _refill(scene, number - 1)
            before, after = (size_of(scene.folder / f"after{n}") for n in (number - 1, number))
            room = random.randint(0, max(4096, 2 * (after - before)) // 4096 + 4) * 4096
            used = shutil.disk_usage(scene.runs).used
            _mounted(scene.runs, str(used + room), "remount")
            wrong = []
            code, said = scene.step(number)
            if code:
                wrong.append(complaint(code, said, str(scene.runs), "cannot be written"))
            _mounted(scene.runs, ROOM, "remount")
            code, said = scene.step(number)
            if code:
                wrong.append(f"with room it ended with {code}: {said[-300:]}")
            wrong.append(scene.lost(number))
            yield Try(f"step {number} with {room:,} bytes", "; ".join(filter(None, wrong)))
    finally:
        subprocess.run(["umount", str(scene.runs)], check=False)


def refused_syncs(folder: Path, random: random.Random) -> Iterator[Try]:
    scene = Scene(folder, "number_of_workers=0")
    while True:
        yield refused_sync(scene, random)


def refused_sync(scene: Scene, random: random.Random) -> Try:
    """The disk takes the bytes and says only then that it has no room, as network disks do."""
    number = random.randint(1, 4)
    reason = random.choice([errno.ENOSPC, errno.EDQUOT, errno.EIO])
    which = random.randint(1, 12)
    scene.back_to(number - 1)
    wrong = [_refused(scene, number, which, reason)]
    with redirect_stdout(io.StringIO()):
        step(number).main(configured(scene.words))
    now = hashes(scene.run)
    other = [name for name, sha in scene.hashes[number].items() if now.get(name) != sha]
    wrong += [f"differs: {', '.join(other)}"] if other else []
    wrong += [f"left behind: {left}" for left in leftovers(scene.runs)]
    what = f"step {number}, sync {which}: {errno.errorcode[reason]}"
    return Try(what, "; ".join(filter(None, wrong)))


def _refused(scene: Scene, number: int, which: int, reason: int) -> str:
    left, fsync = [which], os.fsync

    def refuse(file: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(reason, os.strerror(reason))
        fsync(file)

    try:
        with redirect_stdout(io.StringIO()), patch("os.fsync", refuse):
            step(number).main(configured(scene.words))
    except InputError as error:
        return "" if str(scene.runs) in str(error) else f"names no file: {error}"
    except Exception as error:
        return f"a traceback: {type(error).__name__}: {error}"
    return ""


def _mounted(place: Path, size: str, more: str = "") -> bool:
    options = ",".join(filter(None, [more, f"size={size}"]))
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    return False


def _refill(scene: Scene, number: int) -> None:
    """What is mounted cannot be deleted itself."""
    for path in scene.runs.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(scene.folder / f"after{number}", scene.runs, dirs_exist_ok=True)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
