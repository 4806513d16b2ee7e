"""One image of report.html, large: its address, its twins, zoom and light."""

import json
from typing import Any

import pytest

from tests.tools.report.browser import Browser
from tests.tools.report.pages import Page, choose

IS_OPEN = "find('viewer').open"
TITLE = "find('viewer-title').textContent.split(' ')[0]"
SEEN = "canvasOf().getAttribute('viewBox').split(' ').map(Number)"


def opened(page: Page, image: str, width: int = 1280) -> Browser:
    """The page, by a link to one of its images."""
    browser = page.browser
    browser.call("Page.navigate", url="about:blank")
    browser.errors.clear()
    browser.open(page.path, width, address=f"#image={image}")
    browser.until(IS_OPEN)
    return browser


def at(browser: Browser, image: str) -> None:
    """Waits until the image, or with "" none, is the one that is shown and in the address."""
    address = f"#image={image}" if image else ""
    browser.until(f"location.hash === '{address}' && {IS_OPEN} === {str(bool(image)).lower()}")
    if image:
        browser.until(f"{TITLE} === '{image}'")


def test_a_link_opens_an_image_and_closing_it_leaves_the_page(page: Page) -> None:
    browser = opened(page, "3_2")
    at(browser, "3_2")
    browser.press("Escape")
    at(browser, "")
    assert browser.errors == []


def test_the_back_button_closes_and_arrow_keys_change_the_address(page: Page) -> None:
    browser = page.look()
    order = list(browser.ask("report.rows()"))
    browser.ask("document.querySelector('.tile').click()")
    at(browser, order[0])
    browser.press("ArrowRight", modifiers=1)  # with Alt it is the browser's own
    at(browser, order[0])
    browser.press("ArrowRight")
    at(browser, order[1])
    browser.ask("history.back()")
    at(browser, "")
    browser.ask("history.forward()")
    at(browser, order[1])
    browser.press("Escape")
    at(browser, "")
    browser.errors.clear()


def test_a_twin_is_named_with_a_link_and_back_leads_to_the_image_before(page: Page) -> None:
    browser = page.look()
    browser.ask("openImage(live.rows.image.indexOf('1_1'))")
    at(browser, "1_1")
    told = browser.ask("all('#viewer-twins p').map((line) => line.textContent)")
    assert told == [
        "Near-duplicate: 1_2, similarity 0.990",
        "Near-duplicate: 1_4, similarity 0.930; their labels contradict each other: Dice 0.250",
    ]
    browser.ask("document.querySelector('#viewer-twins a').click()")
    at(browser, "1_2")
    assert browser.ask("document.querySelector('#viewer-twins a').textContent") == "1_1"
    browser.ask("history.back()")
    at(browser, "1_1")
    browser.ask("document.querySelector('#viewer-twins a').click()")
    at(browser, "1_2")
    browser.press("Escape")
    at(browser, "")


def test_a_link_to_an_image_that_the_filters_hide_or_without_a_picture_opens_it(page: Page) -> None:
    browser = page.look()
    choose(browser, "subject", "2")
    browser.ask("delete live.pictures['3_2']; location.hash = '#image=3_2'")
    at(browser, "3_2")
    assert "no picture of this image" in browser.ask("find('viewer-picture').textContent")
    assert "subject 3 · fold" in browser.ask("find('viewer-facts').textContent")
    assert not browser.ask("find('viewer-tools').offsetHeight")
    browser.press("ArrowRight")
    browser.ask("location.hash = '#image=nobody'")
    browser.until(f"!({IS_OPEN})")
    assert browser.errors == []


@pytest.mark.parametrize("name", ["a&b=c#d", "1+1 %41", "ü/é?", "="])
def test_any_name_can_be_linked_to(page: Page, name: str) -> None:
    browser = page.look()
    there = browser.ask(f"(live.rows.image[3] = {json.dumps(name)}, location.hash = addressOf(3))")
    assert browser.ask("named()") == 3, there


def test_wheel_keys_and_fingers_zoom_about_their_place_and_never_leave_the_image(
    page: Page,
) -> None:
    browser = opened(page, "3_2")
    whole = browser.ask(SEEN)
    corner = browser.ask("['e', 'f'].map((name) => canvasOf().getScreenCTM()[name])")
    wheel = {"type": "mouseWheel", "x": corner[0] + 1, "y": corner[1] + 1, "deltaX": 0}
    browser.call("Input.dispatchMouseEvent", **wheel, deltaY=-100)
    browser.until(f"{SEEN}[2] < {whole[2]}")
    x, y, width, height = browser.ask(SEEN)
    assert [x, y] == pytest.approx([0, 0], abs=1)
    assert width == pytest.approx(whole[2] / 1.25)
    assert height / width == pytest.approx(whole[3] / whole[2])
    browser.press("-")
    browser.press("-")
    assert browser.ask(SEEN) == whole
    for _ in range(30):
        browser.press("+")
    x, y, width, height = browser.ask(SEEN)
    assert width == pytest.approx(whole[2] / 16)
    assert [x + width / 2, y + height / 2] == pytest.approx([whole[2] / 2, whole[3] / 2])
    browser.press("ArrowRight", modifiers=8)  # Shift
    assert browser.ask(SEEN)[:2] == pytest.approx([x + width / 10, y])
    browser.ask("for (let k = 0; k < 300; k += 1) pan(1, 1)")
    x, y, width, height = browser.ask(SEEN)
    assert [x + width, y + height] == pytest.approx(whole[2:])
    browser.press("0")
    assert browser.ask(SEEN) == whole


def test_two_fingers_pinch_and_one_drags(page: Page) -> None:
    browser = opened(page, "3_2", width=400)
    whole = browser.ask(SEEN)
    box = browser.ask("['x', 'y'].map((name) => canvasOf().getBoundingClientRect()[name])")
    x, y = box[0] + 100, box[1] + 60

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers: list[dict[str, Any]] = [
            {"x": left, "y": top, "id": k} for k, (left, top) in enumerate(points)
        ]
        browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 40, y), (x + 40, y))
    touch("touchEnd")
    browser.until(f"Math.abs({SEEN}[2] - {whole[2] / 2}) < 1")
    before = browser.ask(SEEN)
    touch("touchStart", (x, y))
    touch("touchMove", (x - 30, y))
    touch("touchEnd")
    browser.until(f"{SEEN}[0] > {before[0] + 1}")
    assert browser.ask(SEEN)[1:] == pytest.approx(before[1:])


def test_brightness_and_contrast_change_the_frame_and_come_back(page: Page) -> None:
    browser = opened(page, "3_2")
    light = (
        "['slope', 'intercept'].map((name) => Number("
        "find('light').querySelector('feFuncG').getAttribute(name)))"
    )
    assert browser.ask(light) == [1, 0]
    assert browser.ask("canvasOf().querySelector('image').getAttribute('filter')") == "url(#light)"
    choose(browser, "brightness", "150")
    choose(browser, "contrast", "200")
    assert browser.ask(light) == pytest.approx([3, -0.75])  # 1.5 (2 x - .5)
    browser.press("ArrowRight")
    assert browser.ask(light) == pytest.approx([3, -0.75])
    browser.ask("find('as-it-was').click()")
    assert browser.ask(light) == [1, 0]
