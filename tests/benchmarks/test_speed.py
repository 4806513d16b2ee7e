"""The rows of benchmarks/speed.py run, at tiny sizes; their times are left alone."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks import speed
from benchmarks.peak import flops_of
from benchmarks.timing import NETWORKS, Line, alternating, answer_of, missing, table, used_by
from lib.unet import build_model


def cells(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines()]


def test_a_row_has_medians_ratios_to_its_first_line_and_shares_of_the_peak() -> None:
    lines = [
        Line("ours", [2.0, 1.0, 4.0], "ms", "small", flops=30.0),
        Line("theirs", [5.0], "ms"),
        Line("absent", [], note="not installed"),
    ]
    assert table("step", lines, peak=60.0).splitlines() == [
        "| step | ours | 2 ms | 1 to 4 | 1.00 | 25% | small |",
        "| step | theirs | 5 ms |  | 2.50 |  |  |",
        "| step | absent |  |  |  |  | not installed |",
    ]


def test_contestants_take_turns() -> None:
    turns: list[str] = []

    def measured(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    times = alternating({"a": lambda: measured("a"), "b": lambda: measured("b")}, rounds=2)
    assert turns == ["a", "b", "a", "b"]
    assert times == {"a": [1, 3], "b": [2, 4]}


def test_the_memory_of_a_command_counts_the_processes_that_it_starts() -> None:
    """Two hold 200 MB each, one of them started by the other."""
    hold = "import time; held = b'x' * 200_000_000; time.sleep(1.5)"
    start = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}"
    )
    used = used_by([sys.executable, "-c", f"{start}; p.wait()"])
    assert 0.38 < used.gib < 0.6
    assert used.seconds > 1.5
    assert used.of_processors < used.seconds


def test_a_command_that_fails_ends_the_row_with_its_words() -> None:
    with pytest.raises(SystemExit, match="no such luck"):
        used_by([sys.executable, "-c", "raise ValueError('no such luck')"])
    with pytest.raises(SystemExit, match="No module named"):
        answer_of(sys.executable, "benchmarks.nothing")


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_are_those_of_the_convolutions(name: str) -> None:
    """A value of an output takes a product and a sum for each weight of its channel."""
    config = replace(NETWORKS[name], image_height=64, image_width=96)
    network, counted = build_model(config).eval(), 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal counted
        counted += 2 * output.numel() * layer.get_parameter("weight")[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 3, 64, 96))
    assert flops_of(config) == counted


def test_a_package_that_is_missing_comes_with_the_way_to_install_it() -> None:
    assert missing("numpy") == ""
    assert "-m pip install -r benchmarks/requirements.txt" in missing("no_such_package")


def test_a_row_runs_and_leaves_out_what_is_not_there(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speed.main(["step-lite0"], speed.Bench(tmp_path, data, sys.executable, rounds=1, quick=True))
    machine, _, _, _, *lines = capsys.readouterr().out.splitlines()
    assert torch.__version__ in machine
    found = cells("\n".join(lines))
    for row, who, median, *more in found:
        assert row == "step-lite0"
        assert median or more[-1], f"{who}: neither a time nor a reason"
    ours, plain, *others = found
    assert ours[1] == "ours, as 02"
    assert all(math.isfinite(float(line[2].split()[0])) for line in (ours, plain))
    assert "GFLOP an image" in ours[-1]
    assert [line[1] for line in others if "fastai" in line[1]] == ["fastai unet_learner"]


def test_a_row_that_nobody_knows_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.parsed(["step-resnet34", "stpe"])
    assert "stpe: the rows are step-resnet34," in capsys.readouterr().err
