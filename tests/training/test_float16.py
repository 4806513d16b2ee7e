"""Training in float16, as on a GPU without bfloat16: here on the processor, told to be one."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from lib.artifacts.model import read_model
from lib.artifacts.run import Run
from lib.artifacts.state import load_state
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.training.learner import MicroBatch
from lib.training.loop import Trainer
from tests.conftest import REPOSITORY, configured, step, trainer
from tests.prepared import in_two
from tests.training.test_loop import batch, one_weight, updated

TOO_LARGE = 2.0**26  # a first factor that gradients leave the range of float16 with


class Small(nn.Module):
    """A small network: processors compute gradients of float16 convolutions very slowly."""

    def __init__(self, *_: object) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU())
        self.head = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.encoder(images))
        return logits


@pytest.fixture(autouse=True)
def float16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.runtime.device.half_type", lambda _: torch.float16)
    monkeypatch.setattr("lib.training.learner.build_model", Small)


def scaled_from(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings begin with this factor, and double it after two good updates."""
    monkeypatch.setattr(
        "lib.training.learner.gradient_scaler",
        lambda device, mixed: GradScaler("cpu", factor, growth_interval=2),
    )


def training_of(config: Config) -> Trainer:
    step(1).main(config)
    return trainer(config)


def weights_of(training: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.learner.model.named_parameters()}


def test_it_trains_and_says_so(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    training = training_of(configured(settings))
    dtypes = []
    training.learner.model.get_submodule("head").register_forward_hook(
        lambda module, given, logits: dtypes.append(logits.dtype)
    )
    before = weights_of(training)
    training.fit()
    assert dtypes[0] == torch.float16  # in training; validations are in float32
    log = pd.read_csv(Run.of(training.config).log(0))
    assert log["skipped_updates"].tolist() == [0, 0]
    assert "on the processor, float16" in (told := capsys.readouterr().out)
    assert "skipped" not in told
    after = weights_of(training)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in after.values())
    assert not any(torch.equal(after[name], before[name]) for name in before)


