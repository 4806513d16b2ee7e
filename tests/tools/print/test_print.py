"""What python -m tools.print writes of a run: each number is that of the file that it names."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from lib.artifacts.audit import save_audit
from lib.artifacts.caveats import training_caveats
from lib.artifacts.decision import save_decision
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.phantom import MARKER
from lib.decision.results import Results, results_of
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, configured, step
from tests.data.test_labels import two_classes_in_lists, write_images
from tests.steps.test_whole_runs import config_of
from tools.print import __main__ as command
from tools.print import sources
from tools.print.facts import written
from tools.print.folder import save_examples
from tools.print.sources import read_finished
from tools.print.tables import save_tables, tables_of
from tools.print.texts import NAMES, texts_of

TEXTS = pytest.mark.parametrize("name", NAMES)
ITEM = re.compile(r"^\| (\d+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def run(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run for which the command has written all; to be read only."""
    folder = tmp_path_factory.mktemp("printed") / "nerve"
    shutil.copytree(finished_once / "runs" / "nerve", folder)
    command.main([str(folder)])
    return folder


@pytest.fixture(scope="module")
def results(run: Path) -> Results:
    return read_finished(run, [])


def sources_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "print" / "sources.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["text"] == name]


def body_of(folder: Path, name: str) -> str:
    """Without the YAML at the top, the items' numbers and the trailing table of sources."""
    text = (folder / "print" / name).read_text(encoding="utf-8")
    text = text.partition("## Where each number is from")[0]
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(r"\A# CLAIM.*?(?=\n\| item)", "", text, flags=re.S)
    return re.sub(r"^\| \d+ \|", "|", text, flags=re.MULTILINE)


@TEXTS
def test_every_number_of_a_text_is_in_the_table_of_sources_in_its_order(
    run: Path, name: str
) -> None:
    text, place = body_of(run, name), 0
    told = [row["number"] for row in sources_of(run, name) if re.search(r"\d", row["number"])]
    assert len(told) > 15
    for number in told:
        found = text.index(number, place)
        assert not re.search(r"\d", text[place:found]), text[place : found + 20]
        place = found + len(number)
    assert not re.search(r"\d", text[place:]), text[place:]


def steps_of(key: str) -> Iterator[str | int]:
    for word, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        yield word or int(index)


def value_at(content: Any, key: str) -> Any:
    for place in steps_of(key.removesuffix(".(entries)")):
        content = content[place]
    return len(content) if key.endswith("(entries)") else content


@TEXTS
def test_a_number_is_that_of_its_place_in_its_file(run: Path, name: str) -> None:
    rows = [row for row in sources_of(run, name) if row["file"].endswith((".json", ".yaml"))]
    assert len(rows) > 10
    for row in rows:
        content = yaml.safe_load((run / row["file"]).read_text(encoding="utf-8"))
        value, number = value_at(content, row["key"]), row["number"]
        if isinstance(value, float) and re.fullmatch(r"-?[\d.]+", number):
            digits = len(number.partition(".")[2])
            known = {f"{value * times:.{digits}f}" for times in (1, 100)} | {f"{value:g}"}
            assert number in known, row
        elif isinstance(value, bool):
            assert number == ("yes" if value else "no"), row
        else:
            words = number.replace("\\", "")
            assert words == str(value) or words.endswith(f"({value})") or words in str(value), row


def test_a_number_from_the_code_names_what_is_there(run: Path) -> None:
    rows = [row for row in sources_of(run, "methods.md") if row["file"].startswith("lib/")]
    assert {"DRAWS", "interval_of", "QUANTILES", "names_of.hd95"} < {row["key"] for row in rows}
    for row in rows:
        code = (REPOSITORY / row["file"]).read_text(encoding="utf-8")
        assert re.search(rf"\b{row['key'].partition('.')[0]}\b", code), row


@pytest.mark.parametrize(
    ("value", "digits", "times", "text"),
    [
        (0.8226, 3, 1, "0.823"),
        (0.029, 1, 100, "2.9"),
        (300, None, 1, "300"),
        (0.001, None, 1, "0.001"),
        (True, None, 1, "yes"),
        (["Horizontal flip", "Scale"], None, 1, "Horizontal flip, Scale"),
        ("a|b*c_d\n<e>\x07", None, 1, r"a\|b\*c\_d \<e\>"),
    ],
)
def test_values_are_written_for_a_cell_of_markdown(
    value: Any, digits: int | None, times: float, text: str
) -> None:
    assert written(value, digits, times) == text


