"""The documents: what they link to is there, and so are the commands and files that they name."""

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

NAMES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tools/scoring/pipeline/README.md")
DOCUMENTS = [*map(REPOSITORY.joinpath, NAMES), *REPOSITORY.glob("docs/*.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
COMMAND = re.compile(r"python -m ((?:tools|benchmarks|tests)(?:\.\w+)*)")
FILE = re.compile(r"`((?:lib|tools|tests|benchmarks|configs|docs)/[\w./-]+)`")


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def sections(document: Path) -> set[str]:
    """What a link to a heading of the document ends in, as GitHub makes it."""
    headings = HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


def is_there(link: str, document: Path) -> bool:
    """Whether a link to a file, a section of it, or a section of the document leads anywhere."""
    name, _, section = link.partition("#")
    target = document.parent / name if name else document
    return target.exists() and (not section or section in sections(target))


def is_module(name: str) -> bool:
    path = REPOSITORY.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    inside = [link for link in links if not re.match("[a-z]+:", link)]
    assert [link for link in inside if not is_there(link, document)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_the_commands_and_files_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert [module for module in COMMAND.findall(text) if not is_module(module)] == []
    names = [REPOSITORY / name for name in FILE.findall(text)]
    assert [path for path in names if not (path.exists() or path.with_suffix(".py").exists())] == []


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("CONTRIBUTING.md", True),
        ("docs/architecture.md#the-rooms", True),
        ("docs/architecture.md#the-attic", False),
        ("docs/attic.md", False),
        ("#a-new-loss", True),
        ("#a-new-attic", False),
    ],
)
def test_a_link_that_leads_nowhere_is_found(link: str, there: bool) -> None:
    assert is_there(link, REPOSITORY / "CONTRIBUTING.md") == there
