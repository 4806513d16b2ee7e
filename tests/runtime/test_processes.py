"""Two processes of one training, as torchrun starts them, on the processor."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lib.artifacts.model import read_model
from lib.artifacts.run import Run
from lib.artifacts.state import load_state
from lib.runtime.errors import InputError
from lib.runtime.processes import any_says, gathered, joined, of_first
from tests.conftest import REPOSITORY, configured, step
from tests.prepared import Started, in_two, together

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def torchrun(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*TORCHRUN, str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )


def test_alone_a_process_agrees_with_itself() -> None:
    assert any_says(True, False) == [True, False]
    assert gathered("a") == ["a"]
    assert of_first(lambda: 3) == 3


def test_several_gpus_start_a_process_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine has none, as far as the command that would take its place."""
    started: list[list[str]] = []

    def start(program: str, words: list[str]) -> None:
        started.append([program, *words])
        raise SystemExit

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("os.execv", start)
    monkeypatch.setattr("sys.argv", ["02_train.py", "gpus=['0','1']"])
    with pytest.raises(SystemExit), joined(["0", "1"]):
        pass
    assert started[0][0] == sys.executable
    assert started[0][-3:] == ["--nproc-per-node=2", "02_train.py", "gpus=['0','1']"]
    with (
        pytest.raises(InputError, match=r"this machine has 2 GPU\(s\)"),
        joined(["0", "1", "2"]),
    ):
        pass


# Trains with a network that has no batch statistics, so that two halves of a batch are one.
WITHOUT_BATCH_NORM = """
import sys
from pathlib import Path
import torch
from torch import nn
import lib.training.learner
from lib.artifacts.folds import load_folds
from lib.data.layouts import load_settings
from lib.runtime.processes import joined
from lib.data.table import with_files
from lib.training.loop import Trainer

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 3, padding=1)
    def forward(self, images):
        return self.convolution(images)

lib.training.learner.build_model = lambda *_: Plain()
config = load_settings(Path(sys.argv[1]), sys.argv[2:])
with joined(config.gpus):
    folds = load_folds(config)
    Trainer(folds, with_files(folds.table, config), 0, config).fit()
"""


@pytest.mark.parametrize(
    "more",
    [
        ["grad_accumulation=2", "drop_last_batch=false", "batch_size=5", "ema_decay=0.5"],
        ["batch_size=11", "drop_last_batch=false"],  # the last one has one image for two
    ],
)
def test_two_processes_train_as_one_does(
    settings: list[str], tmp_path: Path, more: list[str]
) -> None:
    script = tmp_path / "train.py"
    script.write_text(WITHOUT_BATCH_NORM)
    more = [*more, "mixed_precision_training=false", "number_of_workers=1", "learning_rate=0.1"]
    logs, weights = [], []
    for name in ("alone", "two"):
        words = [*settings, *more, f"experiment_name={name}"]
        config = configured(words)
        step(1).main(config)
        arguments = [str(REPOSITORY / "config.yaml"), *words]
        two = name == "two"
        result = in_two(script, *arguments) if two else Started(script, *arguments).ended()
        assert result.returncode == 0, result.stdout + result.stderr
        assert result.stdout.count("epoch 2/2") == 1  # one of them speaks
        logs.append(pd.read_csv(Run.of(config).log(0)))
        weights.append(read_model(Run.of(config).model(0)).weights["convolution.weight"])
    pd.testing.assert_frame_equal(*logs, rtol=1e-4, atol=1e-5)
    assert abs(weights[0] - weights[1]).max() < 1e-4


def test_the_second_step_runs_under_torchrun_and_is_scored_whole(settings: list[str]) -> None:
    """With batch statistics of half a batch each; every image of the fold is scored."""
    config = configured(settings)
    step(1).main(config)
    result = torchrun(REPOSITORY / "02_train.py", *settings)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("12 training images, 12 to validate") == 2  # once a fold
    again = in_two(REPOSITORY / "02_train.py", *settings)
    assert again.stdout.count("is trained already") == 2
    alone = configured(settings, "experiment_name=alone")
    step(1).main(alone)
    step(2).main(alone)
    losses = [pd.read_csv(Run.of(one).log(0))["train_loss"] for one in (config, alone)]
    assert losses[0].tolist() == pytest.approx(losses[1].tolist(), rel=0.1)


