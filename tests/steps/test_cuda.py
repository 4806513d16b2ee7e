"""What only a GPU can show: its precision, its memory that runs out, its bytes after a kill.

benchmarks/gpu.sh runs these on a machine that has one; elsewhere there is nothing to run them on.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lib.artifacts.probabilities import Probabilities
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.inference.predict import outputs_to
from lib.runtime.errors import InputError
from lib.unet import build_model, placed, to_input
from tests.conftest import REPOSITORY, chain, configured, step, trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

GPU = torch.device("cuda", 0)
REPEATABLE = ("deterministic=true", "checkpoint_minutes=0")


def trained(config: Config) -> bytes:
    step(1).main(config)
    trainer(config).fit()
    return Run.of(config).model(0).read_bytes()


@pytest.fixture
def settings(settings: list[str]) -> list[str]:
    """With kernels that repeat, and a network of ordinary convolutions."""
    return [s for s in settings if not s.startswith("backbone")] + ["backbone=resnet18"]


@pytest.fixture(autouse=True)
def _memory_as_it_was() -> Any:
    yield
    memory_again()
    torch.cuda.empty_cache()
    torch.use_deterministic_algorithms(False)


HELD: list[torch.Tensor] = []


def no_more_memory() -> None:
    """From here on the GPU has nothing more for this process: what is left is taken."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
    size = 2**30
    while size >= 512:
        try:
            HELD.append(torch.empty(size, dtype=torch.uint8, device=GPU))
        except torch.OutOfMemoryError:
            size //= 2


def memory_again() -> None:
    HELD.clear()
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_the_four_steps_run_in_bfloat16_and_agree_with_the_processor(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings)
    folder = chain(config)
    told = capsys.readouterr().out
    assert f"on {torch.cuda.get_device_name(GPU)}" in told
    assert "bfloat16" in told
    for name in ("submission.csv", "report.html", "oof_iou.csv"):
        assert (folder / name).exists()
    on_gpu = probabilities(Run.of(config).test)
    Run.of(config).test.unlink()
    step(3).main(configured(settings, "gpus=[]"))
    on_processor = probabilities(Run.of(config).test)
    for name, values in on_gpu.items():
        assert np.abs(values.astype(int) - on_processor[name]).max() <= 4  # TF32 on the GPU


def probabilities(path: Path) -> dict[str, np.ndarray]:
    with Probabilities(path) as file:
        return {name: file[name] for name in file.presence}


def test_float32_on_the_gpu_agrees_with_the_processor(settings: list[str]) -> None:
    config = configured(settings, "mixed_precision_inference=false")
    model = build_model(config).eval()
    images = to_input(torch.randint(0, 256, (5, 1, 64, 64), dtype=torch.uint8), config)
    expected = outputs_to(model, images, config, torch.device("cpu")).logits
    found = outputs_to(placed(model, GPU), images.to(GPU), config, GPU).logits.cpu()
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("more", [[], ["ema_decay=0.9", "grad_accumulation=2", "presence_head=1"]])
def test_a_deterministic_training_is_the_same_bytes_twice(
    settings: list[str], tmp_path: Path, more: list[str]
) -> None:
    first = trained(configured(settings, *REPEATABLE, *more))
    again = trained(configured(settings, *REPEATABLE, *more, f"runs_folder={tmp_path / 'again'}"))
    assert first == again


