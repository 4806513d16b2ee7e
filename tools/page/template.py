"""Templates of pages, which find the shared macros and styles beside their own."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.artifacts.caveats import sentence
from tools.page.words import WORDS

SHARED = Path(__file__).parent / "pages"


def environment(pages: Path) -> Environment:
    """Of the templates in a folder; they escape what they are given."""
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
    }
    return made


def in_script(code: str) -> str:
    """JavaScript that may stand inside of a page's <script>."""
    return code.replace("</script", "<\\/script")
