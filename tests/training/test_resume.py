"""A training that is cut off anywhere ends with the same bytes as one that never was."""

import errno
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from lib.artifacts.run import Run
from lib.artifacts.state import load_state, save_state
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.training.learner import MicroBatch
from lib.training.validation import Row
from lib.unet import build_model
from tests.conftest import REPOSITORY, configured, step, trainer
from tests.prepared import Started


class Killed(Exception):
    """Stands for the end of the process: nothing of the training runs after it."""


def outcome(config: Config) -> tuple[bytes, bytes]:
    return Run.of(config).model(0).read_bytes(), Run.of(config).log(0).read_bytes()


def train(config: Config) -> tuple[bytes, bytes]:
    step(1).main(config)
    trainer(config).fit()
    return outcome(config)


def killed_after(config: Config, after: int) -> None:
    """Trains so many updates and breaks off in the middle of the next."""
    training = trainer(config)
    update = training.learner.update

    def fatal(batches: Sequence[MicroBatch], number: int, updates: int) -> list[torch.Tensor]:
        if number == after:
            raise Killed
        return update(batches, number, updates)

    training.learner.update = fatal  # type: ignore[method-assign]
    with pytest.raises(Killed):
        training.fit()


# Three updates an epoch; a state after every update, or after every validation only.
EVERY = "checkpoint_minutes=0"
SELDOM = "checkpoint_minutes=1000"


@pytest.mark.parametrize(
    ("minutes", "more"), [(EVERY, ["grad_accumulation=2", "drop_last_batch=false"]), (SELDOM, [])]
)
def test_a_training_killed_at_any_update_ends_with_the_same_bytes(
    settings: list[str], tmp_path: Path, minutes: str, more: list[str]
) -> None:
    expected = train(configured(settings, *more))
    config = configured(settings, minutes, *more, f"runs_folder={tmp_path / 'killed'}")
    step(1).main(config)
    for updates in (0, 1, 2, 3):
        killed_after(config, updates)
    trainer(config).fit()
    assert outcome(config) == expected


@pytest.mark.parametrize(("validation", "more"), [(1, []), (2, ["ema_decay=0.9"])])
def test_a_training_killed_in_a_validation_repeats_only_that(
    settings: list[str], tmp_path: Path, validation: int, more: list[str]
) -> None:
    expected = train(configured(settings, *more))
    config = configured(settings, SELDOM, *more, f"runs_folder={tmp_path / 'killed'}")
    step(1).main(config)
    training = trainer(config)
    scores, calls = training.validation.scores, []

    def fatal(model: torch.nn.Module, after: int) -> Row:
        calls.append(1)
        if len(calls) == validation:
            raise Killed
        return scores(model, after)

    training.validation.scores = fatal  # type: ignore[method-assign]
    with pytest.raises(Killed):
        training.fit()
    resumed = trainer(config)
    assert resumed.done == 3 * validation
    assert len(resumed.rows) == validation - 1
    resumed.fit()
    assert outcome(config) == expected


def test_it_goes_on_from_the_last_update_and_says_so(
    config: Config, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, EVERY)
    step(1).main(config)
    killed_after(config, 2)
    assert trainer(config).done == 2
    assert "fold 0: goes on after epoch 0.67" in capsys.readouterr().out


def test_a_damaged_state_gives_way_to_the_one_before(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = train(configured(settings))
    config = configured(settings, EVERY, f"runs_folder={tmp_path / 'killed'}")
    step(1).main(config)
    killed_after(config, 2)
    path = Run.of(config).state(0)
    path.write_bytes(path.read_bytes()[:-1000])
    assert trainer(config).done == 1
    assert "state.pt is damaged" in capsys.readouterr().out
    trainer(config).fit()
    assert outcome(config) == expected


def test_a_kill_between_two_renames_loses_nothing(settings: list[str]) -> None:
    config = configured(settings, EVERY)
    step(1).main(config)
    killed_after(config, 2)
    path = Run.of(config).state(0)
    path.replace(path.with_name("state.before.pt"))
    state = load_state(config, 0)
    assert state is not None and state["done"] == 2


def test_without_any_whole_state_it_starts_anew(settings: list[str]) -> None:
    config = configured(settings, EVERY)
    step(1).main(config)
    killed_after(config, 1)
    Run.of(config).state(0).write_bytes(b"")
    assert trainer(config).done == 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("learning_rate=0.01", "learning_rate: 0.01, 0.001"),
        ("seed=7", "seed: 7, 42"),
        ("epochs=1", "epochs: 1, 2"),
        ("time_budget_minutes=5", "time_budget_minutes: 5.0, 0.0"),
    ],
)
def test_a_state_of_other_settings_is_refused_with_what_differs(
    settings: list[str], change: str, complaint: str
) -> None:
    config = configured(settings, EVERY)
    step(1).main(config)
    killed_after(config, 2)
    with pytest.raises(InputError, match=f"fold0/state.pt is of a training .*{complaint}"):
        trainer(configured(settings, EVERY, change))


