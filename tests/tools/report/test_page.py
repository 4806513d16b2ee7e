"""report.html in a real browser: what it computes, what it does at a key, how it looks."""

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib.decision.results import Results
from lib.decision.rule import Rule
from lib.decision.search import AREAS, GATES, HEAD_WEIGHTS, masks_of
from lib.decision.text import WAYS
from lib.metric import Metric
from tests.tools.report.pages import Page, choose

LEAST = [least for least in AREAS if least is not None]


def at_random(random: np.random.Generator) -> dict[str, Any]:
    """Where the sliders might stand: places in their lists."""
    return {
        "gate": int(random.integers(len(GATES))),
        "threshold": int(random.integers(99)),
        "area": int(random.integers(len(LEAST))),
        "head_weight": float(random.choice(HEAD_WEIGHTS)),
        "never_empty": bool(random.random() < 0.3),
    }


def rule_of(sliders: dict[str, Any]) -> Rule:
    return Rule(
        head_weight=sliders["head_weight"],
        gate=float(GATES[sliders["gate"]]),
        threshold=(sliders["threshold"] + 1) / 100,
        never_empty=sliders["never_empty"],
        least_area=LEAST[sliders["area"]],
    )


def told_by_python(results: Results, rule: Rule) -> dict[str, float]:
    evidence = results.unseen.evidence[0]
    masks, truth = masks_of(evidence, rule), evidence.truth
    scores = {m: m.of_counts(truth, masks.area, masks.both) for m in Metric}
    there, shown = truth > 0, masks.area > 0
    return {
        "iou": float(scores[Metric.IOU].mean()),
        "dice": float(scores[Metric.DICE].mean()),
        "iouNerve": float(scores[Metric.IOU][there].mean()),
        "diceEmpty": float(scores[Metric.DICE][~there].mean()),
        "tp": int((there & shown).sum()),
        "fp": int((~there & shown).sum()),
        "fn": int((there & ~shown).sum()),
        "tn": int((~there & ~shown).sum()),
    }


def test_a_hundred_settings_of_the_sliders_score_as_in_python(scored: Page) -> None:
    browser, random = scored.look(), np.random.default_rng(0)
    settings = [at_random(random) for _ in range(100)]
    found = browser.ask(f"{json.dumps(settings)}.map((rule) => report.score(rule))")
    several = set()
    for sliders, told in zip(settings, found, strict=True):
        expected = told_by_python(scored.results, rule_of(sliders))
        assert {name: told[name] for name in expected} == pytest.approx(expected, abs=1e-12)
        assert sum(told["bins"]["nerve"]) == told["nerves"] == expected["tp"] + expected["fn"]
        assert sum(told["bins"]["none"]) == expected["fp"] + expected["tn"]
        several.add(round(told["iou"], 6))
    assert len(several) > 50


@pytest.mark.parametrize(("which", "cleans"), [("scored", False), ("speckled", True)])
def test_a_rule_has_one_score_wherever_it_stands(
    which: str, cleans: bool, request: pytest.FixtureRequest
) -> None:
    """At the run's rule, whether it cleans masks or not, and at the fixed one."""
    scored: Page = request.getfixturevalue(which)
    browser, decision = scored.look(), scored.results.decision
    rows = browser.ask(
        "[...document.querySelector('[data-chart=scores]').closest('figure').querySelectorAll("
        "'tbody tr')].map((row) => [...row.cells].slice(0, 3).map((cell) => cell.textContent))"
    )
    table = {rule: f"{float(value):.3f}" for rule, of, value in rows if of == "all images"}
    rule, other = scored.results.decided[0].rule, decision["other_scores"]
    assert cleans == bool(rule.components or rule.fill_holes)
    assert scored.text("headline") == table[WAYS["nested"]]
    for button, way in (("to-rule", "tuned"), ("to-fixed", "fixed")):
        browser.ask(f"document.getElementById('{button}').click()")
        told = other[way]["all"]
        assert scored.text("live-iou") == table[WAYS[way].format(threshold=0.5)]
        assert scored.text("live-iou") == f"{told['iou']:.3f}"
        assert scored.text("live-dice") == f"{told['dice']:.3f}"
        assert scored.text("live-iou-nerve") == f"{other[way]['with_nerve']['iou']:.3f}"


