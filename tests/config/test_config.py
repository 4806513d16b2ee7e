import dataclasses
from pathlib import Path

import pytest
import yaml

from lib.config.fields import FIELDS, REMOVED, Config
from lib.config.read import DEFAULT_FILE, load_config, to_yaml
from lib.data.layouts import load_settings
from lib.runtime.errors import InputError

# The reference experiment, Hydrogen Torch's own settings and no others.
OURS = {
    "cache_gib",
    "checkpoint_minutes",
    "compile",
    "deterministic",
    "dice_weight",
    "early_stopping_epochs",
    "ema_decay",
    "ensemble",
    "fill_outlines",
    "fold_column",
    "image_bits",
    "invert_masks",
    "label_policy",
    "mask_folder",
    "mask_folder_test",
    "missing_mask",
    "n_folds",
    "nsd_tolerance",
    "nsd_tolerance_mm",
    "pixel_spacing_mm",
    "positive_share",
    "presence_head",
    "pretrained_weights",
    "quarantine",
    "quiet",
    "reader_margin",
    "rle_order",
    "rle_start",
    "runs_folder",
    "second_reader",
    "subject_pattern",
    "test",
    "test_positive_share",
    "time_budget_minutes",
    "tune_decision",
}


def load(*overrides: str) -> Config:
    return load_settings(DEFAULT_FILE, overrides)


def test_config_yaml_holds_every_setting_at_its_default() -> None:
    tree = yaml.safe_load(DEFAULT_FILE.read_text())
    assert load() == Config()
    assert to_yaml(Config()) == yaml.safe_dump(tree)


def test_hydrogen_torch_has_59_settings_and_a_name_and_the_rest_is_ours() -> None:
    assert len(FIELDS) - len(OURS) == 59 + 1
    assert {name for name, item in FIELDS.items() if item.metadata["section"] == "pipeline"} == OURS


def test_an_experiment_of_hydrogen_torch_loads_as_it_is(tmp_path: Path) -> None:
    """Its values where they differ from ours, and its way of writing none, lists and JSON."""
    path = tmp_path / "experiment.yaml"
    path.write_text(
        """
augmentation:
    custom_train_augmentations: '{"__version__": "1.1.0", "transform": {"height": IMAGE_HEIGHT}}'
dataset:
    data_sample: 1
    folds:
    - '4'
    group_fold_column: image
    test_dataframe: None
    validation_dataframe: None
    validation_strategy: kfold
environment:
    gpus:
    - '0'
    seed: -1
experiment_name: 70_nerves_image_semantic_segmentation.4.1
logging:
    neptune_project: ''
prediction:
    test_time_augmentations: []
training:
    build_scoring_pipelines: true
    evaluation_epochs: 1
    warmup_epochs: 0
"""
    )
    config = load_config(path)
    assert config.folds == ["4"]
    assert config.validation_strategy == "kfold"
    assert config.build_scoring_pipelines is True
    assert isinstance(config.warmup_epochs, float)


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("training: {epochs: 7, batch_size: 3}\nexperiment_name: here\n")
    config = load_config(path, ["epochs=9", "experiment_name=001", "folds=['3']", "gpus=[]"])
    assert (config.epochs, config.batch_size) == (9, 3)
    assert (config.experiment_name, config.folds, config.gpus) == ("001", ["3"], [])


def test_a_number_may_be_written_without_a_point() -> None:
    assert load("learning_rate=1e-4").learning_rate == 1e-4


@pytest.mark.parametrize("name", ["best", "demo", "realtime"])
def test_the_settings_that_come_along_load_and_name_their_runs(name: str) -> None:
    config = load_config(DEFAULT_FILE.parent / "configs" / f"{name}.yaml")
    assert config.experiment_name == name
    assert config != dataclasses.replace(Config(), experiment_name=name)


