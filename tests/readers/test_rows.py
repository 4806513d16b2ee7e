"""Two readings and the network's mask, held against each other: readers.csv and decision.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib import rle
from lib.artifacts.folds import load_folds
from lib.artifacts.run import Run, save_config
from lib.artifacts.second_reader import save_second_reader
from lib.config.fields import Config
from lib.decision.results import results_of
from lib.readers.rows import AGREED, BOTH, EITHER, NETWORK, Readings, compared
from lib.readers.statistics import INFERIOR, NOT_INFERIOR
from lib.readers.summary import readers_content, with_readers
from lib.readers.text import readers_text
from lib.readers.twins import at_size
from lib.runtime.errors import InputError
from lib.runtime.files import save_table
from tests.decision.test_nested import last_step
from tests.tools.report.test_report import made_run
from tools.report.page import page
from tools.report.readers import reach, readers_plots, readers_section
from tools.report.run import read_run
from tools.report.tables import subjects_table

ONE, TWO = NAMES = ("reader 1", "reader 2")
PLACE: dict[str, Any] = {"height": 10, "width": 10, "spacing": ""}


def rows(first: int, last: int) -> np.ndarray:
    """A mask of 10 x 10 whose rows `first` to before `last` are marked."""
    mask = np.zeros((10, 10), dtype=np.uint8)
    mask[first:last] = 1
    return mask


NOTHING = rows(0, 0)


def scores(first: np.ndarray, second: np.ndarray, network: np.ndarray) -> dict[Any, Any]:
    found = compared(first, second, network, NAMES, PLACE, Config())
    return {(pair["mask"], pair["against"]): pair for pair in found}


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        # 40 and 40 pixels that share 20; the network marks the 60 of either.
        ((rows(0, 4), rows(2, 6), rows(0, 6)), [20 / 60, 4 / 6, 4 / 6, 2 / 6, 1, 1]),
        # The network marks row 9, of which both say that it is none.
        ((rows(0, 4), rows(2, 6), rows(9, 10)), [20 / 60, 0, 0, 0, 0, 0]),
        # One reader sees nothing: all that the other one marks is in dispute.
        ((rows(0, 4), NOTHING, rows(0, 4)), [0, 1, 0, 0, 1, 1]),
        ((rows(0, 4), NOTHING, rows(0, 5)), [0, 4 / 5, 0, 0, 4 / 5, 0]),
        ((NOTHING, NOTHING, NOTHING), [1, 1, 1, 1, 1, 1]),
        ((NOTHING, NOTHING, rows(0, 4)), [1, 0, 0, 0, 0, 0]),
    ],
)
def test_each_pair_scores_what_is_worked_by_hand(
    masks: tuple[np.ndarray, ...], expected: list[float]
) -> None:
    found = scores(*masks)
    pairs = [(TWO, ONE), (NETWORK, ONE), (NETWORK, TWO)]
    pairs += [(NETWORK, BOTH), (NETWORK, EITHER), (NETWORK, AGREED)]
    assert list(found) == pairs
    assert [pair["iou"] for pair in found.values()] == pytest.approx(expected)
    assert {pair["marked"] for pair in found.values()} == {bool(masks[0].any() | masks[1].any())}


def test_areas_are_those_of_the_first_name_less_those_of_the_second() -> None:
    found = scores(rows(0, 4), rows(0, 7), rows(0, 5))
    assert found[TWO, ONE]["area_error"] == 30
    assert found[NETWORK, ONE]["area_error"] == 10
    assert found[NETWORK, TWO]["area_error"] == -20
    assert "area_error" not in found[NETWORK, BOTH]


def test_millimetres_are_told_where_the_spacing_is_known() -> None:
    row = PLACE | {"spacing": "0.5 0.2"}
    found = compared(rows(0, 4), rows(0, 7), NOTHING, NAMES, row, Config())
    assert found[0]["area_error_mm2"] == pytest.approx(30 * 0.5 * 0.2)
    assert found[0]["hd95_mm"] == pytest.approx(3 * 0.5)


def table_of(*masks: tuple[np.ndarray, np.ndarray, np.ndarray], margin: float = 0.05) -> Any:
    """The key "readers" of images of which each is of a person of its own."""
    found = pd.DataFrame(
        [
            {"image": f"i{k}", "subject": f"s{k}", **pair}
            for k, image in enumerate(masks)
            for pair in compared(*image, NAMES, PLACE, Config())
        ]
    )
    readings = Readings("second reader", NAMES, pd.DataFrame())
    return readers_content(found, readings, Config(reader_margin=margin))


def test_the_summary_has_means_of_all_of_marked_and_of_pairs_that_are_not_empty() -> None:
    found = table_of(
        (rows(0, 4), rows(2, 6), rows(0, 6)),
        (rows(0, 4), NOTHING, rows(0, 4)),
        (rows(0, 4), rows(0, 4), NOTHING),
        (NOTHING, NOTHING, NOTHING),
    )["all"]
    readers = found["pairs"][0]
    assert readers["all"]["iou"]["mean"] == pytest.approx((1 / 3 + 0 + 1 + 1) / 4)
    assert readers["marked"]["iou"]["mean"] == pytest.approx((1 / 3 + 0 + 1) / 3)
    assert readers["neither_empty"]["iou"]["mean"] == pytest.approx((1 / 3 + 1) / 2)
    assert readers["neither_empty"]["hd95"]["mean"] == pytest.approx(2 / 2)
    assert readers["all"]["all_empty"] == 0.25
    counts = ("both_empty", "only_mask", "only_against", "alike")
    assert [readers[name] for name in counts] == [1, 0, 1, 1]
    assert found["presence"] | {"kappa": 0, "kappa_interval": 0} == {
        "both": 2,
        "only_first": 1,
        "only_second": 0,
        "neither": 1,
        "kappa": 0,
        "kappa_interval": 0,
    }
    assert found["areas"][0]["pixels"]["masks"] == 2
    assert found["areas"][0]["pixels"]["mean"] == 0


def test_the_network_is_held_against_a_reader_as_the_other_one_is() -> None:
    good = table_of(*[(rows(0, 4), rows(0, 5), rows(0, 5))] * 4)["all"]["as_good_as_a_reader"]
    assert [(one["against"], one["other"], one["of"]) for one in good] == [
        (TWO, ONE, "all"),
        (ONE, TWO, "all"),
    ]
    assert [one["difference"] for one in good] == pytest.approx([1 - 0.8, 0])
    assert [one["verdict"] for one in good] == [NOT_INFERIOR, NOT_INFERIOR]
    bad = table_of(*[(rows(0, 4), rows(0, 5), rows(0, 3))] * 4)["all"]["as_good_as_a_reader"]
    assert [one["difference"] for one in bad] == pytest.approx([0.6 - 0.8, 0.75 - 0.8])
    assert bad[0]["verdict"] == INFERIOR


def test_the_margin_of_the_settings_decides_and_is_told() -> None:
    masks = [(rows(0, 4), rows(0, 5), rows(0, 3))] * 4
    strict, lenient = (table_of(*masks, margin=margin) for margin in (0.05, 0.25))
    assert strict["all"]["as_good_as_a_reader"][0]["verdict"] == INFERIOR
    assert lenient["all"]["as_good_as_a_reader"][0]["verdict"] == NOT_INFERIOR
    assert "margin 0.25: NOT INFERIOR" in readers_text(lenient)
    assert "against reader 2, 4 masks: network 0.600, reader 1 0.800" in readers_text(lenient)
    flatters = [line for line in readers_text(lenient).splitlines() if "flatters" in line]
    assert ["against reader 1" in line for line in flatters] == [True]


def test_images_that_nobody_marked_are_told_apart() -> None:
    found = table_of((rows(0, 4), rows(0, 5), NOTHING), (NOTHING, NOTHING, NOTHING))["all"]
    against_two = [one for one in found["as_good_as_a_reader"] if one["against"] == TWO]
    assert [(one["of"], one["masks"]) for one in against_two] == [("all", 2), ("marked", 1)]
    assert [one["difference"] for one in against_two] == pytest.approx([-0.4, -0.8])


def with_second_reader(config: Config, share: float = 1) -> pd.DataFrame:
    """The labels of a run moved down by two pixels, of the first `share` of its images."""
    table = load_folds(config).table
    table = table.head(int(share * len(table)))
    moved = []
    for row in table.to_dict("records"):
        mask = rle.decode(row["rle_mask"], (row["height"], row["width"]))
        moved.append(rle.encode(np.roll(mask, 2, axis=0)))
    second = table[["image", "height", "width"]].assign(rle_mask=moved)
    save_second_reader(config, second)
    return second


def test_the_last_step_tells_how_far_readers_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made_run(tmp_path)
    run, second = Run.of(config), with_second_reader(config, 0.75)
    last_step(config)
    assert "readers: 36 images, 12 subjects with two people's labels" in capsys.readouterr().out
    assert "How far do readers agree?" in run.report.read_text()
    told = json.loads(run.decision.read_text())
    table = pd.read_csv(run.readers)
    assert set(table["image"]) == set(second["image"])
    assert len(table) == 6 * len(second)
    found = told["readers"]["all"]
    assert found["images"] == len(second)
    own = pd.read_csv(run.scores).set_index("image").loc[second["image"], "iou"]
    against_one = next(p for p in found["pairs"] if (p["mask"], p["against"]) == (NETWORK, ONE))
    assert against_one["all"]["iou"]["mean"] == pytest.approx(own.mean(), abs=1e-5)
    run.second_reader.unlink()
    last_step(config)
    without = json.loads(run.decision.read_text())
    assert without["readers"] is None
    assert told | {"readers": None} == without
    assert not run.readers.exists()
    assert 'id="readers"' not in run.report.read_text()


def test_the_page_has_a_plot_of_areas_that_tells_the_limits(tmp_path: Path) -> None:
    config = made_run(tmp_path, "pixel_spacing_mm=0.1")
    with_second_reader(config)
    save_config(config)
    results = read_run(Run.of(config).folder, [])
    plots = {plot.name: plot for plot in readers_plots(results)}
    assert list(plots) == ["readers_area_1", "readers_area_2", "readers_area_3"]
    assert plots["readers_area_1"].title == "Area, reader 2 less reader 1"
    areas = results.decision["readers"]["all"]["areas"][1]["mm2"]
    told = plots["readers_area_2"].table.set_index("line")["value"]
    assert told.to_dict() == pytest.approx({name: areas[name] for name in ("mean", "low", "high")})
    text = page(results, subjects_table(results), plots, [])
    assert text.count('data-chart="readers_area_') == 3
    assert "mm²" in plots["readers_area_1"].chart["layer"][0]["encoding"]["y"]["title"]
    assert "limits of agreement" in plots["readers_area_1"].chart["description"]


def test_labels_of_another_run_are_named_with_the_step(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    second = with_second_reader(config)
    save_second_reader(config, second.rename(columns={"rle_mask": "rle_mask_vessel"}))
    with pytest.raises(InputError, match=r"lacks the columns \['rle_mask'\]: run 01_prepare_folds"):
        last_step(config)


def write_duplicates(config: Config, *pairs: tuple[str, str, str, float]) -> None:
    columns = ["image", "twin", "twin_part", "similarity"]
    save_table(Run.of(config).duplicates, pd.DataFrame(pairs, columns=columns), summed=True)


def test_twins_take_the_place_of_a_second_reader(tmp_path: Path) -> None:
    config = made_run(tmp_path)
    write_duplicates(
        config,
        ("i0", "i1", "train", 1.0),
        ("i1", "i2", "train", 0.99),
        ("i3", "i4", "train", 0.95),  # not alike enough
        ("i5", "i6", "test", 1.0),  # a test image of the same name
    )
    results = results_of(config)
    twins = with_readers(results)
    table, found = twins.readers, twins.decision["readers"]
    assert table is not None
    assert sorted(set(table["image"])) == ["i0", "i1", "i2"]
    labels = load_folds(config).table.set_index("image")["rle_mask"]
    areas = {image: sum(map(int, text.split()[1::2])) for image, text in labels.items()}
    pair = table[table["mask"] == "the twin's label"].set_index("image")
    for image, twin in {"i0": "i1", "i1": "i0", "i2": "i1"}.items():
        assert pair.loc[image, "area"] == areas[twin]
        assert pair.loc[image, "against_area"] == areas[image]
    text = readers_text(found)
    assert found["kind"] == "twins"
    assert "each label beside that of its nearest twin" in text
    assert "no comparison of two people on one frame" in text
    assert "flatters" not in text
    with_second_reader(config)
    assert with_readers(results).decision["readers"]["kind"] == "second reader"


def test_a_twin_of_another_size_is_brought_to_the_size_of_its_image() -> None:
    small = np.zeros((4, 6), dtype=np.uint8)
    small[1:3, 2:4] = 1
    large = np.kron(small, np.ones((2, 2), dtype=np.uint8))
    assert at_size(rle.encode(small), (4, 6), (8, 12)) == rle.encode(large)
    assert at_size("", (4, 6), (8, 12)) == ""


def test_labels_of_one_person_have_no_interval_and_no_verdict() -> None:
    found = pd.DataFrame(
        [
            {"image": f"i{k}", "subject": "a", **pair}
            for k in range(3)
            for pair in compared(rows(0, 4), rows(0, 5), rows(0, 5), NAMES, PLACE, Config())
        ]
    )
    content = readers_content(found, Readings("second reader", NAMES, pd.DataFrame()), Config())
    assert content["all"]["as_good_as_a_reader"][0]["interval"] is None
    assert "NOT DECIDED" in readers_text(content)
    limits = content["all"]["areas"][0]["pixels"]
    assert limits["mean_interval"] is None
    points = found[["area", "area_error"]].rename(columns={"area_error": "difference"})
    assert reach(limits, points) >= abs(limits["high"])


def test_two_classes_are_told_each_and_have_plots_of_their_own() -> None:
    found = pd.DataFrame(
        [
            {"class_id": name, "image": f"i{k}", "subject": f"s{k}", **pair}
            for k in range(4)
            for name, second in (("nerve", rows(0, 5)), ("vessel", rows(0, 8)))
            for pair in compared(rows(0, 4), second, rows(0, 4), NAMES, PLACE, Config())
        ]
    )
    content = readers_content(found, Readings("second reader", NAMES, pd.DataFrame()), Config())
    by_class = content["by_class"]
    dices = {name: part["pairs"][0]["all"]["dice"]["mean"] for name, part in by_class.items()}
    assert dices == pytest.approx({"nerve": 8 / 9, "vessel": 8 / 12})
    assert (content["all"]["masks"], content["all"]["images"]) == (8, 4)
    results: Any = type("R", (), {"decision": {"readers": content}, "readers": found})
    plots = readers_plots(results)
    assert len(plots) == 6
    assert plots[3].title == "Area, reader 2 less reader 1, vessel"
    assert plots[3].table["value"].tolist() == [40, 40, 40]
    section = readers_section(results)
    assert section is not None
    assert [part["title"] for part in section["parts"]] == ["nerve", "vessel"]
    assert section["parts"][1]["rows"][0]["cells"][:2] == ["0.500", "0.500 to 0.500"]