def test_the_time_of_the_trainings_is_the_sum_of_their_files(run: Path) -> None:
    tables = [pd.read_csv(path) for path in run.glob("fold*/speed.csv")]
    seconds = sum(t["training_seconds"].sum() + t["validation_seconds"].sum() for t in tables)
    (row,) = (row for row in sources_of(run, "methods.md") if row["file"] == "fold*/speed.csv")
    assert row["number"] == f"{seconds / 60:.1f}"


def test_the_numbers_are_in_methods_md_too(run: Path) -> None:
    text = (run / "print" / "methods.md").read_text(encoding="utf-8")
    for row in sources_of(run, "methods.md"):
        assert f"| {row['number']} | `{row['file']}` | `{row['key']}` |" in text


def test_all_figures_are_there_in_three_formats_and_two_widths(run: Path) -> None:
    found = {path.name for path in (run / "print" / "figures").iterdir()} - {"captions.md"}
    names = {name.rpartition("_")[0] for name in found}
    assert {"examples", "scores", "subjects", "mask_places", "expected_score"} < names
    assert found == {
        f"{name}_{mm}mm.{suffix}"
        for name in names
        for mm in (85, 174)
        for suffix in ("svg", "pdf", "png")
    }
    captions = (run / "print" / "figures" / "captions.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^- `(\w+)`: [A-Z].*\.$", captions, re.MULTILINE)) == names
    assert (run / "print" / "figure_examples.pdf").read_bytes().startswith(b"%PDF")


def test_a_table_has_the_same_rows_in_latex_as_in_csv(run: Path) -> None:
    files = sorted((run / "print" / "tables").glob("*.tex"))
    assert {"scores", "measures", "folds", "subjects", "settings"} < {path.stem for path in files}
    for path in files:
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
        long = r"\begin{longtable}" in text
        header, *rows = lines[1:] if long else lines  # a long one repeats its header
        assert long == (path.stem == "settings")
        assert len(rows) == len(pd.read_csv(path.with_suffix(".csv")))
        cells = [len(re.findall(r"(?<!\\)&", line)) for line in (header, *rows)]
        assert len(set(cells)) == 1
        assert text.count(r"\begin{") == text.count(r"\end{")


def test_the_scores_of_the_csv_are_those_of_decision_json(run: Path) -> None:
    scores = pd.read_csv(run / "print" / "tables" / "scores.csv")
    found = json.loads((run / "decision.json").read_text())["scores"]["with_nerve"]
    row = scores[scores["of"] == "images that show it"].iloc[0]
    assert [row["dice"], row["dice_low"], row["dice_high"]] == pytest.approx(
        [found["dice"], *found["dice_interval"]], abs=1e-5
    )


def test_the_hub_reads_the_model_card_with_its_scores(run: Path) -> None:
    card: Any = ModelCard((run / "print" / "model_card.md").read_text(encoding="utf-8"))
    found = json.loads((run / "decision.json").read_text())["scores"]
    results = {
        (one.dataset_split, one.metric_type): one.metric_value for one in card.data.eval_results
    }
    for split, part in (("all", "all"), ("those that show the structure", "with_nerve")):
        for metric in ("iou", "dice"):
            value = results[f"out of fold, {split}", metric]
            assert value == pytest.approx(found[part][metric], abs=1e-4)
    assert card.data.model_name == "nerve"
    assert (card.data.license, card.data.library_name) == ("other", "pytorch")
    assert {"ultrasound", "image-segmentation"} < set(card.data.tags)
    assert "phantom" not in card.data.tags


def test_the_hub_reads_the_card_of_the_data(run: Path) -> None:
    text = (run / "print" / "dataset_card.md").read_text(encoding="utf-8")
    card: Any = DatasetCard(text)
    assert card.data.task_categories == ["image-segmentation"]
    assert card.data.size_categories == ["n<1K"]
    assert "## Not told by the data" in card.text
    assert "- **Images**: 24 ultrasound images of 6 people." in card.text


