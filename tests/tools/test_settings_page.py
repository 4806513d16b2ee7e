"""docs/settings.md holds every setting as it is."""

from lib.config.fields import FIELDS
from tools.settings_page import PAGE, text


def test_the_page_is_up_to_date() -> None:
    told = "docs/settings.md is out of date: run python -m tools.settings_page"
    assert PAGE.read_text(encoding="utf-8") == text(), told


def test_each_setting_stands_in_the_page_once() -> None:
    for name in FIELDS:
        assert text().count(f"| `{name}` |") == 1, name
