"""The version of code changes with whatever the code imports, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from lib.runtime.versions import code_version, import_closure
from tests.conftest import REPOSITORY

TRAINING = "lib.training.loop"
CLOSURE = sorted(import_closure(TRAINING))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for room in ("lib", "tools"):
        shutil.copytree(REPOSITORY / room, folder / room)
    return folder


def version_with(copy: Path, module: str, *, more: str) -> str:
    """Of training, where the module's file ends with `more`."""
    path = copy / import_closure(module, copy)[module].relative_to(copy)
    before = path.read_bytes()
    path.write_bytes(before + more.encode())
    try:
        code_version.cache_clear()
        return code_version(TRAINING, copy)
    finally:
        path.write_bytes(before)


def test_the_closure_holds_what_a_training_depends_on() -> None:
    expected = ["lib.runtime.files", "lib.training.learner", "lib.unet", "lib.bce_dice", "lib.rle"]
    assert {TRAINING, *expected} <= set(CLOSURE)
    assert not [name for name in CLOSURE if name.startswith("tools")]


@pytest.mark.parametrize("module", CLOSURE)
def test_a_change_in_any_module_of_the_closure_changes_the_version(copy: Path, module: str) -> None:
    code_version.cache_clear()
    before = code_version(TRAINING, copy)
    assert version_with(copy, module, more="\nCHANGED = 1\n") != before


@pytest.mark.parametrize(
    ("module", "more"),
    [
        ("tools.report.page", "\nCHANGED = 1\n"),
        ("lib.decision.text", "\nCHANGED = 1\n"),
        ("lib.unet", "\n# a comment\n\n\n"),
    ],
)
def test_the_report_and_comments_change_nothing(copy: Path, module: str, more: str) -> None:
    code_version.cache_clear()
    before = code_version(TRAINING, copy)
    assert version_with(copy, module, more=more) == before


def test_a_docstring_changes_nothing(copy: Path) -> None:
    code_version.cache_clear()
    before, path = code_version(TRAINING, copy), copy / "lib" / "unet.py"
    text = path.read_text()
    path.write_text(text.replace('"""The network\'s answer to', '"""What it answers to'))
    assert path.read_text() != text
    code_version.cache_clear()
    assert code_version(TRAINING, copy) == before
    path.write_text(text)
