"""Pictures that vanish, change or may not be read, while a step reads them or before it does."""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from tests.conftest import tiny_image
from tests.hammer.runs import START, Scene, complaint, ended
from tests.hammer.table import Try

NOBODY = 65534


def vanish(path: Path) -> None:
    path.unlink()


def another(path: Path) -> None:
    """Another picture of the same size and time, such as `cp -p` makes."""
    about = path.stat()
    cv2.imwrite(str(path), tiny_image(4711, nerve=True)[0])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


CHANGES: list[Callable[[Path], None]] = [vanish, another, half]


def changes(folder: Path, random: random.Random) -> Iterator[Try]:
    scene = Scene(folder, "number_of_workers=0", "cache_gib=0", "epochs=4")
    while True:
        yield changed(scene, random)


def changed(scene: Scene, random: random.Random) -> Try:
    """Before 02 or 03, or at a random moment of 01, 02 and 03, which then must not use the picture.

    A step that has read it for the last time may end well; the next one must name it.
    """
    number, change = random.randint(1, 3), random.choice(CHANGES)
    scene.back_to(number - 1)
    name = f"{random.randint(1, 6)}_{random.randint(1, 4)}"
    path = scene.folder / "data" / "train" / f"{name}.tif"
    moment = random.choice([0.0, random.uniform(0, START + scene.seconds[number - 1])])
    wrong = []
    if number == 1:
        moment = random.uniform(0.1, START + 2 * scene.seconds[0])
    before = path.read_bytes()
    code, said = _changed_in(scene, number, path, change, moment)
    wrong.append(complaint(code, said, name) if code else "")
    if code == 0 and number == 1:
        code, said = scene.step(2)
        wrong.append(complaint(code, said, name) if code else "")
    elif code == 0:
        code, said = scene.step(3)
        wrong.append(complaint(code, said, name))
    path.write_bytes(before)
    what = f"step {number}: {name} {change.__name__} after {moment:.1f} s"
    return Try(what, "; ".join(filter(None, wrong)))


def _changed_in(
    scene: Scene, number: int, path: Path, change: Callable[[Path], None], moment: float
) -> tuple[int, str]:
    if not moment:
        change(path)
        return scene.step(number)
    process = scene.start(number)
    time.sleep(moment)
    change(path)
    return ended(process)


def forbidden(folder: Path, random: random.Random) -> Iterator[Try]:
    """A run folder, a file of it or a picture that may not be written or read, for a user not root.

    No try where this process may not become another user.
    """
    if os.getuid() or not shutil.which("setpriv"):
        return
    scene = Scene(folder, "number_of_workers=0")
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    while True:
        number = random.randint(1, 4)
        scene.back_to(number - 1)
        paths = [path for path in scene.runs.rglob("*") if not path.name.startswith(".")]
        paths += [*(scene.folder / "data").rglob("*"), scene.runs]
        chosen = random.choice(paths)
        for path in [scene.folder, *scene.folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        for parent in [scene.folder, *scene.folder.parents]:
            if parent != Path("/") and parent.stat().st_mode & 5 != 5:
                parent.chmod(parent.stat().st_mode | 0o055)
        mode = chosen.stat().st_mode
        chosen.chmod(random.choice([0o000, 0o500] if chosen.is_dir() else [0o000]))
        code, said = ended(scene.start_afresh([*words, *scene.command(number)]))
        chosen.chmod(mode)
        wrong = [complaint(code, said, chosen.stem) if code else ""]
        code, said = ended(scene.start_afresh([*words, *scene.command(number)]))
        wrong.append(f"then it ended with {code}: {said[-300:]}" if code else scene.lost(number))
        yield Try(f"step {number}: {chosen.relative_to(folder)}", "; ".join(filter(None, wrong)))
