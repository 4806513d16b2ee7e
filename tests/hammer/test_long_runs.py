"""What the hammer's long runs call growth, and a short one."""

import random
from pathlib import Path

import pytest

from tests.hammer import long_runs
from tests.hammer.long_runs import Look, judged


@pytest.mark.parametrize(
    ("mib", "handles", "lost"),
    [
        (0.9, 0.0, ""),
        (1.1, 0.0, "memory grows"),
        (0.0, 0.2, "open files grow"),
        (2.0, 1.0, "memory grows; open files grow"),
        (-1.0, -1.0, ""),
    ],
)
def test_growth_of_the_second_half_is_lost(mib: float, handles: float, lost: str) -> None:
    """50,000 frames in 100 s, half a thousand a second, after a start that grows in any case."""
    start = [Look(k, 10 * k, k) for k in range(50)]
    looks = [Look(k, 500 + mib * k / 2, 100 + round(handles * k / 2)) for k in range(50, 101)]
    assert judged("x", start + looks).lost == lost


def test_a_short_run_of_both_programs_tells_what_they_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_runs, "FRAMES", 40)
    monkeypatch.setattr(long_runs, "BETWEEN", 0.1)
    told = [one.what for one in long_runs.long_runs(tmp_path, random.Random(0))]
    assert [what.partition(" in ")[0] for what in told] == [
        "03_infer.py, 40 frames",
        "score.py, 40 frames",
    ]
    assert all("MiB and" in what and "open files per 1,000" in what for what in told)
