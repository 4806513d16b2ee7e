import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.config.command_line import run
from lib.data.layouts import load_settings
from lib.runtime import progress as module
from lib.runtime.progress import be_quiet, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    yield
    be_quiet(False)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0)
    monkeypatch.setattr(module, "AFTER", 0)


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.mark.usefixtures("at_once")
def test_a_log_gets_whole_lines_with_what_is_done_and_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(progress(range(3), "reading")) == [0, 1, 2]
    lines = capsys.readouterr().err.split("\n")
    assert [line.split(",")[0] for line in lines[:-1]] == [
        f"reading: {done} of 3 images" for done in (0, 1, 2, 3)
    ]
    assert all(line.endswith("left") for line in lines[:-1])


@pytest.mark.usefixtures("at_once")
def test_where_the_end_is_not_known_a_line_tells_what_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    list(progress(iter("ab"), "clip.mp4", unit="frames"))
    assert "clip.mp4: 2 frames" in capsys.readouterr().err


def test_short_work_leaves_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress(range(100), "reading"))
    assert capsys.readouterr().err == ""


def test_a_log_gets_a_line_every_30_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    bar = progress(title="training", total=100)
    monkeypatch.setattr(bar, "_time", lambda: now[0])
    bar.start_t = bar.last_print_t = now[0]
    for _ in range(100):
        now[0] += 1
        bar.update()
        bar.refresh()
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" of ")[0] for line in lines] == [f"training: {n}" for n in (30, 60, 90)]
    assert lines[1].endswith("00:40 left")


@pytest.mark.usefixtures("at_once")
def test_what_is_written_between_two_lines_of_a_log_wipes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress(title="training", total=1) as bar:
        bar.update()
        bar.write("a result")
    out, err = capsys.readouterr()
    assert out == "a result\n"
    assert "\r" not in err


@pytest.mark.usefixtures("at_once")
def test_a_terminal_gets_a_bar_that_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    list(progress(range(3), "reading"))
    assert "reading:   0%" in screen.getvalue()
    assert screen.getvalue().endswith("\r")
    assert "\n" not in screen.getvalue()


def test_work_of_under_two_seconds_needs_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    list(progress(range(3), "reading"))
    assert screen.getvalue() == ""


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("quiet", [True, False])
def test_a_quiet_step_shows_no_progress(
    quiet: bool, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["step", f"quiet={quiet}".lower(), f"data={data}"])
    run(lambda config: print(len(list(progress(range(3), "reading")))), None, load_settings)
    out, err = capsys.readouterr()
    assert out == "3\n"
    assert ("reading" in err) != quiet


@pytest.mark.usefixtures("at_once")
def test_of_several_processes_one_shows_the_progress(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress(range(3), "reading", shown=False))
    assert capsys.readouterr().err == ""
