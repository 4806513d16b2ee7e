"""Names of images, people, classes and runs that a browser would run as code: shown as text."""

from pathlib import Path

import pandas as pd

from lib import rle
from tests.conftest import chain, configured, settings_in, tiny_image
from tests.data.pictures.test_arrays import save
from tests.tools.report.browser import Browser
from tools.report.__main__ import main as report

HACK = "window.hacked = 1"
# One a person, of the image and of the person; no file name can hold a /.
NAMES = [
    f"<img src=x onerror='{HACK}'>",
    f'" onmouseover="{HACK}" x="',
    f"'><svg onload='{HACK}'>",
    "=1+1",
    f"{{{{7*7}}}}{{% raw %}}${{{HACK}}}",
    f"javascript:{HACK}",
]
CLASSES = [f"</script><script>{HACK}</script>", f"<!--<script>{HACK}", "../../../up"]


def hostile_set(folder: Path) -> None:
    """Two images of each person, with a mask of each class or of one."""
    images = folder / "data" / "images"
    images.mkdir(parents=True)
    rows = []
    for number, name in enumerate(NAMES):
        for k in range(2):
            pixels, mask = tiny_image(10 * number + k, nerve=True)
            save(images / f"{name}{k}.png", pixels)
            for label in CLASSES[: 3 - k]:
                rows.append((f"{name}{k}.png", f"of {name}", label, rle.encode(mask)))
    columns = ["image", "subject", "class_id", "rle_mask"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "data" / "train.csv", index=False)


def made_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_hostile_names_are_shown_as_text_and_run_nothing(tmp_path: Path) -> None:
    """All that can be hovered over is, and images are shown as pictures, as rows and large."""
    hostile_set(tmp_path)
    before = made_in(tmp_path)
    settings = [*settings_in(tmp_path), f"runs_folder={tmp_path / NAMES[0]}", "epochs=1"]
    runs = [
        chain(configured(settings, f"seed={seed}", f"experiment_name={name}"))
        for seed, name in enumerate("ab")
    ]
    other = runs[1].rename(runs[1].with_name(NAMES[2]))
    page = report([str(runs[0]), str(other)])
    assert all(tmp_path / NAMES[0] in [path, *path.parents] for path in made_in(tmp_path) - before)
    assert "=1+10.png" in pd.read_csv(runs[0] / "oof_iou.csv")["image"].tolist()
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
        browser.ask("document.querySelector('input[name=view][value=table]').click()")
        rows = browser.ask("document.getElementById('list-rows').textContent")
        assert [word for word in (*NAMES, *CLASSES) if word not in rows] == []
        browser.ask("document.querySelector('input[name=view][value=grid]').click()")
        browser.ask("document.querySelector('.tile').click()")
        for event in ("mouseover", "mousemove", "focus", "pointermove"):
            browser.ask(
                "document.querySelectorAll('*').forEach((one) => one.dispatchEvent("
                f"new MouseEvent('{event}', {{ bubbles: true, clientX: 9, clientY: 9 }})))"
            )
        compared = browser.ask("document.getElementById('score').textContent")
        assert f"Beside {NAMES[2]}" in compared
        assert browser.ask("typeof window.hacked") == "undefined"
        planted = "img[src=x], [onmouseover], [onerror], [onload], a[href^='javascript:']"
        assert browser.ask(f"document.querySelectorAll(`{planted}`).length") == 0
        assert browser.errors == []
