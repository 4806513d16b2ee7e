"""How a step ends that another process of it takes along."""

import pytest

from lib.config.command_line import run
from lib.config.fields import Config

ENDS = [
    (RuntimeError("DataLoader worker (pid 7) is killed by signal"), "a process that reads images"),
    (RuntimeError("DataLoader timed out after 600 seconds"), "has given none for too long"),
    (
        ConnectionResetError(104, "Connection reset by peer"),
        "a process that reads images was ended",
    ),
    (BrokenPipeError(32, "Broken pipe"), "a process that reads images was ended"),
    (OSError(5, "Input/output error", "a.png"), "a.png: cannot be read or written"),
]


@pytest.mark.parametrize(("error", "words"), ENDS)
def test_a_step_ends_with_a_line_that_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(_: Config) -> None:
        raise error

    monkeypatch.setattr("sys.argv", ["02_train.py"])
    with pytest.raises(SystemExit, match=words):
        run(fail, None, lambda *_: Config())


def test_an_error_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Config) -> None:
        raise RuntimeError("sizes of tensors")

    monkeypatch.setattr("sys.argv", ["02_train.py"])
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        run(fail, None, lambda *_: Config())
