"""One command at a time on a run: the others refuse, and a lock ends with its process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lib.artifacts import alone as module
from lib.artifacts.alone import alone
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError

STEPS = ("01_prepare_folds.py", "02_train.py", "03_infer.py", "04_make_submission.py")


@pytest.fixture
def run(config: Config, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Of two folds."""
    monkeypatch.setattr(module, "WAIT", 0.05)
    run = Run.of(config)
    for fold in (0, 1):
        run.fold(fold).mkdir(parents=True)
    return run


@contextmanager
def held_by_another(folder: Path) -> Iterator[None]:
    """As another process would: the system's lock on the file."""
    (folder / ".in_use_by").write_text("02_train.py, process 7 on elsewhere")
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_another_command_writes_to_is_refused_by_name(
    run: Run, config: Config, step: str
) -> None:
    words = r"/nerve is in use by 02_train.py, process 7 on elsewhere: wait until"
    with held_by_another(run.folder), pytest.raises(InputError, match=words), alone(config, step):
        pass
    with alone(config, step):
        pass
    assert not (run.folder / ".in_use_by").exists()


@pytest.mark.parametrize("step", STEPS)
def test_so_is_a_fold_that_another_command_trains(run: Run, config: Config, step: str) -> None:
    words = r"/fold1 is in use by 02_train.py"
    with (
        held_by_another(run.fold(1)),
        pytest.raises(InputError, match=words),
        alone(config, step),
    ):
        pass


def test_folds_may_be_trained_in_jobs_of_their_own(run: Run, config: Config) -> None:
    others = replace(config, folds=["1"])
    with alone(config := replace(config, folds=["0"]), "02_train.py"), alone(others, "02_train.py"):
        words = r"fold0 is in use by 02_train.py, process"
        with pytest.raises(InputError, match=words), alone(config, "02_train.py"):
            pass
        with pytest.raises(InputError, match=r"fold[01] is in use"), alone(config, STEPS[0]):
            pass


def test_a_wrong_name_of_a_run_makes_no_folder(config: Config) -> None:
    with alone(config, "02_train.py"):
        assert not Run.of(config).folder.exists()


def test_what_killed_commands_left_half_written_is_deleted(run: Run, config: Config) -> None:
    pieces = run.folder / ".oof_fold0.npz.0123"
    pieces.mkdir()
    parts = [folder / ".file.part" for folder in (run.folder, run.fold(0), pieces)]
    for part in parts:
        part.write_bytes(b"")
    with alone(config, "03_infer.py"):
        assert not any(part.exists() for part in parts)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_run_that_may_not_be_written_is_named(run: Run, config: Config) -> None:
    run.folder.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"), alone(config, "04"):
        pass