def command(number: int, settings: list[str]) -> subprocess.Popen[str]:
    names = ["", "01_prepare_folds", "02_train", "03_infer", "04_make_submission"]
    return subprocess.Popen(
        [sys.executable, f"{names[number]}.py", *settings],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def killed_once(number: int, settings: list[str], there: Callable[[], bool]) -> None:
    """Starts a step, and kills it and its workers as soon as something of it is there."""
    process, began = command(number, settings), time.monotonic()
    while not there() and process.poll() is None and time.monotonic() - began < 120:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def finished(number: int, settings: list[str]) -> str:
    process = command(number, settings)
    told = process.communicate()[0]
    assert process.returncode == 0, told
    return told


def test_a_killed_training_and_a_killed_prediction_end_with_the_same_bytes(
    settings: list[str], tmp_path: Path
) -> None:
    more = [*settings, *REPEATABLE, "epochs=12", "folds=[0]", "number_of_workers=1"]
    config = configured(more)
    step(1).main(config)
    finished(2, more)
    finished(3, more)
    expected = [path.read_bytes() for path in (Run.of(config).model(0), Run.of(config).oof(0))]
    other = [*more, f"runs_folder={tmp_path / 'killed'}"]
    config = configured(other)
    step(1).main(config)
    state = Run.of(config).state(0)
    killed_once(2, other, state.is_file)
    assert "goes on after epoch" in finished(2, other)
    folder = Run.of(config).folder
    killed_once(3, other, lambda: any(folder.glob(".oof_fold0.npz.*")))
    finished(3, other)
    assert [p.read_bytes() for p in (Run.of(config).model(0), Run.of(config).oof(0))] == expected


def test_short_memory_in_the_forward_pass_halves_the_batch(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told_of_shortage(settings, capsys, lambda model: model.encoder.register_forward_pre_hook)


def test_short_memory_in_the_backward_pass_halves_the_batch(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told_of_shortage(
        settings, capsys, lambda model: model.decoder.register_full_backward_pre_hook
    )


def told_of_shortage(
    settings: list[str],
    capsys: pytest.CaptureFixture[str],
    hook: Callable[[Any], Callable[..., Any]],
) -> bool:
    """A training whose memory ends once, where the hook is; whether it halved, and ended well."""
    large = ["image_height=256", "image_width=256", "epochs=1", "batch_size=8"]
    config = configured(settings, *large, "automatically_adjust_batch_size=true")
    step(1).main(config)
    training = trainer(config)
    calls: list[int] = []

    def short(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            no_more_memory()
        else:
            memory_again()

    hook(training.learner.model)(short)
    training.fit()
    assert Run.of(config).model(0).is_file()
    assert np.isfinite(pd.read_csv(Run.of(config).log(0))["train_loss"]).all()
    return "memory is short: 4 images at once" in capsys.readouterr().out


def test_short_memory_in_the_optimizer_is_an_error_with_the_way_out(settings: list[str]) -> None:
    step(1).main(configured(settings))
    training = trainer(configured(settings))
    training.learner.optimizer.register_step_pre_hook(lambda *_: no_more_memory())
    with pytest.raises(InputError, match="the memory of the GPU has no room for the optimizer"):
        training.fit()


def test_short_memory_while_predicting_halves_what_is_predicted_at_once(
    settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(settings)
    model = placed(build_model(config).eval(), GPU)
    images = to_input(torch.zeros((8, 1, 256, 256), dtype=torch.uint8), config).to(GPU)
    expected = outputs_to(model, images, config, GPU).logits
    needed = torch.cuda.max_memory_allocated()
    torch.cuda.empty_cache()
    free_at_half = torch.cuda.memory_reserved() + (needed - torch.cuda.memory_reserved()) * 2 // 3
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction(free_at_half / total)
    found = outputs_to(model, images, config, GPU).logits
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.01)


def test_a_missing_gpu_is_named(settings: list[str]) -> None:
    number = torch.cuda.device_count()
    config = configured(settings, f"gpus=['{number}']")
    step(1).main(config)
    with pytest.raises(InputError, match=f"this machine has {number} GPU"):
        trainer(config)


def test_the_scoring_pipeline_agrees_with_a_network_trained_on_the_gpu(
    settings: list[str],
) -> None:
    scoring = chain(configured(settings, "build_scoring_pipelines=true")) / "scoring"
    checked = subprocess.run(
        [sys.executable, str(scoring / "score.py"), "--self-test"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