def test_off_the_chosen_rule_the_page_says_that_the_sliders_clean_no_masks(speckled: Page) -> None:
    browser, rule = speckled.look(), speckled.results.decided[0].rule
    bare = Rule(**{name: getattr(rule, name) for name in list(rule.__dict__)[:6]})
    without = told_by_python(speckled.results, bare)["iou"]
    assert f"{without:.3f}" != speckled.text("live-iou")
    assert f"without that it has IoU {without:.3f}" in speckled.text("live-rule")
    assert speckled.text("gate-value") == f"{rule.gate:.2f}"
    assert speckled.text("threshold-value") == f"{rule.threshold:.2f}"
    choose(browser, "threshold", "3")
    assert "without the dropping of pieces" in speckled.text("live-rule")


def test_numbers_are_rounded_as_python_rounds_them(page: Page) -> None:
    values = [k / 16 for k in range(17)] + [0.0005, 0.8235, 0.9995, 1 / 3]
    assert page.look().ask(f"{values}.map(three)") == [f"{value:.3f}" for value in values]


def test_moving_a_slider_changes_every_figure_at_once(scored: Page) -> None:
    browser = scored.look()
    sliders = {"gate": 70, "threshold": 39, "area": 3, "head_weight": 0.5, "never_empty": False}
    for name in ("gate", "threshold", "area", "head_weight"):
        choose(browser, name, str(sliders[name]))
    expected = told_by_python(scored.results, rule_of(sliders))
    assert scored.text("live-iou") == f"{expected['iou']:.3f}"
    assert scored.text("live-dice") == f"{expected['dice']:.3f}"
    confusion = [int(scored.text(f"live-{name}")) for name in ("tp", "fn", "fp", "tn")]
    assert confusion == [expected[name] for name in ("tp", "fn", "fp", "tn")]
    rows = browser.ask(
        "[...document.querySelectorAll('#live-bins tr')].map((row) =>"
        "[...row.cells].slice(1).map((cell) => Number(cell.textContent)))"
    )
    assert np.array(rows).sum() == 96


def test_plots_tell_what_they_show_to_people_who_do_not_see_them(scored: Page) -> None:
    told = scored.look().ask(
        "[...document.querySelectorAll('figure.chart')].map((figure) => ["
        "figure.querySelector('.plot').getAttribute('aria-label'), "
        "`${figure.querySelector('h3').textContent}. "
        "${figure.querySelector('figcaption').textContent}`])"
    )
    assert len(told) > 5
    assert [pair for pair in told if pair[0] != pair[1]] == []


def test_a_share_of_test_images_with_a_nerve_weighs_the_score(scored: Page) -> None:
    browser = scored.look()
    choose(browser, "share", "100")
    assert scored.text("live-expected") == scored.text("live-iou-nerve")


def test_filters_show_the_images_that_they_name(page: Page) -> None:
    browser, rows = page.look(), page.results.rows
    there, shown = rows["true_area"] > 0, rows["area"] > 0
    kinds = {
        "nerve": there,
        "hit": there & shown,
        "false alarm": ~there & shown,
        "missed": there & ~shown,
        "none": ~there & ~shown,
        "all": there | True,
    }
    for kind, wanted in kinds.items():
        assert wanted.any()
        assert set(choose(browser, "kind", kind)) == set(rows["image"][wanted])
    assert set(choose(browser, "subject", "3")) == set(rows["image"][rows["subject"] == "3"])
    assert choose(browser, "search", "3_2") == ["3_2"]


def test_images_are_sorted_by_any_score(page: Page) -> None:
    browser, scores = page.look(), page.results.rows.set_index("image")
    for order, column, falling in (
        ("iou", "iou", False),
        ("-iou", "iou", True),
        ("-loss", "loss", True),
        ("presence", "presence", False),
    ):
        values = scores[column].round(4).loc[choose(browser, "sort", order)]
        ranked = values.is_monotonic_decreasing if falling else values.is_monotonic_increasing
        assert len(values) == 24
        assert ranked


def test_the_table_has_every_image_with_its_figures(page: Page) -> None:
    browser = page.look()
    browser.ask("document.querySelector('input[value=table]').click()")
    cells = browser.ask(
        "[...document.querySelectorAll('#list-rows tr')].map((row) =>"
        "[...row.cells].map((cell) => cell.textContent))"
    )
    found = pd.DataFrame(cells).set_index(0)
    for row in page.results.rows.to_dict("records"):
        told = found.loc[row["image"]].tolist()
        assert told[:3] == [row["subject"], str(row["fold"]), f"{row['iou']:.3f}"]
        assert told[6:8] == [str(row["true_area"]), str(row["area"])]