def test_a_process_that_fails_ends_the_run_with_its_error(
    settings: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    fatal = "import lib.training.loop, os\n" + WITHOUT_BATCH_NORM.replace(
        "with joined(config.gpus):",
        "def fail(self):\n"
        "    if os.environ['RANK'] == '1':\n"
        "        raise SystemExit('this one is broken')\n"
        "Trainer._evaluation_due = fail\n"
        "with joined(config.gpus):",
    )
    script.write_text(fatal)
    step(1).main(configured(settings))
    result = torchrun(script, str(REPOSITORY / "config.yaml"), *settings)
    assert result.returncode != 0
    assert "this one is broken" in result.stderr


@pytest.mark.parametrize("rank", [0, 1])  # the first keeps what the others tell
@pytest.mark.parametrize("beats", [0, 3])
def test_a_process_that_hangs_ends_the_others_with_a_word(
    tmp_path: Path, rank: int, beats: int
) -> None:
    script = tmp_path / "hang.py"
    script.write_text(
        "import os, signal, time\n"
        "import torch.distributed as dist\n"
        "from lib.runtime import processes\n"
        "processes.BEAT, processes.SILENT = 0.2, 2.0\n"
        "with processes.joined([]):\n"
        f"    time.sleep({0.2 * beats})\n"
        f"    if os.environ['RANK'] == '{rank}':\n"
        "        os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    dist.barrier()\n"
    )
    result = in_two(script)
    assert result.returncode
    assert f"process {rank + 1} of 2 has given no sign of life for 2 s: all end" in result.stderr


STOPPED = f"""
import os, runpy, signal, sys
import lib.training.learner

update = lib.training.learner.Learner.update

def stopped(self, parts, number, updates):
    if number == 3 and os.environ["RANK"] == "1" and "stop" in self.config.experiment_name:
        os.kill(os.getpid(), signal.SIGTERM)
    return update(self, parts, number, updates)

lib.training.learner.Learner.update = stopped
runpy.run_path({str(REPOSITORY / "02_train.py")!r}, run_name="__main__")
"""


def test_a_training_of_four_processes_goes_on_after_a_stop(
    settings: list[str], tmp_path: Path
) -> None:
    """Stopped by a signal to one of them: all agree, and the state is whole.

    Of two processes, gradients that are summed in another order have the same sum.
    """
    script = tmp_path / "train.py"
    script.write_text(STOPPED)
    outcomes = []
    for name in ("whole", "stop"):
        words = [*settings, f"experiment_name={name}", "backbone=tu-test_resnet", "folds=[0]"]
        config = configured(words)
        step(1).main(config)
        result = together(4, script, *words)
        if name == "stop":
            assert result.returncode != 0
            state = load_state(config, 0)
            assert state is not None and state["done"] == 4
            result = together(4, script, *words)
            assert "goes on after epoch 1.33" in result.stdout
        assert result.returncode == 0, result.stdout + result.stderr
        outcomes.append((Run.of(config).model(0).read_bytes(), Run.of(config).log(0).read_bytes()))
    assert outcomes[0] == outcomes[1]


def test_the_time_budget_ends_all_processes_together(settings: list[str], tmp_path: Path) -> None:
    """Though only one of them sees, by its own clock, that a validation took the last of it."""
    script = tmp_path / "train.py"
    slow = "import os, time\n" + WITHOUT_BATCH_NORM.replace(
        "with joined(config.gpus):",
        "evaluate, clock = Trainer._evaluate, time.monotonic\n"
        "def slow(self, *arguments):\n"
        "    evaluate(self, *arguments)\n"
        "    if os.environ['RANK'] == '1':\n"
        "        time.monotonic = lambda: clock() + 3600\n"
        "Trainer._evaluate = slow\n"
        "with joined(config.gpus):",
    )
    script.write_text(slow)
    words = [*settings, "time_budget_minutes=60"]
    step(1).main(configured(words))
    result = in_two(script, str(REPOSITORY / "config.yaml"), *words)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ends after epoch 1.00: time_budget_minutes are over" in result.stdout
