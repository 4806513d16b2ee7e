"""Tables of the pages in a real browser: they fit into any window, and say the same there."""

import pytest

from tests.tools.report.browser import Browser
from tests.tools.report.pages import Page

SHOW_ALL = (
    "document.querySelector('input[value=table]')?.click();"
    "all('details').forEach((one) => { one.open = true; });"
)
CUT = (
    "all('table').filter((table) => table.offsetWidth && table.getBoundingClientRect().right >"
    "(table.closest('.scroll') || table.parentNode).getBoundingClientRect().right + .5)"
    ".map(titleOf)"
)
AT_REST = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))"
WIDTHS = (1200, 800, 400)


@pytest.mark.parametrize("opened", ["page", "two_classes", "compared"], indirect=True)
def test_no_table_is_cut_in_any_window(opened: Browser) -> None:
    opened.ask(SHOW_ALL)
    for width in (*WIDTHS, *reversed(WIDTHS)):
        opened.look(width, 900, "light")
        opened.ask(AT_REST)
        assert opened.ask("all('.scroll table').filter((one) => one.offsetWidth).length") > 3
        assert opened.ask(CUT) == []
        assert opened.ask("document.documentElement.scrollWidth") <= width


def test_a_wide_table_is_a_list_in_a_narrow_window_and_a_table_again_in_a_wide_one(
    page: Page,
) -> None:
    browser, table = page.look(), "document.querySelector('#folds table')"
    stacked = f"{table}.classList.contains('stacked')"
    before = browser.ask(f"contentOf({table})")
    assert not browser.ask(stacked)
    browser.look(400, 900, "light")
    browser.until(stacked)
    row = f"[...{table}.tBodies[0].rows[0].cells]"
    heads = browser.ask(f"{row}.map((cell) => cell.dataset.head)")
    assert heads == before[0]
    roles = browser.ask(f"{row}.map((cell) => cell.getAttribute('role'))")
    assert roles == ["rowheader"] + ["cell"] * (len(heads) - 1)
    assert browser.ask(f"contentOf({table})") == before
    browser.look(1280, 900, "light")
    browser.until(f"!({stacked})")
