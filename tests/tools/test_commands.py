"""The commands beside the four scripts: each helps, and the old names answer with the new ones."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

COMMANDS = ("compare", "phantom", "print", "report", "scoring", "submission")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_how_a_tool_is_called(name: str) -> None:
    result = run("-m", f"tools.{name}", "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"usage: python -m tools.{name}")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lib.compare", "tools.compare"),
        ("lib.export", "tools.scoring"),
        ("lib.phantom", "tools.phantom"),
        ("lib.report", "tools.report"),
        ("lib.submission", "tools.submission"),
    ],
)
def test_an_old_command_answers_with_its_new_name(old: str, new: str) -> None:
    result = run("-m", old, "runs/nerve", "-m")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == f"python -m {old} is now python -m {new}\n"


def test_a_module_of_lib_is_imported_without_an_answer() -> None:
    result = run("-c", "import lib.rle", "lib.report")
    assert result.returncode == 0 and result.stderr == ""
