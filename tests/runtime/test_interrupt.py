"""Ctrl-C ends a step without a traceback, from its first import on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib.runtime.interrupt import end_without_a_word, keyboard_interrupts
from tests.conftest import REPOSITORY, STEPS

# Takes the place of a package that every step imports.
INTERRUPTED = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n"


@pytest.mark.parametrize("name", STEPS)
def test_ctrl_c_during_the_imports_of_a_step_leaves_no_traceback(tmp_path: Path, name: str) -> None:
    (tmp_path / "numpy.py").write_text(INTERRUPTED)
    words = [sys.executable, str(REPOSITORY / f"{name}.py")]
    environment = {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_is_an_exception_again_while_a_step_works() -> None:
    before = signal.getsignal(signal.SIGINT)
    end_without_a_word()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt), keyboard_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    signal.signal(signal.SIGINT, before)


def test_a_signal_that_somebody_had_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_without_a_word()
    with keyboard_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, before)
