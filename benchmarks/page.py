"""How soon report.html of as many images as the competition's can be read in a browser.

    python -m benchmarks.page FOLDER [--subjects 47 --frames 120] [--rounds 5]

Draws a phantom, prepares it by 01, lets blurred true masks, moved and faded, stand for what
networks say, and writes the page. Then Chromium loads it, each time from the disk with an
empty cache. Prints one Markdown table: seconds until the load event, until all sections that a
window shows are drawn and every control works, and until every chart of the page is drawn.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.scripts import script, settings_of
from lib.artifacts.folds import load_folds, true_mask
from lib.artifacts.probabilities import Probability, ProbabilityWriter, provenance_of
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.decision.results import results_of
from lib.runtime.files import sha_of, written_whole
from lib.runtime.progress import progress
from tests.tools.report.browser import Browser
from tools.phantom.dataset import generate
from tools.report.page import write_report

BLUR = 4  # pixels
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
READY = "performance.getEntriesByName('ready')[0].startTime / 1000"
ALL_DRAWN = "performance.getEntriesByName('drawn')[0].startTime / 1000"


def main(folder: Path, subjects: int, frames: int, rounds: int) -> None:
    page = made(folder, subjects, frames)
    times = [loaded(page) for _ in range(rounds)]
    print(f"{subjects * frames:,} images, {page.stat().st_size / 1e6:.1f} MB, {rounds} rounds\n")
    print("| seconds until | median | least to most |\n|---|---|---|")
    names = ("load event", "sections drawn, controls at work", "every chart drawn")
    for name, values in zip(names, zip(*times, strict=True), strict=True):
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"| {name} | {statistics.median(values):.2f} | {spread} |")


def made(folder: Path, subjects: int, frames: int) -> Path:
    """report.html; made once."""
    data = folder / f"phantom_{subjects}x{frames}"
    generate(data, subjects, frames, 1, 1)
    settings = [*settings_of(data, folder), "n_folds=5", "quiet=true"]
    config = load_settings(DEFAULT_FILE, settings)
    run = Run.of(config)
    script(1, settings)
    if not all(run.oof(fold).is_file() for fold in config.fold_numbers):
        answer(config)
    return write_report(results_of(config))


def answer(config: Config) -> None:
    """What 02 and 03 leave."""
    folds, run, random = load_folds(config), Run.of(config), np.random.default_rng(0)
    for fold in progress(config.fold_numbers, "answers", len(config.fold_numbers), "folds"):
        rows = folds.table[folds.table["fold"] == fold]
        model = f"no network {fold}".encode()
        run.model(fold).parent.mkdir(parents=True, exist_ok=True)
        run.model(fold).write_bytes(model)
        told = provenance_of({str(fold): sha_of(model)}, rows, folds)
        told |= {"presence_head": False, "caveats": []}
        with written_whole(run.oof(fold)) as file, ProbabilityWriter(file, told) as writer:
            for row in rows.to_dict("records"):
                seen = doubted(true_mask(row, folds.masks[0]), random)
                writer.add(row["image"], seen[None], np.array([seen.max() / 255], np.float32))


def doubted(mask: Probability, random: np.random.Generator) -> Probability:
    """The mask, blurred, moved by some pixels and faded; where there is none, a faint disc."""
    seen, peak = mask * 255, random.uniform(80, 255)
    if not mask.any():
        centre = (int(random.integers(60, 500)), int(random.integers(60, 350)))
        cv2.circle(seen, centre, 30, (255,), -1)
        peak = random.uniform(0, 150)
    shift = np.array([[1, 0, random.normal(0, 8)], [0, 1, random.normal(0, 8)]])
    moved = cv2.warpAffine(seen, shift, mask.shape[::-1])
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), BLUR) * (peak / 255), np.uint8)


def loaded(page: Path) -> tuple[float, float, float]:
    """Seconds since the start of the navigation, in a browser of its own."""
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # Chromium ends a little later
    with folder as profile, Browser(Path(profile)) as browser:
        browser.open(page)
        load, ready, drawn = (float(browser.ask(what)) for what in (LOADED, READY, ALL_DRAWN))
    return load, ready, drawn


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m benchmarks.page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=47)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    main(**vars(parser.parse_args()))
