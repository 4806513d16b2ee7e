"""The processor cores that this process may use, and threads that soon sleep while they wait.

It needs no other module: lib/__init__.py runs it before PyTorch is there, and
tools/scoring/export.py copies it into scoring pipelines.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OF_THIS_PROCESS = Path("/proc/self/cgroup")
# Turns before a thread that waits for work sleeps; docs/benchmarks.md has what others cost.
SPINS = "20000"


def usable_cores() -> int:
    """At least 1: the cores that it may run on, fewer where a control group limits their time.

    os.cpu_count() knows neither: not taskset, Slurm or a cpuset, nor the limit of a container.
    """
    return math.ceil(min(allowed_cores(), max(1, quota())))


def allowed_cores() -> int:
    """Those that the system may run this process on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(groups: Path = CGROUPS, own: Path = OF_THIS_PROCESS) -> float:
    """The cores' worth of time that control groups, of version 1 or 2, allow; inf for all.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max;
    https://docs.kernel.org/scheduler/sched-bwc.html, cpu.cfs_quota_us.
    """
    return min(_limits(groups, own), default=math.inf)


def _limits(groups: Path, own: Path) -> Iterator[float]:
    """Of the control group of this process and of all above it."""
    lines = _text(own).splitlines()
    for number, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1):
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        root = groups if number == "0" else groups / "cpu"
        # In a container the path may be that outside, and the limit is at the root it sees.
        group = root / path.lstrip("/")
        for folder in {root, *(group, *group.parents)} - set(root.parents):
            found = _text(folder / "cpu.max").split() or [
                _text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")
            ]
            if len(found) == 2 and all(text.isdecimal() for text in found):  # else max, or -1
                yield int(found[0]) / int(found[1])


def _text(file: Path) -> str:
    """ "" where there is none that may be read."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""


def share_cores() -> None:
    """Makes threads sleep soon when they wait, and no more of them than cores that may be used.

    OpenMP's threads, which compute for PyTorch, spin for 300,000 turns otherwise. Beside other
    processes each then takes the time that another one needs to finish, and a step takes many times
    as long. Threads that sleep at once are slow too: to wake one takes long, most of all where
    others wait for its core. It acts only before PyTorch is imported, also in all child
    processes. What the environment says already stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    # Without a limit PyTorch's own choice is better: it leaves out hyperthreads.
    if usable_cores() < allowed_cores():
        for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
            os.environ.setdefault(name, str(usable_cores()))
