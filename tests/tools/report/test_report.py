"""report.html of small runs: its figures, and what it says of what is missing."""

import html
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.artifacts.audit import save_audit
from lib.artifacts.caveats import PHANTOM, Caveat, sentence, training_caveats
from lib.artifacts.folds import load_folds
from lib.artifacts.run import Run, save_config
from lib.config.fields import Config
from lib.decision.results import Results, results_of
from lib.runtime.errors import InputError
from tests.conftest import step
from tests.decision.test_nested import config_of, write_run
from tests.decision.test_search import evidence_of, made_up
from tests.tools.report.browser import chromium
from tools.page import vega
from tools.page.made import day
from tools.report import __main__ as command
from tools.report.calibration import calibration_error, expected_scores, pixel_reliability
from tools.report.data_charts import curves_plot
from tools.report.explorer import packed_counts
from tools.report.page import page, write_report
from tools.report.pictures import chosen, outline
from tools.report.plots import plots_of
from tools.report.tables import (
    measures_tables,
    named_twins,
    places,
    subjects_table,
    twins_table,
)


def test_an_outline_leads_around_the_mask_and_around_its_hole() -> None:
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[4:15, 5:25] = 1
    mask[8:11, 10:20] = 0
    again = np.zeros_like(mask)
    lines = [
        np.array([point.split() for point in line.removesuffix("Z").split("L")], dtype=np.int32)
        for line in outline(mask).split("M")[1:]
    ]
    assert len(lines) == 2
    cv2.fillPoly(again, lines[:1], 1)
    assert again[4:15, 5:25].all()
    assert again.sum() == 11 * 20
    assert outline(np.zeros((4, 4), dtype=np.uint8)) == ""


@pytest.mark.parametrize(
    ("number", "first"),
    [
        (1, ["worst"]),
        (4, ["worst", "alarm", "missed", "twin"]),
        (6, ["worst", "alarm", "missed", "twin", "best", "empty"]),
    ],
)
def test_pictures_are_chosen_in_turns_of_errors_twins_best_and_all(
    number: int, first: list[str]
) -> None:
    rows = pd.DataFrame(
        [
            ("alarm", 0.0, 50, 0, 0.9),
            ("worst", 0.1, 50, 60, 0.9),
            ("twin", 0.5, 50, 60, 0.8),
            ("empty", 1.0, 0, 0, 0.1),
            ("missed", 0.0, 0, 60, 0.2),
            ("best", 0.9, 50, 60, 0.9),
        ],
        columns=["image", "iou", "area", "true_area", "presence"],
    )
    found = chosen(rows, {"twin"}, number)
    assert len(found) == number
    assert set(found) == set(first)


def test_the_cost_of_a_subject_is_what_the_mean_would_gain(tmp_path: Path) -> None:
    results = results_of(made_run(tmp_path))
    rows = results.rows
    for row in subjects_table(results):
        as_all = rows["iou"].where(rows["subject"] != row["name"], rows["iou"].mean())
        assert row["cost"] == pytest.approx(as_all.mean() - rows["iou"].mean(), abs=1e-12)


def test_people_are_ranked_by_their_images_with_a_nerve(tmp_path: Path) -> None:
    """0 scores low on all images as it has many nerves, 1 is worse on those, 2 has none."""
    results = results_of(made_run(tmp_path))
    rows = pd.DataFrame(
        [("0", 50, 0.6)] * 4 + [("1", 50, 0.5)] + [("1", 0, 1.0)] * 3 + [("2", 0, 1.0)],
        columns=["subject", "true_area", "iou"],
    )
    image = [f"i{k}" for k in range(len(rows))]
    subjects = subjects_table(results._replace(rows=rows.assign(dice=rows["iou"], image=image)))
    assert [row["name"] for row in subjects] == ["1", "0", "2"]
    assert [row["iou"] for row in subjects] == pytest.approx([0.875, 0.6, 1])
    assert [row["nerve"] and row["nerve"]["iou"] for row in subjects] == [0.5, 0.6, None]


