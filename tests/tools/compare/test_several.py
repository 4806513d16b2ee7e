"""Several runs side by side, by worked values and by noise of which the truth is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.metric import bootstrap_interval
from lib.runtime.errors import InputError
from lib.runtime.files import save_json, save_table
from tests.tools.compare.test_compare import (
    DICE_A,
    DICE_B,
    IMAGES,
    command,
    table,
    with_model,
    write_run,
)
from tests.tools.report.browser import Browser
from tools.compare.several import SideBySide, side_by_side, together
from tools.compare.text import chance, duration, leaderboard

EPOCHS = Config().epochs


def three_runs(folder: Path, **changed: Any) -> list[Path]:
    """a, then b with two more epochs, then a copy of a by the leaking protocol."""
    a = write_run(folder / "a", table(DICE_A), metric="Dice")
    b = write_run(folder / "b", table(DICE_B), metric="Dice", epochs=EPOCHS + 2, **changed)
    c = write_run(folder / "c", table(DICE_A), metric="Dice", validation_strategy="kfold")
    caveat = {"mark": "LEAK", "text": "2 subjects stand in several folds"}
    save_json(c / "decision.json", {"caveats": [caveat]}, summed=True)
    return [a, b, c]


def trained(run: Path, seconds: float, device: str = "a processor") -> None:
    """The model, log and speed of fold 3, of two epochs."""
    with_model(run)
    speed = {"epoch": [1, 2], "training_seconds": [seconds, seconds], "validation_seconds": [1, 1]}
    rows = pd.DataFrame(speed | {"peak_memory_gib": [1.5, 2.5], "device": [device, device]})
    save_table(Run(run).speed(3), rows, summed=True)
    log = pd.DataFrame({"epoch": [1, 2], "validation_dice": [0.25, 0.5]})
    save_table(Run(run).log(3), log, summed=True)


def scores_of(found: SideBySide, of: str) -> dict[str, float | None]:
    return {row.name: row.scores[of].mean for row in found.standings}


def test_worked_scores_settings_and_differences(tmp_path: Path) -> None:
    found = side_by_side(three_runs(tmp_path))
    assert (found.images, found.subjects, found.metric) == (6, 3, "Dice")
    assert scores_of(found, "all") == pytest.approx({"a": 0.6, "b": 4.7 / 6, "c": 0.6})
    assert scores_of(found, "with a nerve") == pytest.approx({"a": 0.65, "b": 0.675, "c": 0.65})
    assert [row.name for row in found.by_score] == ["b", "a", "c"]
    assert [row.settings for row in found.standings] == [
        {"epochs": str(EPOCHS), "validation_strategy": "grouped"},
        {"epochs": str(EPOCHS + 2), "validation_strategy": "grouped"},
        {"epochs": str(EPOCHS), "validation_strategy": "kfold"},
    ]
    assert [row.marks for row in found.standings] == [[], [], ["LEAK"]]
    assert found.warnings == ["c: LEAK: 2 subjects stand in several folds"]
    changes = {(row.name, row.of): row.change for row in found.differences}
    assert changes == pytest.approx(
        {("b", "all"): 1.1 / 6, ("c", "all"): 0, ("b", "with a nerve"): 0.025}
        | {("c", "with a nerve"): 0}
    )
    same = [row for row in found.differences if row.name == "c"]
    assert [(row.interval, row.p) for row in same] == [((0, 0), 1), ((0, 0), 1)]


def test_the_cost_and_the_curve_of_a_training_stand_beside_its_score(tmp_path: Path) -> None:
    runs = three_runs(tmp_path)
    trained(runs[0], 60)
    trained(runs[1], 90, "another processor")
    found = side_by_side(runs)
    a, b, c = found.standings
    assert (a.seconds, a.gib, a.device) == (122, 2.5, "a processor")
    assert (b.seconds, c.seconds, c.gib) == (182, None, None)
    assert a.log["score"].tolist() == [0.25, 0.5]
    assert c.log.empty
    words = "trained on a processor and another processor: seconds do not compare"
    assert words in found.warnings


def test_only_images_that_all_runs_have_scored_count(tmp_path: Path) -> None:
    a, b, c = (table(DICE_A), table(DICE_B), table(DICE_A))
    b, c = b[b["image"] != "1_1"], c[c["image"] != "3_1"]
    runs = [write_run(tmp_path / name, rows) for name, rows in zip("abc", (a, b, c), strict=True)]
    found = side_by_side(runs)
    assert found.images == 4
    assert "left out: 1 images that only a has scored: 1_1" in found.warnings
    assert "left out: 1 images that only a has scored: 3_1" in found.warnings
    d = write_run(tmp_path / "d", table([0.5], ["1_1"]))
    with pytest.raises(InputError, match=r"no image is scored in all of .*/a, .*/b, .*/d"):
        side_by_side([*runs[:2], d])


def test_a_run_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    runs = three_runs(tmp_path)
    with pytest.raises(InputError, match="a run is named twice"):
        side_by_side([*runs, tmp_path / "x" / ".." / "a"])


def test_alone_a_run_has_the_interval_that_it_has_in_a_pair() -> None:
    """Of a difference whose draws are symmetric, as the corrected interval is."""
    random = np.random.default_rng(0)
    subjects = np.repeat(np.arange(30), 10).astype(str)
    change = np.repeat(random.normal(0.01, 0.03, 30), 10) + random.normal(0, 0.01, 300)
    pair, found = bootstrap_interval(change, subjects), together([change], subjects)
    assert pair and found
    assert found[0][0] == pytest.approx(pair, abs=0.001)


def test_more_runs_make_the_intervals_wider_and_p_larger() -> None:
    random = np.random.default_rng(1)
    subjects = np.repeat(np.arange(20), 5).astype(str)
    changes = [np.repeat(random.normal(0.01, 0.03, 20), 5) for _ in range(8)]
    alone, among = together(changes[:1], subjects), together(changes, subjects)
    assert alone and among
    (low, high), p = alone[0]
    (low_among, high_among), p_among = among[0]
    assert low_among < low < high < high_among
    assert p < p_among


def test_eight_runs_that_differ_by_luck_alone_are_seldom_called_different() -> None:
    """100 times: by an interval for each run the first difference was found in most of them."""
    random, together_wrong, alone_wrong = np.random.default_rng(2), 0, 0
    subjects = np.repeat(np.arange(20), 6).astype(str)
    for _ in range(100):
        changes = [
            np.repeat(random.normal(0, 0.03, 20), 6) + random.normal(0, 0.01, 120) for _ in range(8)
        ]
        found = together(changes, subjects)
        assert found
        together_wrong += any(low > 0 or high < 0 for (low, high), _ in found)
        assert all((p < 0.05) == (low > 0 or high < 0) for (low, high), p in found)
        pairs = [bootstrap_interval(change, subjects, 2000) for change in changes]
        alone_wrong += any(pair and (pair[0] > 0 or pair[1] < 0) for pair in pairs)
    assert together_wrong <= 10 < alone_wrong


def test_one_subject_has_no_interval(tmp_path: Path) -> None:
    images = ["1_2", "1_3"]
    runs = [write_run(tmp_path / name, table([0.5, 0.6], images)) for name in "abc"]
    found = side_by_side(runs)
    assert [(row.interval, row.p) for row in found.differences] == [(None, None)] * 4
    assert "one subject only" in leaderboard(found)


def test_settings_that_cannot_be_read_are_said_and_the_scores_compared(tmp_path: Path) -> None:
    runs = three_runs(tmp_path)
    (runs[1] / "config.yaml").write_text("a_setting_of_old: 1\n")
    found = side_by_side(runs)
    assert any("the settings of b are not compared" in warning for warning in found.warnings)
    assert found.standings[1].settings == {}


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "-"), (9.6, "10 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_a_p_is_never_zero() -> None:
    assert [chance(p) for p in (None, 0.0001, 0.0304)] == ["-", "p < 0.001", "p = 0.030"]


def test_the_command_prints_a_row_a_run_and_makes_a_page(tmp_path: Path) -> None:
    runs = three_runs(tmp_path)
    for run, seconds in zip(runs, (60, 90, 60), strict=True):
        trained(run, seconds)
    result = command(*runs)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "3 runs, mean Dice of 6 images of 3 subjects; the best first"
    rows = [line.split() for line in lines if line[:3] in ("a  ", "b  ", "c  ")]
    assert [row[:2] for row in rows] == [["b", "0.7833"], ["a", "0.6000"], ["c", "0.6000"]]
    assert "LEAK" in rows[2]
    assert lines[-1] == str(tmp_path / "compare.html")
    with Browser(tmp_path / "profile") as browser:
        browser.open(tmp_path / "compare.html")
        assert browser.ask("document.querySelectorAll('[data-chart] svg').length") == 3
        text = browser.ask("document.body.textContent")
        assert "2 min 02 s" in text
        assert str(tmp_path) not in text
        assert browser.errors == []


def test_names_are_shown_as_text(tmp_path: Path) -> None:
    names = ["<img src=x onerror='window.hacked=1'>", "b", "c"]
    runs = [write_run(tmp_path / name, table(DICE_A, IMAGES)) for name in names]
    assert command(*runs, "--page", tmp_path / "page.html").returncode == 0
    with Browser(tmp_path / "profile") as browser:
        browser.open(tmp_path / "page.html")
        assert browser.ask("typeof window.hacked") == "undefined"
        assert names[0] in browser.ask("document.body.textContent")
