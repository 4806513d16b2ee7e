"""A process that reads images, or one of several that train, is killed or hangs."""

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.conftest import STEPS
from tests.hammer.runs import Process, Scene, complaint, ended
from tests.hammer.table import Try

MINUTE = 60.0
# Of a traceback of the step: torchrun itself ends with one whenever a process of it fails.
OURS = re.compile(rf'File "[^"]*({STEPS[1]}\.py|/lib/(?!python)[^"]*)", line')


def workers(folder: Path, random: random.Random) -> Iterator[Try]:
    scene = Scene(folder, "number_of_workers=2", "epochs=6")
    while True:
        yield worker_killed(scene, random)


def worker_killed(scene: Scene, random: random.Random) -> Try:
    """One of two workers of 02 or 03 is killed; the same command then ends as ever."""
    number = random.choice([2, 3])
    scene.back_to(number - 1)
    process = scene.start(number)
    found = _child(process.pid, random)
    if found:
        time.sleep(random.uniform(0, 0.5))
        _kill(found)
    code, said = ended(process, 2 * MINUTE)
    wrong = [complaint(code, said, "process that reads images") if code else ""]
    code, said = scene.step(number)
    wrong.append(f"then it ended with {code}: {said[-300:]}" if code else scene.lost(number))
    return Try(f"step {number}: {found or 'none was there'}", "; ".join(filter(None, wrong)))


def ranks(folder: Path, random: random.Random) -> Iterator[Try]:
    """One of 2 or 4 processes of 02 is killed: all end in a minute, and the next start goes on."""
    scenes: dict[int, Scene] = {}
    while True:
        count = random.choice([2, 2, 4])
        if count not in scenes:
            (folder / f"{count}").mkdir()
            scenes[count] = Together(folder / f"{count}", count)
        scene = scenes[count]
        scene.back_to(1)
        process = scene.start(2)
        found = _rank(process.pid, random)
        time.sleep(random.uniform(0, scene.seconds[1]) / 2)
        start = time.monotonic()
        if found:
            _kill(found)
        code, said = ended(process, 3 * MINUTE)
        seconds = time.monotonic() - start
        wrong = [f"ended after {seconds:.0f} s"] if seconds > MINUTE else []
        if OURS.search(said):
            wrong.append(f"a traceback: {said[:1000]}")
        code, said = scene.step(2)
        wrong.append(f"then it ended with {code}: {said[-300:]}" if code else scene.lost(2))
        yield Try(f"rank of {count}: {found or 'none was there'}", "; ".join(filter(None, wrong)))


class Together(Scene):
    """A run whose second step has several processes."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        super().__init__(folder, "number_of_workers=0")

    def undisturbed(self, number: int) -> None:
        """In so many processes: by one, sums are of other order."""
        code, said = self.step(number)
        if code:
            raise RuntimeError(f"the undisturbed run failed: {said}")

    def start(self, number: int, *more: str) -> Process:
        if number != 2:
            return super().start(number, *more)
        python, *command = self.command(number, *more)
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={self.count}"]
        return self.start_afresh([python, *launcher, *command])


def children(pid: int) -> list[int]:
    """Of the process and of what they started."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    found = [int(word) for text in lists for word in text.split()]
    return [*found, *(grandchild for child in found for grandchild in children(child))]


def _child(pid: int, random: random.Random) -> int:
    """Some worker, once there is one; 0 where none comes."""
    for _ in range(600):
        if found := children(pid):
            return random.choice(found)
        if not Path(f"/proc/{pid}").exists():
            return 0
        time.sleep(0.05)
    return 0


def _rank(pid: int, random: random.Random) -> int:
    """One of those that run the step, once there is one."""
    for _ in range(1200):
        found = [child for child in children(pid) if STEPS[1] in _command_of(child)]
        if found:
            return random.choice(found)
        time.sleep(0.05)
    return 0


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
