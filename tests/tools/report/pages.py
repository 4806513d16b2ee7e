"""Pages to test, and a hand on their controls."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from lib.artifacts.caveats import training_caveats
from lib.artifacts.folds import load_folds, true_mask
from lib.artifacts.log import save_log
from lib.artifacts.probabilities import provenance_of
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.decision.results import Results
from lib.runtime.files import save_table, sha_of
from tests.decision.test_nested import write_maps
from tests.tools.report.browser import Browser


class Page(NamedTuple):
    browser: Browser
    results: Results
    path: Path

    def look(self, width: int = 1280, scheme: str = "light") -> Browser:
        """The page, loaded anew."""
        self.browser.errors.clear()
        self.browser.open(self.path, width, 900, scheme)
        return self.browser

    def text(self, place: str) -> str:
        return str(self.browser.ask(f"document.getElementById('{place}').textContent"))


def choose(browser: Browser, name: str, value: str) -> list[str]:
    """Sets a control; the images that are then shown."""
    browser.ask(
        f"(() => {{ const field = document.getElementById('{name}'); field.value = '{value}';"
        "field.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    return list(browser.ask("report.rows()"))


def write_twins(config: Config) -> None:
    """1_1 is most like 1_2; the label of 1_4, which is less like it, contradicts its own."""
    alike = pd.DataFrame({"image": "1_1", "twin": ["1_4", "1_2"], "twin_part": "train"})
    save_table(Run.of(config).duplicates, alike.assign(similarity=[0.93, 0.99]), summed=True)
    pair = {"image": "1_4", "twin": "1_1", "similarity": 0.93, "dice": 0.25}
    people = {"subject": "1", "twin_subject": "1", "image_empty": False, "twin_empty": False}
    save_table(Run.of(config).contradictions, pd.DataFrame([pair | people]), summed=True)


def predict_by_hand(config: Config) -> None:
    """Every seventh image seems empty, those without a nerve a disc, others their mask."""
    folds = load_folds(config)
    truths = [true_mask(row, "rle_mask") for row in folds.table.to_dict("records")]
    disc = cv2.circle(np.zeros_like(truths[0]), (50, 30), 9, 1, -1)
    told = [0 * m if k % 7 == 0 else disc if k % 4 == 2 else m for k, m in enumerate(truths)]
    maps = [cv2.blur(mask * 220, (7, 7)) for mask in told]
    names = {image: k for k, image in enumerate(folds.table["image"])}
    presence = np.random.default_rng(0).random(len(maps))
    for fold in config.fold_numbers:
        rows = folds.table[folds.table["fold"] == fold]
        model = f"model {fold}".encode()
        save_log(config, fold, [{"epoch": k, "validation_iou": k / 9} for k in (1, 2)])
        Run.of(config).model(fold).write_bytes(model)
        provenance = provenance_of({str(fold): sha_of(model)}, rows, folds)
        provenance |= {"presence_head": True, "caveats": training_caveats(config)}
        write_maps(Run.of(config).oof(fold), provenance, rows["image"], names, maps, presence)
