"""A tiny run of the four scripts as processes, snapshots of it after each, and what differs."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import torch

from tests.conftest import REPOSITORY, STEPS, configured, settings_in, step, write_competition
from tests.hashes import UNLIKE, hash_of
from tests.prepared import Started

LIMIT = 240.0  # seconds after which a step counts as hung
START = 0.5  # seconds that a prepared process needs until it works, about
IMPORTS = 4.0  # seconds that one of its own does, about
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


Process = subprocess.Popen[str] | Started


class Scene:
    """data/, and runs/nerve as it is after each step of an undisturbed run."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder, self.runs = folder, folder / "runs"
        write_competition(folder / "data")
        small = ("backbone=tu-test_resnet", "checkpoint_minutes=0", "quiet=true")
        self.words = [*settings_in(folder), *small, *more]
        self.seconds: list[float] = []  # of each step, without the start of its process
        self.hashes: list[dict[str, str]] = []
        self._keep(0)
        torch.set_num_threads(1)  # as in the processes: another number rounds in another way
        for number in range(1, 5):
            start = time.monotonic()
            self.undisturbed(number)
            self.seconds.append(time.monotonic() - start)
            self._keep(number)

    def undisturbed(self, number: int) -> None:
        with redirect_stdout(io.StringIO()):
            step(number).main(configured(self.words))

    @property
    def run(self) -> Path:
        return self.runs / "nerve"

    def _keep(self, number: int) -> None:
        self.runs.mkdir(exist_ok=True)
        shutil.copytree(self.runs, self.folder / f"after{number}", symlinks=True)
        self.hashes.append(hashes(self.run))

    def back_to(self, number: int) -> None:
        """The run as it was after the step of this number; 0: before the first."""
        shutil.rmtree(self.runs)
        shutil.copytree(self.folder / f"after{number}", self.runs, symlinks=True)

    def command(self, number: int, *more: str) -> list[str]:
        script = REPOSITORY / f"{STEPS[number - 1]}.py"
        return [sys.executable, str(script), *self.words, *more]

    def start(self, number: int, *more: str) -> Process:
        """The step in a prepared process, which has its imports behind it."""
        script = REPOSITORY / f"{STEPS[number - 1]}.py"
        return Started(script, *self.words, *more, threads=1)

    def start_afresh(self, command: list[str]) -> subprocess.Popen[str]:
        """In a group of its own, so that signals reach what it starts as a terminal's do."""
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
            start_new_session=True,
        )

    def step(self, number: int, *more: str) -> tuple[int, str]:
        """Its status, 124 for a hang, and what it printed."""
        return ended(self.start(number, *more))

    def lost(self, number: int) -> str:
        """What is other than after the undisturbed step; empty: nothing."""
        found, expected = hashes(self.run), self.hashes[number]
        names = sorted(found.keys() | expected.keys())
        other = [name for name in names if found.get(name) != expected.get(name)]
        left = leftovers(self.runs)
        lines = [f"differs: {', '.join(other)}"] if other else []
        return "; ".join([*lines, *([f"left behind: {', '.join(left)}"] if left else [])])


def ended(process: Process, limit: float = LIMIT) -> tuple[int, str]:
    """Its status, 124 for a hang, and what it printed."""
    if isinstance(process, Started):
        try:
            end = process.ended(limit)
        except AssertionError as error:
            return 124, str(error)
        return end.returncode, end.stdout + end.stderr
    try:
        said = process.communicate(timeout=limit)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return 124, f"hung for {limit:g} s: {process.communicate()[0]}"
    return process.returncode, said


def hashes(run: Path) -> dict[str, str]:
    """Of every file that an equal run would have byte by byte."""
    return {
        str(path.relative_to(run)): hash_of(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in UNLIKE and not path.name.startswith(".")
    }


def leftovers(runs: Path) -> list[str]:
    """Unfinished files, and copies that only a training under way needs."""
    names = (".*.part", "state.new.pt", "state.before.pt", ".*.npz.*", ".in_use_by")
    return sorted(str(path.relative_to(runs)) for name in names for path in runs.rglob(name))


def complaint(code: int, said: str, *names: str) -> str:
    """What is wrong with how a step refused: it must end with 1, in a line that has the names."""
    if code != 1:
        return f"status {code}: {said[-300:]}"
    if "Traceback" in said:
        return f"a traceback: {said[-300:]}"
    missing = [name for name in names if name not in said]
    return f"does not name {', '.join(missing)}: {said[-300:]}" if missing else ""
