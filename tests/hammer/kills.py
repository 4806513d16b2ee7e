"""Signals at random moments of the four scripts, now and then two in a row during start-up."""

import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.hammer.runs import IMPORTS, SIGNALS, Scene, ended
from tests.hammer.table import Try

START_UP = 2.0  # seconds


def kills(folder: Path, random: random.Random) -> Iterator[Try]:
    scene = Scene(folder, "number_of_workers=1")
    while True:
        yield kill(scene, random)


def kill(scene: Scene, random: random.Random) -> Try:
    """A step is cut off once or twice and started again: it ends as if nothing had been."""
    step = random.randint(1, 4)
    scene.back_to(step - 1)
    moments = [random.uniform(0, IMPORTS + scene.seconds[step - 1])]
    if random.random() < 0.3:
        moments = [random.uniform(0, START_UP), random.uniform(0, START_UP), *moments]
    signals = [random.choice(SIGNALS) for _ in moments]
    cuts = list(zip(signals, moments, strict=True))
    what = ", ".join(f"{number.name} after {moment:.2f} s" for number, moment in cuts)
    wrong = [_cut(scene, scene.command(step), number, moment) for number, moment in cuts]
    code, said = scene.step(step)
    if code:
        wrong.append(f"the same command ended with {code}: {said[-300:]}")
    wrong.append(scene.lost(step))
    return Try(f"step {step}: {what}", "; ".join(filter(None, wrong)))


def kills_of_all(folder: Path, random: random.Random) -> Iterator[Try]:
    """The same with run_all.sh, in a copy of the project whose .venv has this Python."""
    scene = Scene(folder, "number_of_workers=1")
    script = ["bash", str(project(folder) / "run_all.sh"), *scene.words]
    while True:
        scene.back_to(0)
        number = random.choice(SIGNALS)
        moment = random.uniform(0, 4 * IMPORTS + sum(scene.seconds))
        wrong = [_cut(scene, script, number, moment)]
        code, said = ended(scene.start_afresh(script))
        if code:
            wrong.append(f"the same command ended with {code}: {said[-300:]}")
        wrong.append(scene.lost(4))
        yield Try(f"run_all.sh: {number.name} after {moment:.2f} s", "; ".join(filter(None, wrong)))


def project(folder: Path) -> Path:
    """Links to all that run_all.sh needs, and a .venv that installs nothing."""
    here = folder / "project"
    (here / ".venv" / "bin").mkdir(parents=True)
    for path in REPOSITORY.iterdir():
        if path.name not in (".venv", ".git"):
            (here / path.name).symlink_to(path)
    python = here / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    texts = [path.read_text() for path in sorted(here.glob("requirements*.txt"))]
    wanted = "".join([*texts, (here / "constraints.txt").read_text()])
    (here / ".venv" / "installed-requirements.txt").write_text(wanted)
    return here


def _cut(scene: Scene, command: list[str], number: signal.Signals, moment: float) -> str:
    """Sends the signal to all that the command started; what is wrong with how it ended."""
    process = scene.start_afresh(command)
    time.sleep(moment)
    if process.poll() is None:
        os.killpg(process.pid, number)
    code, said = ended(process)
    if re.search(r'File ".*/0\d_\w+\.py"', said):  # none of Python's own, before it begins ours
        return f"{number.name} was answered by a traceback: {said[-300:]}"
    return "" if code in (0, 1, -number, 128 + number) else f"ended with {code}: {said[-300:]}"
