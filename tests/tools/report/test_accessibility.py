"""The pages by keyboard, by touch and for a screen reader; axe-core in a real browser."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.tools.report.browser import Browser
from tests.tools.report.pages import Page
from tools.page.words import WORDS

SHOW_ALL = (
    "document.querySelector('input[value=table]')?.click();"
    "all('details').forEach((one) => { one.open = true; });"
)
OPEN_IMAGE = "openImage(live.rows.image.indexOf('1_1'))"
MEANING = "document.querySelector('.meaning:popover-open')?.textContent"


def faults(browser: Browser, where: str = "document") -> list[Any]:
    """Rules of axe-core that are broken with serious or critical impact, and the first places."""
    if not browser.ask("!!window.axe"):
        code = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
        browser.ask(f"{code}; true")
    return list(
        browser.ask(
            f"axe.run({where}, {{ resultTypes: ['violations'] }}).then((found) =>"
            "found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))"
            ".map((one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html)]))"
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_no_serious_fault_in_the_report(page: Page, scheme: str) -> None:
    browser = page.look(scheme=scheme)
    assert faults(browser) == []
    browser.ask(SHOW_ALL)
    browser.look(400, 900, scheme)
    browser.until("all('.stacked').length > 0")
    assert faults(browser) == []
    browser.ask(OPEN_IMAGE)
    browser.until("find('viewer').open")
    assert faults(browser, "find('viewer')") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_no_serious_fault_in_the_comparison(
    compared: Path, browser: Browser, scheme: str
) -> None:
    browser.open(compared, scheme=scheme)
    assert faults(browser) == []


def test_axe_core_would_find_a_fault(page: Page) -> None:
    browser = page.look()
    browser.ask("find('search').closest('label').firstChild.remove()")
    assert [rule for rule, _ in faults(browser, "find('filters')")] == ["label"]


@pytest.mark.parametrize("width", [1280, 400])
def test_a_definition_opens_beside_its_word_by_keyboard_and_by_touch(
    page: Page, width: int
) -> None:
    browser = page.look(width)
    word = "document.querySelector('.headline .term')"
    browser.ask(f"{word}.focus()")
    browser.press("Enter")
    browser.until("!!document.querySelector('.meaning:popover-open')?.style.top")
    assert WORDS["out of fold"] in browser.ask(MEANING)
    at, box = (
        browser.ask(f"(({{ x, y, width, height }}) => [x, y, width, height])({one})")
        for one in (
            f"{word}.getBoundingClientRect()",
            "document.querySelector('.meaning:popover-open').getBoundingClientRect()",
        )
    )
    assert at[1] < box[1] < at[1] + 4 * at[3]
    assert box[0] >= 0 and box[0] + box[2] <= width
    browser.press("Escape")
    browser.until(f"{MEANING} === undefined")
    assert browser.ask(f"document.activeElement === {word}")
    finger = [{"x": at[0] + at[2] / 2, "y": at[1] + at[3] / 2}]
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=finger)
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    browser.until(f"{MEANING} !== undefined")
    browser.press("Escape")


@pytest.mark.parametrize("opened", ["page", "compared"], indirect=True)
def test_every_term_has_a_definition(opened: Browser) -> None:
    lost = "all('[popovertarget]').filter((word) => !find(word.getAttribute('popovertarget')))"
    assert opened.ask("all('.term').length") > 2
    assert opened.ask(f"{lost}.map((word) => word.textContent)") == []
