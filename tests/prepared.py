"""Processes that begin with PyTorch and the project imported: to start one takes no time.

multiprocessing's fork server imports once; each process is a copy of it from before it did any
work. What torchrun itself does is tested with torchrun, in tests/runtime/test_processes.py.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import REPOSITORY

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["lib.training.loop", "lib.inference.predict"])


class Started:
    """A script that runs, as the leader of a group of processes."""

    def __init__(self, script: Path, *words: str, threads: int = 0, **environment: str) -> None:
        """No `threads`: as many as a process takes by itself.

        `environment` comes on top of what the server started with.
        """
        self._folder = tempfile.TemporaryDirectory()
        self._words = [str(script), *words]
        arguments = (self._words, environment, threads, self._folder.name)
        self._process = SERVER.Process(target=_run, args=arguments)
        with pytest.MonkeyPatch.context() as patch:  # for the server, which the first one starts
            patch.setenv("PYTHONPATH", str(REPOSITORY))
            self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def ended(self, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Waits for its end; one that takes longer is killed, with an AssertionError."""
        self._process.join(timeout)
        late = self._process.is_alive()
        if late:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.join()
        out, err = ((Path(self._folder.name) / name).read_text() for name in ("out", "err"))
        self._folder.cleanup()
        assert not late, f"{self._words} did not end in {timeout} s: {out}{err}"
        assert self.returncode is not None
        return subprocess.CompletedProcess(self._words, self.returncode, out, err)


def _run(words: list[str], environment: dict[str, str], threads: int, folder: str) -> None:
    os.setsid()
    os.environ.update(environment)
    multiprocessing.set_start_method("fork", force=True)  # else workers begin as this one did
    if threads:
        torch.set_num_threads(threads)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


def in_two(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return together(2, script, *words)


def together(count: int, script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """So many processes of one step, as torchrun starts them; one that fails ends the others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {"WORLD_SIZE": f"{count}", "LOCAL_WORLD_SIZE": f"{count}", "MASTER_PORT": port}
    environment["MASTER_ADDR"] = "127.0.0.1"
    ranks = [{"RANK": f"{rank}", "LOCAL_RANK": f"{rank}"} for rank in range(count)]
    started = [Started(script, *words, threads=1, **environment, **rank) for rank in ranks]
    while all(one.returncode is None for one in started):
        time.sleep(0.01)
    if any(one.returncode for one in started):
        for one in started:
            if one.returncode is None:
                os.kill(one.pid, signal.SIGTERM)
                os.kill(one.pid, signal.SIGCONT)  # one that was stopped takes no other signal
    ends = [one.ended(300) for one in started]
    code = next((end.returncode for end in ends if end.returncode), 0)
    out, err = ("".join(getattr(end, name) for end in ends) for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess([str(script), *words], code, out, err)
