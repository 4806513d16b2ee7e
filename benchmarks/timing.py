"""What the benchmarks share: networks, processes timed and weighed, rounds in turn, tables.

A value is always a time, so less is better; a line's ratio is to the first line of its row.
"""

import contextlib
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from lib.config.fields import Config
from tools.watch.speed import GIB, device_name

REPOSITORY = Path(__file__).parent.parent
NETWORKS = {
    "resnet34": Config(pretrained=False),
    "lite0": Config(
        backbone="tu-tf_efficientnet_lite0", image_height=192, image_width=256, pretrained=False
    ),
}
BETWEEN = 0.1  # seconds between two looks at the memory of a process


class Line(NamedTuple):
    """One contestant of a row."""

    who: str
    times: list[float]  # one a round; none where it could not be measured
    unit: str = ""
    note: str = ""
    flops: float = 0.0  # of the work whose time it is


class Usage(NamedTuple):
    """Of a process and those it started."""

    seconds: float
    of_processors: float  # seconds
    gib: float  # the most memory at a time, where Linux tells it; shared pages count once

    def __str__(self) -> str:
        return f"{self.of_processors:.0f} s of processors, {self.gib:.2f} GiB at most"


def alternating(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each measured once a round, so that other work on the machine meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in measures}
    with tqdm(total=rounds * len(measures), disable=None, leave=False) as bar:
        for _ in range(rounds):
            for name, measure in measures.items():
                bar.set_description(name)
                times[name].append(measure())
                bar.update()
    return times


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def answer_of(
    python: str, module: str, *words: object, environment: Mapping[str, str] | None = None
) -> Any:
    """The JSON that `python -m module words` prints last, run from the repository."""
    command = [python, "-m", module, *map(str, words)]
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr or done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def missing(package: str, python: str = sys.executable) -> str:
    """How to install a peer's package; "" where it is there."""
    code = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({package!r}))"
    if subprocess.run([python, "-c", code]).returncode == 0:
        return ""
    return f"needs {package}: {python} -m pip install -r benchmarks/requirements.txt"


def used_by(command: Sequence[object]) -> Usage:
    """What a command takes; where it fails, that ends this process with its last words."""
    with tempfile.TemporaryFile("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen([*map(str, command)], cwd=REPOSITORY, stdout=log, stderr=log)
        done, looks = threading.Event(), list[float]()
        watcher = threading.Thread(target=_watch, args=(process.pid, done, looks))
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        done.set()
        watcher.join()
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(map(str, command))} failed:\n{log.read()[-2000:]}")
    return Usage(seconds, used.ru_utime + used.ru_stime, max(looks, default=math.nan) / GIB)


def _watch(pid: int, done: threading.Event, looks: list[float]) -> None:
    """Adds the bytes that the process and those it started hold, until it is done.

    And the most that it alone has held so far, lest a short peak be missed. (getrusage would count
    the memory of the process that started it too.)
    """
    while not done.wait(BETWEEN):
        sizes = [proportional_set_size(number) for number in _family(pid)]
        looks.append(math.fsum(size for size in sizes if not math.isnan(size)))
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            looks.append(1024 * int(found[1]) if found else 0)


def proportional_set_size(pid: int | str | None) -> float:
    """Bytes that a process holds, its share of pages that several hold; nan where none tells it."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # another system, or a process that is not ours to read
        return math.nan
    found = re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else math.nan


def _family(pid: int) -> Iterator[int]:
    """The process and those it started, as Linux tells them; elsewhere and once ended, fewer."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in thread.read_text().split():
                yield from _family(int(child))


def machine(device: torch.device) -> str:
    """Processor, threads, load and versions, in words."""
    where = f"{device_name(device)}; " if device.type == "cuda" else ""
    cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    return (
        f"{where}{device_name(torch.device('cpu'))}, {cores}, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


class Cores:
    """How many cores others than this process and its children have kept busy since it was made.

    Linux tells it, of the whole machine; elsewhere nan.
    """

    def __init__(self) -> None:
        self._wall, self._all, self._own = time.monotonic(), _busy(), _own()

    def of_others(self) -> float:
        others = (_busy() - self._all) - (_own() - self._own)
        return max(0.0, others / (time.monotonic() - self._wall))


def _busy() -> float:
    """Seconds of all cores that were not idle, since the start of the machine."""
    try:
        words = Path("/proc/stat").read_text().split(maxsplit=9)
    except OSError:
        return float("nan")
    user, nice, system, _, _, irq, softirq = map(int, words[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    return sum(os.times()[:4])


HEADER = (
    "| row | who | median | least to most | ratio | of the peak | note |\n"
    "|---|---|---|---|---|---|---|"
)


def table(row: str, lines: Sequence[Line], peak: float = 0.0) -> str:
    """Markdown below HEADER; `peak` is the machine's, in FLOP a unit of the times."""
    medians = [statistics.median(line.times) if line.times else None for line in lines]
    first = medians[0]
    cells = []
    for line, median in zip(lines, medians, strict=True):
        if median is None:
            cells.append((line.who, "", "", "", "", line.note))
            continue
        spread = f"{min(line.times):.3g} to {max(line.times):.3g}" if line.times[1:] else ""
        ratio = f"{median / first:.2f}" if first else ""
        share = f"{line.flops / peak / median:.0%}" if line.flops and peak else ""
        cells.append((line.who, f"{median:.4g} {line.unit}", spread, ratio, share, line.note))
    return "\n".join(f"| {row} | {' | '.join(words)} |" for words in cells)
