"""Templates of pages, which find the shared macros and styles beside their own."""

from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.artifacts.caveats import sentence
from tools.page.words import WORDS

SHARED = Path(__file__).parent / "pages"


def environment(pages: Path, scripts: Iterable[str]) -> Environment:
    """Of the templates in a folder, which escape what they are given, and extend page.html.

    Their page runs `scripts`, names of files in the folder, in this order.
    """
    files = [SHARED / "charts.js", *(pages / name for name in scripts)]
    made = Environment(
        loader=FileSystemLoader([pages, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "words": WORDS,
        "sentence": sentence,
        "css": (SHARED / "page.css").read_text(encoding="utf-8"),
        "js": "\n".join(file.read_text(encoding="utf-8") for file in files),
    }
    return made


def in_script(code: str) -> str:
    """JavaScript that may stand inside of a page's <script>."""
    return code.replace("</script", "<\\/script")