def test_the_checklist_has_its_44_items_in_order_and_says_which_are_open(run: Path) -> None:
    text = (run / "print" / "claim_2024.md").read_text(encoding="utf-8")
    assert [int(number) for number in ITEM.findall(text)] == list(range(1, 45))
    lines = {int(line.split(" | ")[0][2:]): line for line in text.splitlines() if ITEM.match(line)}
    for number in (2, 3, 4, 13, 15, 34, 44):  # nothing in a run tells of these
        assert "**open** for the author" in lines[number]
    for number in (20, 26, 28, 29, 32):
        assert "open" not in lines[number]
    assert "no labelled test set was scored" in lines[17]


def test_no_path_of_the_machine_is_in_what_is_published(run: Path) -> None:
    files = [path for path in (run / "print").rglob("*") if path.suffix in (".md", ".csv", ".tex")]
    assert len(files) > 15
    assert [path for path in files if str(run.parent.parent) in path.read_text()] == []


def decide(config: Config) -> Path:
    """What 04 leaves for print/, without its page; returns the run's folder."""
    save_decision(config, results_of(config).decision)
    return Run.of(config).folder


def texts_and_tables(folder: Path, *overrides: str) -> dict[str, str]:
    """The texts, and the tables in LaTeX, of a finished run."""
    results = read_finished(folder, list(overrides))
    tables = save_tables(tables_of(results, []), folder / "print" / "tables")
    latex = {path.name: path.read_text() for path in tables if path.suffix == ".tex"}
    texts, sources_table = texts_of(results)
    return texts | latex | {"sources.csv": sources_table.to_csv()}


def test_drawn_images_are_called_a_phantom_beside_every_score(finished: list[str]) -> None:
    config = configured(finished)
    audit = Run.of(config).audit
    assert json.loads(audit.read_text())["phantom"] is False
    (Path(config.data_folder).parent / MARKER).write_text("drawn")
    step(1).main(config)
    assert json.loads(audit.read_text())["phantom"] is True
    folder = decide(config)
    texts, caption = texts_and_tables(folder), "Scores of each decision rule"
    assert "> PHANTOM: the images are drawn" in texts["methods.md"]
    assert texts["methods.md"].count("**PHANTOM**") == 2
    assert "drawn by tools.phantom" in texts["claim_2024.md"]
    cards: list[Any] = [ModelCard(texts["model_card.md"]), DatasetCard(texts["dataset_card.md"])]
    assert all("phantom" in card.data.tags for card in cards)
    results = read_finished(folder, [])
    (table,) = (one for one in tables_of(results, ["PHANTOM"]) if one.name == "scores")
    assert table.caption.startswith(caption) and table.caption.endswith(". PHANTOM")
    save_examples(results, ["PHANTOM"], folder / "print")
    assert ">PHANTOM<" in (folder / "print" / "figures" / "examples_85mm.svg").read_text()


def test_what_limits_a_score_is_told_with_it(finished: list[str]) -> None:
    config = configured(finished)
    audit = json.loads(Run.of(config).audit.read_text())
    leaks = [{"mark": "LEAK", "text": "3 subjects stand in several folds"}]
    save_audit(config, audit | {"leaks": leaks, "subjects_split": 3})
    texts = texts_and_tables(decide(config))
    assert "> LEAK: 3 subjects stand in several folds." in texts["methods.md"]
    assert re.search(r"mean Dice [\d.]+ \([\d.]+ to [\d.]+\) \*\*LEAK\*\*", texts["methods.md"])
    assert "mean IoU over images, LEAK" in texts["model_card.md"]
    assert "| 20 |" in texts["claim_2024.md"]
    assert "3 people stand in several folds" in texts["claim_2024.md"]


def test_a_setting_that_was_given_beside_config_yaml_is_said_to_be(finished: list[str]) -> None:
    config = replace(configured(finished), metric="Dice")
    folder = decide(config)
    with pytest.raises(InputError, match=r"decision.json differs .* metric.*: give the key=value"):
        read_finished(folder, [])
    results = read_finished(folder, ["metric=Dice"])
    texts, table = texts_of(results)
    (row,) = table[table["file"] == sources.GIVEN].drop_duplicates("key").to_dict("records")
    assert (row["number"], row["key"]) == ("Dice", "metric")
    assert "chosen by Dice" in texts["methods.md"]