def test_an_image_names_its_nearest_twin_and_those_that_contradict_it(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    alike = pd.DataFrame({"image": ["a", "a", "a"], "twin": ["b", "c", "t"]})
    alike = alike.assign(twin_part=["train", "train", "test"], similarity=[0.93, 0.97, 0.999])
    alike.to_csv(Run.of(config).duplicates, index=False)
    near = {"image": "c", "similarity": 0.97, "dice": None}
    assert named_twins(config) == {
        "a": [near],
        "b": [{"image": "a", "similarity": 0.93, "dice": None}],
        "c": [near | {"image": "a"}],
    }
    pairs = pd.DataFrame({"image": ["b"], "twin": ["a"], "similarity": 0.93, "dice": 0.1})
    pairs.assign(subject="", twin_subject="").to_csv(Run.of(config).contradictions, index=False)
    found = named_twins(config)
    assert found["a"] == [near, {"image": "b", "similarity": 0.93, "dice": 0.1}]
    assert found["b"] == [{"image": "a", "similarity": 0.93, "dice": 0.1}]


def test_a_run_of_drawn_images_is_marked_at_the_head_and_beside_each_score(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    assert "PHANTOM" not in words_of(text_of(results_of(config)))
    with_audit(config, phantom=True)
    words = words_of(text_of(results_of(config)))
    assert sentence(PHANTOM) in words
    assert words.count(" PHANTOM") == 4  # in the header, at the head, beside both scores


def test_dice_and_iou_stand_beside_each_other_with_the_day_and_the_commit(tmp_path: Path) -> None:
    for metric, other in (("IoU", "Dice"), ("Dice", "IoU")):
        results = results_of(made_run(tmp_path, f"metric={metric}"))
        words = words_of(text_of(results))
        for kind in ("all", "with_nerve"):
            found = results.decision["scores"][kind]
            low, high = found[f"{other.lower()}_interval"]
            assert f"{other} {found[other.lower()]:.3f}, 95 % {low:.3f} to {high:.3f}" in words
        assert f"Made on {day()}" in words


def test_reliability_counts_every_pixel_once_in_its_tenth() -> None:
    maps = [np.array([[0, 25, 26, 255]], dtype=np.uint8)]
    evidence = evidence_of(maps, [np.array([[0, 1, 0, 1]], dtype=np.uint8)], np.array([0.5]), False)
    unseen: Any = type("Unseen", (), {"evidence": [evidence]})
    table = pixel_reliability(unseen, [""])
    assert table["number"].tolist() == [2, 1, 1]
    assert table["true"].tolist() == [0.5, 0.0, 1.0]
    assert table["predicted"].tolist() == pytest.approx([12.5 / 255, 26 / 255, 1])
    error = (2 * (0.5 - 12.5 / 255) + 26 / 255 + 0) / 4
    assert calibration_error(table) == pytest.approx(error)


def test_the_expected_score_is_the_mean_of_both_kinds_weighted_by_the_share(
    tmp_path: Path,
) -> None:
    results = results_of(made_run(tmp_path))
    table = expected_scores(results).set_index("share")
    line = table[table["what"] != "all masks empty"]["score"]
    nerve = results.rows[results.rows["true_area"] > 0]["iou"].mean()
    empty = results.rows[results.rows["true_area"] == 0]["iou"].mean()
    assert line.loc[0] == pytest.approx(empty)
    assert line.iloc[-1] == pytest.approx(nerve)
    assert line.iloc[10] == pytest.approx((nerve + empty) / 2)


def test_the_page_tells_each_measure_and_each_part_of_the_images(tmp_path: Path) -> None:
    results = results_of(made_run(tmp_path, "pixel_spacing_mm=0.1"))
    (table,) = measures_tables(results)
    found = results.decision["measures"]["all"]
    cells = {row["name"]: row["cells"] for row in table["rows"]}
    for name, key, digits in (("HD95, mm", "hd95_mm", 2), ("NSD at 7 px", "nsd", 3)):
        wanted = [f"{found[of][key]['mean']:.{digits}f}" for of in ("every_mask", "neither_empty")]
        assert [cells[name][0], cells[name][3]] == wanted
    assert cells["specificity of presence"][3:] == ["–"] * 3
    text = page(results, subjects_table(results), {}, [])
    assert f"the {table['both']} of which" in text
    assert f"Missed: {found['missed']}, false alarms: {found['false_alarms']}" in text
    assert "smallest third of the nerves" in text
    rows = live_of(text)["rows"]
    assert {"hd95", "nsd"} < rows.keys()
    assert "assd" not in rows


def test_places_are_the_share_of_masks_that_cover_them(tmp_path: Path) -> None:
    masks = [np.zeros((42, 58), dtype=np.uint8) for _ in range(2)]
    masks[0][:, :29] = 1
    masks[1][:, :] = 1
    table = pd.DataFrame(
        {
            "image": ["a", "b"],
            "rle_mask": [rle.encode(mask) for mask in masks],
            "height": 42,
            "width": 58,
        }
    )
    share = places(table)
    assert share[:, :14] == pytest.approx(1)
    assert share[:, 15:] == pytest.approx(0.5)


def test_packed_counts_are_small_where_neighbours_are_alike() -> None:
    same = np.full((5000, 100), 243_600)
    assert len(packed_counts(same)) < 20_000


def made_run(tmp_path: Path, *settings: str, head: bool = True, images: int = 48) -> Config:
    """A run of maps without images on the disk."""
    maps, truths, presence = made_up(images)
    config = config_of(tmp_path, *settings)
    write_run(config, maps, truths, presence if head else None)
    return config


def live_of(text: str) -> dict[str, Any]:
    """What the page has for its script."""
    found = re.search(r'<script type="application/json" id="live">(.*?)</script>', text, re.S)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


def with_audit(config: Config, **changes: Any) -> None:
    folds = load_folds(config)
    path = Run.of(config).audit
    audit = json.loads(path.read_text()) | changes
    save_audit(config, audit)
    assert load_folds(config).sha == folds.sha


def text_of(results: Results) -> str:
    """The page; nothing is written."""
    subjects = subjects_table(results)
    return page(results, subjects, plots_of(results, subjects), [])


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def words_of(text: str) -> str:
    """The page without scripts, styles and tags."""
    text = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", text)))


def test_a_leak_stands_in_red_beside_the_score(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    leak = Caveat(mark="LEAK", text="7 pairs of near-duplicate images stand on both sides")
    with_audit(config, leaks=[leak])
    words = words_of(text_of(results_of(config)))
    assert "LEAK: 7 pairs" in words
    assert "No leak found" not in words


def test_without_a_leak_it_says_so(tmp_path: Path) -> None:
    words = words_of(text_of(results_of(made_run(tmp_path))))
    assert "No leak found" in words


def test_what_flatters_stands_beside_the_score(tmp_path: Path) -> None:
    config = made_run(tmp_path, "train_validation_data=true")
    words = words_of(text_of(results_of(config)))
    assert sentence(training_caveats(config)[0]) in words
    assert words.count("NOT OUT OF FOLD") == 3  # beside both scores, and in full


def test_a_page_without_images_logs_and_head_says_what_is_missing(tmp_path: Path) -> None:
    config = made_run(tmp_path, head=False)
    text = text_of(results_of(config))
    words = words_of(text)
    assert "there are no pictures" in words
    assert "No log of fold 0, 1, 2" in words
    assert live_of(text)["pictures"] == {}


def test_missing_folds_are_named(tmp_path: Path) -> None:
    made_run(tmp_path)
    config = config_of(tmp_path, "folds=[0]")
    words = words_of(text_of(results_of(config)))
    assert "FOLDS MISSING: 1, 2 are not in these scores" in words


def test_a_set_of_one_subject_with_a_nerve_everywhere_has_a_page(tmp_path: Path) -> None:
    maps, truths, _ = made_up(30)
    there = [k for k in range(30) if truths[k].any()][:12]
    config = config_of(tmp_path, "n_folds=2", "folds=[0]")
    write_run(config, [maps[k] for k in there], [truths[k] for k in there], subjects=1)
    words = words_of(text_of(results_of(config)))
    assert "Nothing was chosen on these images" in words
    assert "Every image has a nerve" in words


def test_a_set_without_any_nerve_has_a_page(tmp_path: Path) -> None:
    maps, truths, presence = made_up(24)
    config = config_of(tmp_path)
    write_run(config, maps, [np.zeros_like(truth) for truth in truths], presence)
    words = words_of(text_of(results_of(config)))
    assert "There is no mask in this set" in words
    assert "No image has a nerve" in words


def test_names_from_the_data_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    results = results_of(config)
    evil = "</script><img src=x onerror=alert(1)>"
    rows = results.rows.assign(subject=evil, image=evil + results.rows["image"])
    text = text_of(results._replace(rows=rows))
    assert "<img src=x" not in text


def test_the_page_asks_for_nothing_from_outside_and_tells_no_path_of_the_machine(
    tmp_path: Path,
) -> None:
    config = made_run(tmp_path, f"test_dataframe={tmp_path / 'test.csv'}")
    text = text_of(results_of(config))
    assert str(tmp_path) not in text
    plain = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"(src|href)=[\"'](?!#|data:)", plain)


def test_the_same_run_gives_the_same_page_and_plots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # lest it be made before and after midnight
    config = made_run(tmp_path)
    before = snapshot(write_report(results_of(config)).parent)
    after = snapshot(write_report(results_of(config)).parent)
    assert before == after
    assert {"report.html", "scores.png", "subjects.png", "iou_histogram.png"} <= {*before}


def snapshot(folder: Path) -> dict[str, bytes]:
    files = [*folder.glob("report.html"), *folder.glob("plots/*.png")]
    return {path.name: path.read_bytes() for path in files}


def test_two_runs_stand_side_by_side(tmp_path: Path) -> None:
    first = made_run(tmp_path, "experiment_name=first")
    other = made_run(tmp_path, "experiment_name=second", "tune_decision=false")
    for config in (first, other):
        save_config(config)
        step(4).main(config)
    folder = Run.of(first).folder
    words = words_of(read(command.main([str(folder), str(Run.of(other).folder)])))
    assert "Beside second" in words
    assert "tune_decision" in words
    assert str(folder.parent) not in words


def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.yaml is missing: run 01"):
        command.main([str(tmp_path / "nothing")])
    with pytest.raises(InputError, match="which run"):
        command.main(["epochs=3"])


def test_a_folder_with_an_equals_sign_is_a_run(tmp_path: Path) -> None:
    config = made_run(tmp_path, "experiment_name=rate=0.002")
    save_config(config)
    folder = Run.of(config).folder
    assert command.main([str(folder)]) == folder / "report.html"


def test_a_long_training_has_a_curve() -> None:
    log = pd.DataFrame({"fold": "0", "epoch": np.arange(6000), "iou": 0.5})
    plot = curves_plot(log, "iou", "IoU", pd.DataFrame())
    assert len(str(plot.chart)) > 6000


def test_twins_of_unknown_people_are_of_nobody(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    table = pd.DataFrame({"image": ["NA"], "twin": ["b"], "subject": "", "twin_subject": ""})
    table.to_csv(Run.of(config).contradictions, index=False)
    found = twins_table(config)
    assert found.loc[0].tolist() == ["NA", "b", "", ""]


def test_folds_without_probabilities_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made_run(tmp_path)
    save_config(config)
    Run.of(config).oof(1).unlink()
    words = words_of(read(command.main([str(Run.of(config).folder)])))
    assert "without folds [1]" in capsys.readouterr().out
    assert "FOLDS MISSING: 1 is not in these scores" in words


def test_of_one_share_held_out_no_other_fold_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made_run(tmp_path, "validation_strategy=automatic")
    save_config(config)
    command.main([str(Run.of(config).folder)])
    assert "missing" not in capsys.readouterr().out


def test_speed_and_the_first_batch_are_shown_where_a_training_left_them(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    fold = Run.of(config).fold(1)
    speed = {"epoch": [1.0], "device": ["some accelerator"], "images_per_second": [123.0]}
    pd.DataFrame(speed).to_csv(fold / "speed.csv", index=False)
    cv2.imwrite(str(fold / "first_batch.png"), np.full((40, 60, 3), 200, dtype=np.uint8))
    text = text_of(results_of(config))
    words = words_of(text)
    assert "some accelerator" in words
    assert "images per second" in words
    assert "The first augmented batch of fold 1." in words
    assert 'alt="First batch of fold 1' in text


def test_the_reference_run_is_a_line_only_where_every_image_has_a_nerve(tmp_path: Path) -> None:
    maps, truths, presence = made_up(48)
    there = [k for k in range(48) if truths[k].any()]
    config = config_of(tmp_path)
    write_run(config, [maps[k] for k in there], [truths[k] for k in there], presence[there])
    with_nerves = words_of(text_of(results_of(config)))
    assert "Hydrogen Torch's, on 427 frames of other folds" in with_nerves
    write_run(config, maps, truths, presence)
    assert "Hydrogen Torch's, on 427" not in words_of(text_of(results_of(config)))


def test_without_a_browser_the_tests_of_the_page_say_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(AssertionError, match="apt-get install chromium"):
        chromium()


def test_without_vl_convert_there_are_tables_and_no_plots_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vega, "vl_convert", None)
    config = made_run(tmp_path)
    path = write_report(results_of(config))
    assert "vl-convert-python is not installed: no plots" in capsys.readouterr().out
    assert not Run.of(config).plots.exists()
    assert "<table" in read(path)
    assert "vegaEmbed = " not in read(path)