def encoder_file(path: Path, config: Config, seed: int) -> None:
    torch.manual_seed(seed)
    torch.save(build_model(config).encoder.state_dict(), path)


def test_another_content_of_the_same_file_of_weights_is_noticed(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "encoder.pth"
    settings = [*settings, "pretrained=true", f"pretrained_weights={path}", "folds=[0]", "epochs=1"]
    config = configured(settings, EVERY)
    encoder_file(path, config, seed=1)
    step(1).main(config)
    killed_after(config, 2)
    encoder_file(path, config, seed=2)
    with pytest.raises(InputError, match=r"the content of the file of encoder weights is another"):
        trainer(config)
    encoder_file(path, config, seed=1)
    assert trainer(config).done == 2
    step(2).main(config)
    step(2).main(config)
    assert "is trained already" in capsys.readouterr().out
    encoder_file(path, config, seed=2)
    step(2).main(config)
    assert "is trained again, for what changed" in (told := capsys.readouterr().out)
    assert "the content of the file of encoder weights is another" in told
    path.unlink()
    step(2).main(config)
    assert "is trained already" in capsys.readouterr().out


def test_a_state_of_other_folds_is_refused(settings: list[str]) -> None:
    config = configured(settings, EVERY)
    step(1).main(config)
    killed_after(config, 2)
    other = configured(settings, EVERY, "label_policy=downweight", "validation_strategy=kfold")
    step(1).main(other)
    with pytest.raises(InputError, match=r"folds.csv is another"):
        trainer(other)


def test_a_finished_training_of_other_settings_is_no_obstacle(settings: list[str]) -> None:
    train(configured(settings))
    assert trainer(configured(settings, "learning_rate=0.01")).done == 0


def test_a_finished_training_goes_on_when_epochs_are_raised(settings: list[str]) -> None:
    train(configured(settings))
    longer = trainer(configured(settings, "epochs=3"))
    assert longer.done == 6
    longer.fit()
    assert [row["epoch"] for row in longer.rows] == [1, 2, 3]


def test_a_stop_in_the_last_validation_is_a_stop(settings: list[str], tmp_path: Path) -> None:
    expected = train(configured(settings, "epochs=1"))
    config = configured(settings, "epochs=1", f"runs_folder={tmp_path / 'stopped'}")
    step(1).main(config)
    training = trainer(config)
    scores = training.validation.scores

    def interrupted(model: torch.nn.Module, after: int) -> Row:
        os.kill(os.getpid(), signal.SIGINT)
        return scores(model, after)

    training.validation.scores = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        training.fit()
    assert not Run.of(config).model(0).is_file()
    trainer(config).fit()
    assert outcome(config) == expected


def test_a_disk_that_is_full_is_named_and_the_state_before_kept(
    settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(settings)
    step(1).main(config)
    save_state(config, 0, {"done": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"state.new.pt: cannot be written \(No space left"):
        save_state(config, 0, {"done": 2})
    assert load_state(config, 0) == {"done": 1}


def wait_for(path: Path, process: Started) -> None:
    end = time.monotonic() + 120
    while not path.is_file() and process.returncode is None and time.monotonic() < end:
        time.sleep(0.01)
    assert path.is_file()


def to_all(process: int, number: int) -> None:
    """Its workers too, as `timeout` and clusters do it."""
    os.killpg(process, number)


@pytest.mark.parametrize(
    ("end", "number"),
    [(os.kill, signal.SIGKILL), (os.kill, signal.SIGINT), (to_all, signal.SIGTERM)],
)
def test_a_process_that_is_killed_or_stopped_loses_nothing(
    settings: list[str], tmp_path: Path, end: Callable[[int, int], None], number: signal.Signals
) -> None:
    settings = [*settings, "folds=[0]", "epochs=8", "evaluation_epochs=8"]
    expected = train(configured(settings))
    settings = [*settings, EVERY, "number_of_workers=1", f"runs_folder={tmp_path / 'killed'}"]
    config = configured(settings)
    step(1).main(config)
    process = Started(REPOSITORY / "02_train.py", *settings)
    wait_for(Run.of(config).state(0), process)
    end(process.pid, number)
    ended = process.ended()
    out = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert not Run.of(config).model(0).is_file()
    if number != signal.SIGKILL:  # after which an orphaned worker complains
        assert "Start the same command again to go on" in out
        assert "Traceback" not in out
    state = load_state(config, 0)
    assert state is not None and 0 < state["done"] < 24
    trainer(config).fit()
    assert outcome(config) == expected
