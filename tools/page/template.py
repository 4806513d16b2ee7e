"""Templates of pages, which find the shared macros and styles beside their own."""

from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.artifacts.caveats import sentence
from tools.page import made
from tools.page.words import WORDS

SHARED = Path(__file__).parent / "pages"
SCRIPTS = ("elements.js", "charts.js", "tables.js", "downloads.js", "definitions.js")


def environment(pages: Path, scripts: Iterable[str]) -> Environment:
    """Of the templates in a folder, which escape what they are given, and extend page.html.

    Their page runs the shared SCRIPTS, then `scripts`, names of files in the folder, in this order.
    """
    files = [*(SHARED / name for name in SCRIPTS), *(pages / name for name in scripts)]
    found = Environment(
        loader=FileSystemLoader([pages, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {
        "words": WORDS,
        "day": made.day,
        "code": made.code,
        "sentence": sentence,
        "css": (SHARED / "page.css").read_text(encoding="utf-8"),
        "js": "\n".join(file.read_text(encoding="utf-8") for file in files),
    }
    return found


def in_script(code: str) -> str:
    """JavaScript that may stand inside of a page's <script>."""
    return code.replace("</script", "<\\/script")