def test_keys_open_turn_and_close_the_large_picture(page: Page) -> None:
    browser = page.look()
    order = list(browser.ask("report.rows()"))
    title = "document.getElementById('viewer-title').textContent"
    is_open = "document.getElementById('viewer').open"
    browser.ask("document.querySelector('.tile').focus()")
    browser.press("Enter")
    browser.until(is_open)
    assert browser.ask(title).startswith(f"{order[0]} ")
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        browser.press(key)
        assert browser.ask(title).startswith(f"{order[place]} ")
    browser.press("Escape")
    browser.until(f"!{is_open}")
    assert "tile" in browser.ask("document.activeElement.className")


def test_the_probability_lies_over_the_picture_as_opaque_as_the_slider_says(page: Page) -> None:
    browser = page.look()
    browser.ask("document.querySelector('.tile').click()")
    opacity = "document.getElementById('overlay').getAttribute('opacity')"
    assert browser.ask(opacity) == "0.4"
    choose(browser, "opacity", "75")
    assert browser.ask(opacity) == "0.75"
    shown = "getComputedStyle(document.querySelector('#viewer-picture .outline.truth')).display"
    assert browser.ask(shown) != "none"
    browser.ask("document.getElementById('show-truth').click()")
    assert browser.ask(shown) == "none"


def test_the_predicted_outline_is_of_the_mask_that_is_scored(page: Page) -> None:
    """Drawn by the browser, filled: as many pixels as oof_iou.csv has."""
    browser, rows = page.look(), page.results.rows
    row = rows[rows["area"] > 0].iloc[0]
    pixels = browser.ask(
        "(() => { const picture = JSON.parse(document.getElementById('live').textContent)"
        f".pictures['{row['image']}'];"
        "const canvas = new OffscreenCanvas(picture.width, picture.height).getContext('2d');"
        "const path = new Path2D(picture.mask[0]); canvas.translate(.5, .5);"
        "canvas.fill(path, 'evenodd'); canvas.lineWidth = 1; canvas.stroke(path);"
        "const data = canvas.getImageData(0, 0, picture.width, picture.height).data;"
        "return data.filter((value, k) => k % 4 === 3 && value > 127).length; })()"
    )
    assert pixels == pytest.approx(row["area"], rel=0.1)


def test_nothing_goes_wrong_or_sticks_out_in_any_window(page: Page) -> None:
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")):
        browser = page.look(width, scheme)
        assert browser.ask("document.documentElement.scrollWidth") <= width
        plots, drawn = (browser.ask(f"all('{which}').length") for which in (".plot", ".plot svg"))
        assert plots == drawn > 5
        browser.ask("document.querySelector('.tile').click()")
        assert browser.ask("find('viewer').getBoundingClientRect().width") <= width
        assert browser.errors == []


def luminance(colour: list[float]) -> float:
    channels = np.array(colour) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(page: Page, scheme: str) -> None:
    """Contrast of 4.5 at least: Web Content Accessibility Guidelines 2.2, 1.4.3."""
    browser = page.look(scheme=scheme)

    def colour(name: str) -> float:
        text = browser.ask(
            "(() => { const probe = document.body.appendChild(document.createElement('i'));"
            f"probe.style.color = 'var(--{name})'; return getComputedStyle(probe).color; }})()"
        )
        return luminance([float(value) for value in re.findall(r"[\d.]+", text)[:3]])

    pairs = [(ink, ground) for ink in ("ink", "quiet", "accent") for ground in ("ground", "panel")]
    for ink, ground in [*pairs, ("good", "good-ground"), ("doubt", "doubt-ground")]:
        low, high = sorted([colour(ink), colour(ground)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_a_screen_reader_has_a_name_for_every_control_and_plot(page: Page) -> None:
    browser = page.look()
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    browser.call("Accessibility.disable")
    roles = ("button", "slider", "combobox", "checkbox", "radio", "searchbox", "image", "link")
    asked = [node for node in nodes if node.get("role", {}).get("value") in roles]
    unnamed = [node for node in asked if not node.get("name", {}).get("value")]
    assert len(asked) > 30
    assert unnamed == []


def test_it_prints_to_a_pdf_of_several_pages(page: Page) -> None:
    browser = page.look(scheme="dark")
    found = browser.call("Page.printToPDF", printBackground=True)
    assert len(found["data"]) > 50_000
    browser.look(1280, 900, "dark", media="print")
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"


def test_several_classes_are_told_apart(two_classes: Page) -> None:
    browser = two_classes.look()
    assert len(browser.ask("report.rows()")) == 12
    truth = two_classes.results.unseen.evidence[1].truth
    choose(browser, "class", "1")
    browser.until(
        "report.score({ gate: 0, threshold: 0, area: 0, head_weight: 0 }).nerves === "
        f"{(truth > 0).sum()}"
    )
    assert browser.errors == []
