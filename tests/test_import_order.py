"""Imports point one way: from the scripts down to the runtime."""

import ast
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# A module imports from its own room and from the lines above it.
ORDER = [
    {"lib.runtime"},
    {"lib.__init__"},
    {"lib.rle", "lib.metric"},
    {"lib.config"},
    {"lib.artifacts", "lib.unet", "lib.augment", "lib.bce_dice"},
    {"lib.data", "lib.losses"},
    {"lib.dataset", "lib.folds", "lib.quality"},
    {"lib.inference"},
    {"lib.decision"},
    {"lib.readers"},
    {"lib.training"},
    {"tools"},
    {"scripts"},
]
PLACE = {room: place for place, rooms in enumerate(ORDER) for room in rooms}
FILES = [
    *REPOSITORY.glob("lib/**/*.py"),
    *REPOSITORY.glob("tools/**/*.py"),
    *REPOSITORY.glob("0*.py"),
]


def room_of(path: Path) -> str:
    """lib/data/table.py is of lib.data, lib/rle.py of lib.rle, 02_train.py of the scripts."""
    folder, *rest = path.relative_to(REPOSITORY).with_suffix("").parts
    if not rest:
        return "scripts"
    return f"lib.{rest[0]}" if folder == "lib" else "tools"


def imported(path: Path) -> set[str]:
    """The rooms of the project that a file imports, at its top or in a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    rooms: set[str] = set()
    for name in names:
        first, *rest = name.split(".")
        if first == "lib" and rest:
            rooms.add(f"lib.{rest[0]}")
        elif first == "tools":
            rooms.add("tools")
        elif first[:2].isdigit() or first in ("tests", "benchmarks"):
            rooms.add(first)
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_imports_from_its_own_room_and_from_those_below(path: Path) -> None:
    own = room_of(path)
    assert own in PLACE, f"{own} has no place in the order"
    wrong = {room for room in imported(path) - {own} if PLACE.get(room, len(ORDER)) >= PLACE[own]}
    assert not wrong


def test_the_order_knows_no_room_that_is_not_there() -> None:
    assert {room_of(path) for path in FILES} == set(PLACE)
