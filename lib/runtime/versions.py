"""The version of code: a hash over a module and every module of the project that it imports."""

import ast
from functools import cache
from pathlib import Path

from lib.runtime.files import sha_of

REPOSITORY = Path(__file__).parents[2]


@cache
def code_version(module: str, repository: Path = REPOSITORY) -> str:
    """Of `module`, such as lib.training.loop, and of all that it imports from the repository.

    Comments, docstrings and the layout of the lines do not count.
    """
    sources = [_meaning(path) for _, path in sorted(import_closure(module, repository).items())]
    return sha_of("\0".join(sources).encode())


def import_closure(module: str, repository: Path = REPOSITORY) -> dict[str, Path]:
    """The files by module: this one, what it imports from the repository, what those import."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name, repository)
        if name in found or path is None:
            continue
        found[name] = path
        waiting += _imported(ast.parse(path.read_bytes()))
    return found


def _file_of(module: str, repository: Path) -> Path | None:
    """None for what is no module of the repository, such as a name that a module defines."""
    place = repository.joinpath(*module.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imported(tree: ast.AST) -> list[str]:
    """Names that may be modules: of `from a import b` both a and a.b."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _meaning(path: Path) -> str:
    """The source without comments and docstrings."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = [*node.body[1:]] or [ast.Pass()]
    return ast.unparse(tree)
