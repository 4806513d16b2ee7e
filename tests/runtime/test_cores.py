"""Threads and cores; benchmarks/company.py measures what they are worth."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.runtime import cores
from lib.runtime.cores import quota, share_cores, usable_cores
from tests.conftest import REPOSITORY

VERSION_1 = "4:memory:/jobs/7\n2:cpu,cpuacct:/jobs/7\n"
VERSION_2 = "0::/jobs/7\n"
STARTS = ["02_train.py", "tools.scoring.__main__", "lib.unet", "tests.conftest", "benchmarks.peak"]
FIRST = """
import builtins, os, sys
original = builtins.__import__
def watched(name, *args, **more):
    if name == "torch":
        print(os.environ.get("OMP_WAIT_POLICY"))
        os._exit(0)
    return original(name, *args, **more)
builtins.__import__ = watched
import runpy
run = runpy.run_path if sys.argv[1].endswith(".py") else runpy.run_module
run(sys.argv[1])
import torch
"""


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        pytest.param(VERSION_2, {"jobs/7/cpu.max": "150000 100000"}, 1.5, id="2"),
        pytest.param(VERSION_2, {"jobs/7/cpu.max": "max 100000"}, math.inf, id="2, none"),
        pytest.param(
            VERSION_2,
            {"jobs/cpu.max": "100000 100000", "jobs/7/cpu.max": "400000 100000"},
            1,
            id="2, a lower one above",
        ),
        pytest.param(VERSION_2, {"cpu.max": "50000 100000"}, 0.5, id="2, of a container"),
        pytest.param(
            VERSION_1,
            {"cpu/jobs/7/cpu.cfs_quota_us": "300000", "cpu/jobs/7/cpu.cfs_period_us": "100000"},
            3,
            id="1",
        ),
        pytest.param(
            VERSION_1,
            {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
            2,
            id="1, of a container",
        ),
        pytest.param(
            VERSION_1,
            {"cpu/jobs/7/cpu.cfs_quota_us": "-1", "cpu/jobs/7/cpu.cfs_period_us": "100000"},
            math.inf,
            id="1, none",
        ),
        pytest.param(VERSION_1, {"jobs/7/cpu.max": "100000 100000"}, math.inf, id="not a limit"),
        pytest.param("", {}, math.inf, id="no control groups"),
    ],
)
def test_control_groups_limit_the_cores(
    own: str, files: dict[str, str], expected: float, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    assert quota(tmp_path / "groups", tmp_path / "own") == expected


@pytest.mark.parametrize(
    ("allowed", "limit", "usable", "threads"),
    [
        (8, math.inf, 8, None),  # PyTorch knows better
        (8, 1.5, 2, "2"),
        (8, 0.5, 1, "1"),
        (2, 16.0, 2, None),
    ],
)
def test_no_more_threads_than_cores_that_may_be_used(
    allowed: int,
    limit: float,
    usable: int,
    threads: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cores, "allowed_cores", lambda: allowed)
    monkeypatch.setattr(cores, "quota", lambda: limit)
    monkeypatch.setattr(os, "environ", {})
    share_cores()
    assert usable_cores() == usable
    assert os.environ.get("OMP_NUM_THREADS") == threads
    assert os.environ.get("OPENCV_FOR_THREADS_NUM") == threads


def test_the_environment_overrules(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "7", "OPENCV_FOR_THREADS_NUM": "6"}
    monkeypatch.setattr(cores, "quota", lambda: 0.5)
    monkeypatch.setattr(cores, "allowed_cores", lambda: 8)
    monkeypatch.setattr(os, "environ", dict(own))
    share_cores()
    assert os.environ == own


@pytest.mark.parametrize("start", STARTS)
def test_threads_sleep_whoever_imports_pytorch(start: str) -> None:
    environment = {name: v for name, v in os.environ.items() if name != "OMP_WAIT_POLICY"}
    run = subprocess.run(
        [sys.executable, "-c", FIRST, start],
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "PASSIVE\n", run.stderr