def test_a_network_that_was_trained_otherwise_is_told(finished: list[str]) -> None:
    config = configured(finished)
    path = Run.of(config).settings
    results = read_finished(Run.of(config).folder, [])
    assert sources.changed_settings(results) == []
    changed = replace(results.config, learning_rate=0.5, pretrained_weights=str(path))
    assert sources.changed_settings(results._replace(config=changed)) == [
        f"fold {fold}, {line}"
        for fold in (0, 1)
        for line in ("learning_rate: 0.001, 0.5", "pretrained_weights: None, config.yaml")
    ]


def test_scores_of_a_labelled_test_set_and_of_another_share_are_told(results: Results) -> None:
    found = results.decision["scores"]
    share = {"expected": {"positive_share": 0.35} | found["all"]}
    more = {"test_scores": found, "scores": found | share}
    results = results._replace(decision=results.decision | more)
    texts, _ = texts_of(results)
    iou = f"{found['all']['iou']:.3f}"
    assert f"On the 24 test images that have a label, IoU is {iou} (" in texts["methods.md"]
    assert (
        f"Where a share of 0.35 of the images shows a nerve, IoU is {iou} (" in texts["methods.md"]
    )
    assert "24 test images have labels" in texts["claim_2024.md"]
    card: Any = ModelCard(texts["model_card.md"])
    assert "labelled test images" in {one.dataset_split for one in card.data.eval_results}
    assert "test" in {table.name for table in tables_of(results, [])}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"presence_head": 0.5}, "its loss counts 0.5 times"),
        ({"pretrained_weights": "/home/me/lite.pt"}, "started from the weights in lite.pt"),
        ({"pretrained": True}, "started from weights learned on ImageNet"),
        ({"warmup_epochs": 1.0}, "after a warm-up of 1 epochs"),
        ({"grad_accumulation": 4}, "with the gradients of 4 steps added up"),
        ({"epochs": 9}, "ended earlier; the last epochs were fold 0: 2, fold 1: 2."),
        ({"gradient_clip": 2.0}, "clipped to a norm of 2."),
        ({"mix_image": "Cutmix"}, "Cutmix on a share of 1 of the batches"),
        ({"ema_decay": 0.99}, "a running mean with a decay of 0.99"),
        ({"data_sample": 0.5}, "A share of 0.5 of the images was used"),
        ({"test_time_augmentations": ["Scale"]}, "a mean over views of the image: Scale"),
        ({"label_policy": "downweight"}, "counted half in the training"),
        ({"label_policy": "drop_empty_twin"}, "the image without a mask was not trained on"),
        ({"validation_strategy": "kfold"}, "one by one, whoever they are of"),
        ({"validation_strategy": "custom"}, "The folds were given with the data"),
        ({"validation_strategy": "automatic"}, "One part of the images was held out"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_was_set_is_told(results: Results, settings: dict[str, Any], told: str) -> None:
    config = results.config
    assert told not in texts_of(results)[0]["methods.md"]
    text = texts_of(results._replace(config=replace(config, **settings)))[0]["methods.md"]
    assert told in text
    assert "/home/me" not in text


@pytest.mark.parametrize(
    ("settings", "wrong", "right"),
    [
        (
            {"train_validation_data": True},
            ["trained without the images that it predicted", "Out of fold"],
            "The networks were trained on the held-out images too",
        ),
        (
            {"save_best_checkpoint": True},
            ["no score chose among epochs"],
            "chose the epoch whose weights were kept, so these scores flatter",
        ),
    ],
    ids=["seen", "chosen"],
)
def test_what_a_mark_says_of_the_training_is_not_denied_in_the_text(
    results: Results, settings: dict[str, Any], wrong: list[str], right: str
) -> None:
    caveats = training_caveats(replace(results.config, **settings))
    decision = results.decision | {"caveats": caveats}
    texts, _ = texts_of(results._replace(decision=decision))
    assert right in texts["methods.md"]
    assert [words for words in wrong if words in texts["methods.md"]] == []
    plain, _ = texts_of(results)
    assert right not in plain["methods.md"] and all(w in plain["methods.md"] for w in wrong)
    if "train_validation_data" in settings:
        card: Any = ModelCard(texts["model_card.md"])
        assert {one.dataset_split.partition(",")[0] for one in card.data.eval_results} == {
            "images trained on"
        }
        assert "trained without it" not in card.text
        assert "out of fold" not in texts["claim_2024.md"].partition("| 32 |")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"gate": 1.01}, "no image gets a mask, as none scored better."),
        ({"gate": 0.0}, "holds: the mask holds the pixels above a probability of"),
        ({"least_area": 0.0125}, "masks below 1.250 % of the image are removed"),
        ({"components": 2}, "of its pieces the 2 largest are kept"),
        ({"fill_holes": True}, "holes are filled"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_rule_is_told_step_by_step(results: Results, rule: dict[str, Any], told: str) -> None:
    rules = results.decision["rules"]
    changed = {"rules": {"nerve": rules["nerve"] | rule}}
    text = texts_of(results._replace(decision=results.decision | changed))[0]["methods.md"]
    assert told in text
    assert told not in texts_of(results)[0]["methods.md"]


@pytest.mark.parametrize(("lost", "step_name"), [("decision.json", "04"), ("folds.csv", "01")])
def test_a_run_that_has_not_got_there_names_the_step_to_run(
    finished: list[str], lost: str, step_name: str
) -> None:
    folder = Run.of(configured(finished)).folder
    (folder / lost).unlink()
    with pytest.raises(InputError, match=f"{lost} is missing: run {step_name}_"):
        command.main([str(folder)])
    assert not (folder / "print").exists()


def test_pictures_that_are_gone_leave_the_figure_of_examples_out(
    finished: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = read_finished(Run.of(configured(finished)).folder, [])
    for folder, there in ((tmp_path / "data" / "train", True), (tmp_path / "gone", False)):
        config = replace(results.config, data_folder=str(folder))
        save_examples(results._replace(config=config), [], tmp_path / folder.name)
        out = capsys.readouterr().out
        assert ("no figure_examples.pdf: the pictures have changed" in out) != there
        assert (tmp_path / folder.name / "figure_examples.pdf").exists() == there


def test_two_classes_without_people_test_set_and_chosen_rule(tmp_path: Path) -> None:
    data = write_images(tmp_path / "two")
    table = two_classes_in_lists(as_text=False)
    table.drop(columns="subject", errors="ignore").to_parquet(data / "train.pq")
    given = ["tune_decision=false", "subject_pattern=none", "validation_strategy=kfold"]
    given += ["n_folds=2", "folds=[0, 1]"]
    config = config_of(data, tmp_path / "runs", *given)
    for number in (1, 2, 3):
        step(number).main(config)
    folder = decide(config)
    texts = texts_and_tables(folder)
    assert "probability of each class (nerve, vessel)" in texts["methods.md"]
    assert "intervals over images, as people are not known" in texts["methods.md"]
    assert "Nothing was chosen on the held-out images" in texts["methods.md"]
    assert "test set" not in texts["methods.md"]
    assert re.search(r"For vessel, IoU is [\d.]+", texts["methods.md"])
    assert {"scores_by_class.tex", "measures.tex"} < texts.keys()
    assert "subjects.tex" not in texts
    save_examples(read_finished(folder, []), [], folder / "print")
    svg = (folder / "print" / "figures" / "examples_174mm.svg").read_text()
    assert ">nerve<" in svg and ">vessel<" in svg


def test_an_ensemble_names_its_runs_and_no_network_of_its_own(finished: list[str]) -> None:
    member = Run.of(configured(finished)).folder
    shutil.copytree(member, member.with_name("other"))
    runs = f"ensemble=['{member}:3', '{member.with_name('other')}']"
    config = configured([*finished, "experiment_name=both", runs])
    for number in (1, 3):
        step(number).main(config)
    texts = texts_and_tables(decide(config))
    assert "weighted mean of those of other runs" in texts["methods.md"]
    assert "nerve (0.75), other (0.25)" in texts["methods.md"]
    assert "learning rate" not in texts["methods.md"]
    assert "learning rate" not in texts["model_card.md"]
    assert [name for name, text in texts.items() if str(member.parent) in text] == []
