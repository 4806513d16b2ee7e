"""What the pages give to take away: figures as SVG and PNG, tables as CSV."""

import json
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.tools.report.browser import PATIENCE, Browser
from tests.tools.report.pages import Page, choose


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("nerve", "nerve"),
        ("0.5", "0.5"),
        ("-0.5", "-0.5"),
        ("+0.0012", "+0.0012"),
        ("-1.2e-5", "-1.2e-5"),
        ("–", ""),
        ("=1+1", "'=1+1"),
        ("+0.1 to +0.2", "'+0.1 to +0.2"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1+1", "'  =1+1"),
        ("\t=1", '"\'\t=1"'),
        ("a,b", '"a,b"'),
        ("a;=1+1", '"a;=1+1"'),
        ('say "a"', '"say ""a"""'),
        ("a\nb", '"a\nb"'),
        ("=a,b", '"\'=a,b"'),
    ],
)
def test_no_cell_of_a_csv_is_run_or_breaks_the_table(page: Page, cell: str, told: str) -> None:
    if not page.browser.ask("typeof csvCell === 'function'"):
        page.look()
    assert page.browser.ask(f"csvCell({json.dumps(cell)})") == told


def click(browser: Browser, label: str, folder: Path) -> Path:
    """The file that a button gives."""
    folder.mkdir(exist_ok=True)
    before = set(folder.iterdir())
    allowed = {"behavior": "allow", "downloadPath": str(folder)}
    browser.call("Page.setDownloadBehavior", **allowed)
    browser.ask(f"document.querySelector('[aria-label=\"{label}\"]').click()")
    end = time.monotonic() + PATIENCE
    while True:
        found = [path for path in set(folder.iterdir()) - before if path.suffix != ".crdownload"]
        if found and not any(path.suffix == ".crdownload" for path in folder.iterdir()):
            return found[0]
        assert time.monotonic() < end, f"nothing came of {label}; {browser.errors}"
        time.sleep(0.02)


def test_a_table_is_saved_as_it_stands(page: Page, tmp_path: Path) -> None:
    path = click(page.look(), "CSV of Folds and subjects", tmp_path / "saved")
    assert path.name == "nerve-folds-and-subjects.csv"
    table = pd.read_csv(path)
    rows = page.results.rows
    assert table["fold"].tolist() == ["fold 0", "fold 1", "all"]
    assert table["images"].iloc[-1] == len(rows)
    assert table["Dice"].iloc[-1] == pytest.approx(rows["dice"].mean(), abs=5e-4)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # for Excel


def test_the_table_of_images_is_saved_whole_where_the_page_shows_a_part(
    scored: Page, tmp_path: Path
) -> None:
    browser = scored.look()
    browser.ask("PAGE.table = 10; document.querySelector('input[value=table]').click()")
    assert browser.ask("find('list-rows').children.length") == 10
    table = pd.read_csv(click(browser, "CSV of Images", tmp_path / "all"))
    assert set(table["image"]) == set(scored.results.rows["image"])
    assert len(table) == 96
    choose(browser, "subject", "3")
    table = pd.read_csv(click(browser, "CSV of Images", tmp_path / "one"))
    assert set(table["subject"].astype(str)) == {"3"}


def test_a_figure_is_saved_as_svg_and_png_on_white(page: Page, tmp_path: Path) -> None:
    browser = page.look(scheme="dark")
    title = "Scores of each decision rule"
    svg = click(browser, f"SVG of {title}", tmp_path / "saved")
    root = ElementTree.parse(svg).getroot()
    assert root.tag.endswith("svg")
    assert root[0].attrib["fill"] == "white"
    assert "pixels above 0.5, nothing chosen" in svg.read_text(encoding="utf-8")
    pixels = cv2.imread(str(click(browser, f"PNG of {title}", tmp_path / "saved")))
    assert pixels is not None
    assert pixels.shape[1] == pytest.approx(2 * float(root.attrib["width"]), abs=2)
    assert (np.asarray(pixels)[:3, :3] == 255).all()
    values = pd.read_csv(click(browser, f"CSV of {title}", tmp_path / "saved"))
    nested = page.results.decision["scores"]["all"]["iou"]
    assert values["score"].iloc[0] == pytest.approx(nested, rel=1e-3)


def test_the_large_image_is_saved_with_its_outlines(page: Page, tmp_path: Path) -> None:
    browser, rows = page.look(), page.results.rows
    image = rows[(rows["area"] > 0) & (rows["true_area"] > 0)]["image"].iloc[0]
    browser.ask(f"openImage(live.rows.image.indexOf('{image}'))")
    browser.until("find('viewer').open")
    browser.ask("find('show-mask').click()")
    root = ElementTree.parse(click(browser, "SVG of this image", tmp_path / "saved")).getroot()
    styles = {
        path.attrib["class"]: path.attrib["style"] for path in root.iter() if "d" in path.attrib
    }
    assert "rgb(86, 180, 233)" in styles["outline truth"]
    assert "display: none" in styles["outline mask"]
    picture = cv2.imread(str(click(browser, "PNG of this image", tmp_path / "saved")))
    assert picture is not None
    blue = np.abs(np.asarray(picture).astype(int) - (233, 180, 86)).max(axis=2) < 60
    assert blue.any()


@pytest.mark.parametrize("opened", ["page", "compared"], indirect=True)
def test_every_figure_and_table_can_be_taken(opened: Browser) -> None:
    offers = "all('.take').flatMap((line) => all('button', line).map((one) => one.ariaLabel))"
    offered = opened.ask(offers)
    assert len(offered) > 5
    assert sorted(set(offered)) == sorted(offered)
    figures = opened.ask("all('.plot').map(titleOf)")
    assert [name for name in figures if f"SVG of {name}" not in offered] == []
    assert [name for name in figures if f"PNG of {name}" not in offered] == []
    tables = opened.ask("all('table').map(titleOf)")
    assert [name for name in tables if f"CSV of {name}" not in offered] == []
