"""The day and the commit that a page tells."""

import subprocess
from pathlib import Path

import pytest

from tools.page import made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with one commit of one file."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "code.py").write_text("one = 1\n")
    me = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*me, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


def told(folder: Path) -> str:
    made.code.cache_clear()
    return made.code(folder)


def test_a_page_tells_the_commit_and_whether_files_differ_from_it(project: Path) -> None:
    head = ["git", "-C", str(project), "rev-parse", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True).stdout[:10]
    assert told(project) == f"commit {commit}"
    (project / "notes.txt").write_text("a file that git does not know")
    assert told(project) == f"commit {commit}"
    (project / "code.py").write_text("one = 2\n")
    assert told(project) == f"commit {commit} + changes"


def test_a_copy_inside_of_another_checkout_tells_no_commit(project: Path, tmp_path: Path) -> None:
    (project / "copy").mkdir()
    assert told(project / "copy") == ""
    assert told(tmp_path / "nothing") == ""


def test_without_git_no_commit_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert told(project) == ""


def test_the_day_is_that_of_the_clock_or_of_the_epoch_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795867200")
    assert made.day() == "28 November 2026"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert made.day().split()[-1] >= "2026"
