"""One command at a time on the files of a run."""

import operator
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import LOCK, remove_parts

HOLDER = ".in_use_by"  # beside the lock, whose content is filelock's
WAIT = 5.0  # seconds: what was killed just now may need some to end


@contextmanager
def alone(
    config: Config, step: str, of_first: Callable[[Callable[[], str]], str] = operator.call
) -> Iterator[None]:
    """No other command writes to the run as long as this lasts; InputError where one does now.

    The step that trains keeps its folds only, so that a cluster can train each in a job of its own;
    the others keep the run. A lock ends with its process, however that ends. The first of several
    processes holds it for all: steps that can have several give processes.of_first. Files that
    killed ones left half-written are deleted.
    """
    run = Run.of(config)
    with ExitStack() as locks:
        if refusal := of_first(lambda: _locked(run, config.fold_numbers, step, locks)):
            raise InputError(refusal)
        yield


def _locked(run: Run, folds: Iterable[int], step: str, locks: ExitStack) -> str:
    """Takes them; what a person is told where another process has one, else ""."""
    trains, begins = step.startswith("02"), step.startswith("01")
    if begins:
        run.folder.mkdir(parents=True, exist_ok=True)
    if not run.folder.is_dir():
        return ""  # the step says what to run first
    with ExitStack() as whole:
        try:
            _take(run.folder, step, whole)
            if not trains:
                locks.push(whole.pop_all())
            for folder in _folders_of_folds(run, folds, trains, begins):
                _take(folder, step, locks)
                remove_parts(folder)
        except Timeout as error:
            folder = Path(error.lock_file).parent
            return (
                f"{folder} is in use by {_holder(folder)}: wait until that has ended, or give "
                "this run another experiment_name"
            )
        except OSError as error:
            return f"{error.filename}: cannot be written ({error.strerror})"
        if not trains:
            _remove_parts_of_run(run)
    return ""


def _folders_of_folds(run: Run, folds: Iterable[int], trains: bool, begins: bool) -> list[Path]:
    """Of all there are where folds begin anew."""
    if begins:
        return sorted(path for path in run.folder.glob("fold*") if path.is_dir())
    folders = [run.fold(fold) for fold in folds]
    if trains:
        for folder in folders:
            folder.mkdir(exist_ok=True)
    return [folder for folder in folders if folder.is_dir()]


def _take(folder: Path, step: str, locks: ExitStack) -> None:
    locks.enter_context(FileLock(folder / LOCK, timeout=WAIT, mode=0o666))
    holder = folder / HOLDER
    with suppress(OSError):  # on a full disk the lock holds without
        holder.write_text(f"{step}, process {os.getpid()} on {socket.gethostname()}")
    locks.callback(holder.unlink, missing_ok=True)


def _holder(folder: Path) -> str:
    with suppress(OSError):
        return (folder / HOLDER).read_text() or "another command"
    return "another command"


def _remove_parts_of_run(run: Run) -> None:
    """Those of folds are deleted with their locks."""
    remove_parts(run.folder)
    for folder in run.folder.iterdir():
        if folder.is_dir() and not (folder / LOCK).is_file():
            remove_parts(folder)