REFUSED = [
    ("epoch=3", "did you mean epochs"),
    ("bachsize=3", "did you mean batch_size"),
    ("zzz=3", "no such setting"),
    ("epochs=0", "allowed: 1 to"),
    ("epochs=2.5", "a whole number"),
    ("epochs=true", "a whole number"),
    ("epochs=", "a whole number"),
    ("drop_last_batch=maybe", "true or false"),
    ("drop_last_batch=1", "true or false"),
    ("learning_rate=fast", "a number was expected"),
    ("learning_rate=.nan", "a number was expected"),
    ("learning_rate=-1", "allowed: 0"),
    ("probability_threshold=1.5", "allowed: 0 to 1"),
    ("image_height=100", "multiples of 32"),
    ("image_channels=2", "allowed: 1, 3"),
    ("mix_target=Max", "allowed: Ratio"),
    ("mix_concentration=0", "allowed: 0.01 to 100"),
    ("architecture=U-Net", "allowed: Unet, UnetPlusPlus"),
    ("augmentations_strategy=Wild", "allowed: Soft, Medium, Hard, Custom"),
    ("architecture=PAN & image_height=96", "PAN needs an image_height"),
    ("dice_weight=2 & loss_function=Focal", "acts with loss_function BCEDice and FocalDice only"),
    ("mix_image=Mixed", "allowed: Disabled"),
    ("optimizer=Lion", "allowed: AdamW, Adam, NAdamW, SGD, RMSprop, Adadelta"),
    ("metric=iou", "allowed: IoU, Dice"),
    ("positive_share=[0.8]", "two shares of 0 to 1"),
    ("positive_share=[0.8, 1.2]", "two shares of 0 to 1"),
    ("positive_share=[a, b]", "a number was expected"),
    ("positive_share=[[0.8], 0.4]", "a number was expected"),
    ("data_folder=a\ud800", "a half of a letter"),
    ("data_folder=a\0b", "without null bytes"),
    ('folds=["\\0"]', "without null bytes"),
    ("test_time_augmentations=['Diagonal flip']", "allowed: Horizontal flip, Vertical flip"),
    ("test_time_augmentations=[Scale, Scale]", "each once"),
    ("architecture=PAN & image_height=128 & test_time_augmentations=[Scale]", "160 with Scale"),
    ("ensemble=['runs/a:0', runs/b]", "a number above 0"),
    ("ensemble=['runs/a:x', runs/b]", "a number above 0"),
    ("ensemble=[runs/a, runs/x/../a]", "twice"),
    ("ensemble=[runs/a, runs/nerve]", "a member of itself"),
    ("fit_ensemble=true", "no such setting any more: delete it; runs count alike"),
    ("data_sample=0", "above 0"),
    ("data_sample=1.5", "allowed: 0 to 1"),
    ("data_sample_choice=[Test]", "allowed: Train, Validation or both"),
    ("rle_order=diagonal", "allowed: columns, rows"),
    ("rle_start=2", "allowed: 1, 0"),
    ("label_policy=drop", "allowed: keep, drop_empty_twin, downweight"),
    ("validation_dataframe=held_out.csv", "acts with validation_strategy: custom only"),
    ("mask_pca=9", "no such setting any more: delete it"),
    ("test_positive_share=1.1", "allowed: 0 to 1"),
    ("test_positive_share=.47 & tune_decision=false", "acts with tune_decision: true only"),
    ("folds=4", "a list"),
    ("folds=['7']", "allowed, with n_folds 5"),
    ("folds=[]", "allowed, with n_folds 5"),
    ("folds=['1','1']", "twice"),
    ("gpus=['0','0']", "allowed: numbers"),
    ("gpus=['a']", "allowed: numbers"),
    ("gpus=['cuda']", "such as"),
    ("experiment_name=a/b", "names a folder"),
    ("experiment_name=..", "names a folder"),
    ("data=/no/such/folder", "no such folder"),
    (f"data={__file__}", "neither a folder nor a .zip: unpack it"),
    ("epochs", "key=value"),
    ("neptune_project=x", "acts with values of logger that are not built yet"),
    ("gpus=['²']", "such as"),
    ("n_folds=3", "set both, as in folds=[0, 1, 2]"),
]


@pytest.mark.parametrize(("override", "complaint"), REFUSED)
def test_a_wrong_setting_is_refused_by_name(override: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(*override.split(" & "))
    assert override.partition("=")[0] in str(caught.value)
    assert complaint in str(caught.value)


def test_a_removed_setting_that_did_nothing_is_passed_over(tmp_path: Path) -> None:
    """As in the config.yaml of an older run, which holds every setting."""
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(Config()) + "".join(f"{k}: {v[0]}\n" for k, v in REMOVED.items()))
    assert load_config(path) == Config()


def test_all_wrong_settings_are_listed_at_once() -> None:
    with pytest.raises(InputError) as caught:
        load("epoch=3", "optimizer=Lion", "image_height=100")
    lines = str(caught.value).splitlines()[1:]
    assert [line.split()[0].strip(":") for line in lines] == ["epoch", "optimizer", "image_height"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "not a YAML file"),
        ("- 1", "was expected"),
        ("training: {epochs: 1}\nepochs: 2", "set twice"),
        ("training: {epochs: 1}\ntraining: {batch_size: 2}", "set twice: training"),
        ("training:\n  epochs: 1\n  epochs: 2", "set twice: epochs"),
        ("experiment_name: 123", "put it in quotes"),
        ("training: 5", "no such setting"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint) as caught:
        load_config(path)
    assert "mine.yaml" in str(caught.value) or "experiment_name" in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read"):
        load_config(Path("nowhere.yaml"))


def test_the_settings_come_back_from_the_file_they_are_written_to(tmp_path: Path) -> None:
    config = load("epochs=3", "learning_rate=2e-5", "folds=['1']", "experiment_name=nérf")
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    assert load_config(path) == config


def test_settings_cannot_be_changed_once_they_are_loaded() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().epochs = 3  # type: ignore[misc]


def test_a_part_of_no_or_all_images_cannot_be_held_out() -> None:
    for size in (0, 1):
        with pytest.raises(InputError, match="validation_size: allowed with automatic"):
            load("validation_strategy=automatic", f"validation_size={size}")