def test_float32_and_bfloat16_have_no_factor(
    settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = training_of(configured(settings, "mixed_precision_training=false"))
    assert not training.learner.scaler.is_enabled()
    monkeypatch.setattr("lib.runtime.device.half_type", lambda _: torch.bfloat16)
    training = trainer(configured(settings))
    assert not training.learner.scaler.is_enabled()
    training.fit()
    assert "skipped_updates" not in pd.read_csv(Run.of(training.config).log(0))


def test_an_update_that_overflows_changes_nothing_and_is_told(
    settings: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scaled_from(TOO_LARGE, monkeypatch)
    training = training_of(configured(settings, "ema_decay=0.9", "epochs=4", "gradient_clip=1"))
    before = weights_of(training)
    learner, moved = training.learner, []
    update = learner.update

    def noting(batches: Sequence[MicroBatch], number: int, updates: int) -> list[torch.Tensor]:
        skipped, average = learner.skipped, dict(learner.average.weights)  # type: ignore[union-attr]
        average = {name: value.clone() for name, value in average.items()}
        weights, scores = weights_of(training), update(batches, number, updates)
        same = [torch.equal(value, weights[name]) for name, value in weights_of(training).items()]
        kept = [torch.equal(v, average[n]) for n, v in learner.average.weights.items()]  # type: ignore[union-attr]
        assert all(same) == all(kept) == (learner.skipped > skipped)
        moved.append(learner.skipped == skipped)
        assert all(score.isfinite().all() for score in scores)
        return scores

    learner.update = noting  # type: ignore[method-assign]
    training.fit()
    first = moved.index(True)
    assert first > 0
    log = pd.read_csv(Run.of(training.config).log(0))
    assert log["skipped_updates"].sum() == moved.count(False) >= first
    assert log["skipped_updates"].iloc[0] == 3
    assert "3 updates skipped (beyond float16)" in capsys.readouterr().out
    assert any(not torch.equal(value, before[name]) for name, value in weights_of(training).items())


@pytest.mark.parametrize("after", [2, 5, 9])
def test_a_killed_training_ends_with_the_same_bytes(
    settings: list[str], tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled_from(TOO_LARGE, monkeypatch)
    more = ["epochs=6", "grad_accumulation=2", "drop_last_batch=false", "ema_decay=0.9"]
    whole = training_of(configured(settings, *more))
    whole.fit()
    config = configured(settings, *more, "checkpoint_minutes=0", f"runs_folder={tmp_path / 'k'}")
    killed = training_of(config)
    update = killed.learner.update

    def fatal(batches: Sequence[MicroBatch], number: int, updates: int) -> list[torch.Tensor]:
        if number == after:
            raise SystemExit
        return update(batches, number, updates)

    killed.learner.update = fatal  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        killed.fit()
    state = load_state(config, 0)
    assert state is not None
    assert state["scaler"]["scale"] < TOO_LARGE
    trainer(config).fit()
    for one, other in zip(results(whole.config), results(config), strict=True):
        assert one == other


def results(config: Config) -> tuple[bytes, bytes]:
    return Run.of(config).model(0).read_bytes(), Run.of(config).log(0).read_bytes()


def test_a_training_begun_in_another_precision_goes_on(
    settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.runtime.device.half_type", lambda _: None)
    training_of(configured(settings)).fit()
    monkeypatch.setattr("lib.runtime.device.half_type", lambda _: torch.float16)
    longer = trainer(configured(settings, "epochs=3"))
    longer.fit()
    assert [row.get("skipped_updates") for row in longer.rows] == [None, None, 0]


SGD = ["optimizer=SGD", "learning_rate=1", "schedule=Constant", "gradient_clip=0.01"]


def test_gradients_are_clipped_without_the_factor(settings: list[str]) -> None:
    start = one_weight(configured(settings)).model.get_parameter("convolution.weight").detach()
    steps = []
    for mixed in ("true", "false"):
        learner = one_weight(configured(settings, *SGD, f"mixed_precision_training={mixed}"))
        steps.append(updated(learner, [batch(4, 0), batch(4, 1)]) - start)
    # Nesterov's momentum of .9 makes the first step 1.9 times the gradient.
    assert steps[0].norm() <= 0.019 + 1e-6
    torch.testing.assert_close(steps[0], steps[1], rtol=0.02, atol=1e-5)


def test_gradients_that_no_factor_makes_finite_are_an_error(settings: list[str]) -> None:
    learner = one_weight(configured(settings))
    learner.model.get_parameter("convolution.weight").register_hook(
        lambda gradient: gradient * math.nan
    )
    with pytest.raises(InputError, match=r"not finite in float16.*mixed_precision_training=false"):
        for _ in range(20):
            updated(learner, [batch(4, 0)])
    assert learner.skipped == 16  # from 65536 to 1


@pytest.mark.parametrize("fused", [True, False])
def test_a_fused_optimizer_leaves_an_overflow_out_too(settings: list[str], fused: bool) -> None:
    """GPUs have one kernel for all weights, which has to be told of it."""
    learner = one_weight(configured(settings))
    weight = learner.model.get_parameter("convolution.weight")
    group = {"params": learner.model.parameters(), "peak": 0.001}
    learner.optimizer = torch.optim.AdamW([group], fused=fused)
    hook = weight.register_hook(lambda gradient: gradient * math.inf)
    before = weight.detach().clone()
    assert torch.equal(updated(learner, [batch(4, 0)]), before)
    hook.remove()
    assert not torch.equal(updated(learner, [batch(4, 0)]), before)
    assert learner.skipped == 1


def test_a_loss_that_is_not_finite_is_a_fault_and_no_overflow(settings: list[str]) -> None:
    training = training_of(configured(settings))
    with torch.no_grad():
        next(training.learner.model.parameters()).fill_(math.nan)
    with pytest.raises(InputError, match=r"not finite on \d_\d, .*mixed_precision_training=false"):
        training.fit()
    assert load_state(training.config, 0) is None


def test_short_memory_halves_the_batch_and_keeps_the_factor(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The network's memory ends once, in the second update."""
    training = training_of(configured(settings, "automatically_adjust_batch_size=true", "epochs=1"))
    calls = []

    def short(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError

    training.learner.model.get_submodule("encoder").register_full_backward_pre_hook(short)
    training.fit()
    assert "memory is short: 2 images at once" in capsys.readouterr().out
    assert training.learner.scaler.get_scale() == 65536
    assert read_model(Run.of(training.config).model(0)).log[0]["skipped_updates"] == 0


# The second process alone has a gradient that overflows, in update 1.
IN_TWO = """
import sys
from pathlib import Path
import torch
import lib.runtime.device
import lib.training.learner
from lib.artifacts.folds import load_folds
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.data.table import with_files
from lib.runtime.processes import gathered, joined, rank
from lib.training.loop import Trainer
from tests.training.test_float16 import Small

lib.training.learner.build_model = Small
lib.runtime.device.half_type = lambda _: torch.float16
config = load_settings(Path(sys.argv[1]), sys.argv[2:])
with joined(config.gpus):
    folds = load_folds(config)
    training = Trainer(folds, with_files(folds.table, config), 0, config)
    first = next(training.learner.model.parameters())
    def overflow(gradient):
        late = rank() == 1 and training.done == 1
        return gradient * float("inf") if late else gradient
    first.register_hook(overflow)
    training.fit()
    told = gathered((training.learner.scaler.get_scale(), first.sum().item()))
    print("agree" if told[0] == told[1] else told, training.rows[0]["skipped_updates"])
"""


def test_two_processes_skip_the_same_updates(settings: list[str], tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(IN_TWO)
    step(1).main(configured(settings))
    result = in_two(script, str(REPOSITORY / "config.yaml"), *settings, "epochs=1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "on the processor, float16" in result.stdout
    assert "agree 1.0" in result.stdout
    assert "1 updates skipped" in result.stdout
