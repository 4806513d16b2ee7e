"""03 and the exported scorer over very many images: memory or open files that grow with them."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.scripts import save_random_networks
from benchmarks.timing import proportional_set_size
from lib.artifacts.run import Run
from tests.conftest import REPOSITORY, STEPS, configured, settings_in, step, write_competition
from tests.hammer.ends import children
from tests.hammer.table import Try
from tools.scoring.export import export

FRAMES = 50_000
BETWEEN = 1.0  # seconds between two looks
MOST_MIB = 1.0  # that 1,000 frames may add
MOST_HANDLES = 0.1  # the same of open files
MIB = 1 << 20


class Look(NamedTuple):
    """At a process and those it started."""

    seconds: float
    mib: float  # pages that several hold count once
    handles: int  # open files


def long_runs(folder: Path, _: random.Random) -> Iterator[Try]:
    """One of each program, over as many links to the pictures of a small test set."""
    write_competition(folder / "data", test_images=8)
    small = ["backbone=tu-test_resnet", "image_width=32", "number_of_workers=2", "quiet=true"]
    words = [*settings_in(folder), *small]
    config = configured(words)
    step(1).main(config)
    save_random_networks(words)
    for number in (3, 4):
        step(number).main(config)
    scorer = export(config) / "score.py"
    frames = linked(folder / "data" / "test", folder / "frames")
    infer = REPOSITORY / f"{STEPS[2]}.py"
    yield watched("03_infer.py", [infer, *words, f"test={frames}", "cache_gib=0"])
    yield watched("score.py", [scorer, frames, "--out", folder / "masks"])
    assert len(list((folder / "masks").iterdir())) == FRAMES
    assert Run.of(config).test.is_file()


def linked(pictures: Path, folder: Path) -> Path:
    """FRAMES names of the few pictures."""
    folder.mkdir()
    sources = sorted(pictures.iterdir())
    for number in range(FRAMES):
        source = sources[number % len(sources)]
        os.link(source, folder / f"{number}{source.suffix}")
    return folder


def watched(name: str, command: Sequence[object]) -> Try:
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    start, looks = time.monotonic(), list[Look]()
    while process.poll() is None:
        looks.append(look_at(process.pid, time.monotonic() - start))
        time.sleep(BETWEEN)
    said = process.communicate()[1]
    if process.returncode:
        return Try(name, f"status {process.returncode}: {said[-600:]}")
    return judged(name, looks)


def look_at(pid: int, seconds: float) -> Look:
    family = [pid, *children(pid)]
    mib = np.nansum([proportional_set_size(one) for one in family]) / MIB
    return Look(seconds, float(mib), sum(map(_handles, family)))


def _handles(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:  # it has ended
        return 0


def judged(name: str, looks: Sequence[Look]) -> Try:
    """By straight lines through the second half of the looks, as if all frames took as long."""
    looks = [look for look in looks if look.mib]  # not of a process that has ended
    late = np.array(looks[len(looks) // 2 :])
    thousands = late[:, 0] * (FRAMES / 1000 / looks[-1].seconds)
    mib, handles = (float(np.polyfit(thousands, late[:, k], 1)[0]) for k in (1, 2))
    peak = max(look.mib for look in looks)
    most = max(look.handles for look in looks)
    what = (
        f"{name}, {FRAMES:,} frames in {looks[-1].seconds:.0f} s: {mib:+.3f} MiB and "
        f"{handles:+.3f} open files per 1,000; at most {peak:.0f} MiB and {most} open files"
    )
    lost = ["memory grows"] if mib >= MOST_MIB else []
    return Try(what, "; ".join(lost + ["open files grow"] * (handles >= MOST_HANDLES)))
