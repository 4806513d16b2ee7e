"""python -m tools.settings_page: the fields of lib/config/fields.py -> docs/settings.md."""

import dataclasses
from pathlib import Path
from typing import Any

from lib.config.fields import FIELDS, TYPES, allowed

COLUMNS = "| setting | default | values | what it does |\n|---|---|---|---|"
PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

`python -m tools.settings_page` writes this page from `lib/config/fields.py`.

A settings file has the form of Hydrogen Torch's experiment YAML, so its own files load as they are.
`key=value` on the command line wins over the file. A name that nobody knows, a value of the wrong
type or outside its range is an error that names the setting and what is allowed; all such errors
are shown at once. `data=PATH` stands for the settings of the section `dataset`: it finds the layout
of a folder or zip by itself (see [data.md](data.md)).
"""


def text() -> str:
    """The whole page."""
    sections: dict[str, list[str]] = {}
    for name, item in FIELDS.items():
        sections.setdefault(item.metadata["section"] or "the run", []).append(row(name, item))
    tables = [
        f"## {section}\n\n{COLUMNS}\n" + "\n".join(rows)
        for section, rows in sorted(sections.items())
    ]
    return HEAD + "\n" + "\n\n".join(tables) + "\n"


def row(name: str, item: dataclasses.Field[Any]) -> str:
    made = item.default_factory
    default = item.default if made is dataclasses.MISSING else made()
    about = item.metadata["about"].replace("|", "\\|").replace("<", "\\<")
    if other := item.metadata["only_with"]:
        about += f" (acts with values of {other} that are not built yet)"
    return f"| `{name}` | `{default!r}` | {values(name, item)} | {about} |"


def values(name: str, item: dataclasses.Field[Any]) -> str:
    """The type, and the choices or the range."""
    about = item.metadata
    if about["choices"]:
        return ", ".join(f"`{choice}`" for choice in about["choices"])
    return ", ".join(filter(None, (TYPES[name].__name__, allowed(about))))


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(PAGE)
