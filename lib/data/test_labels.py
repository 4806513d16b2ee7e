"""The labels of the test set, where somebody gave them: they are scored, and choose nothing."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.config.fields import Config
from lib.data.formats import format_of
from lib.data.masks import mask_paths
from lib.data.pictures import image_files
from lib.data.table import read_training_images
from lib.data.tables import read_table
from lib.data.test_images import read_test_table
from lib.data.tree import tree_of


def read_test_labels(
    config: Config, classes: list[str], quarantined: Collection[str]
) -> pd.DataFrame | None:
    """The test images that have a label, as `read_training_images` tells those to train on.

    `quarantined` are test images that cannot be used.

    Labels are masks in mask_folder_test, masks beside the test images, or run lengths in
    test_dataframe. None where there are none, or of other classes than `classes`, which is told.
    """
    if config.data_folder_test == "None" or config.data_folder_test == config.data_folder:
        return None
    labelled = replace(
        config,
        data_folder=config.data_folder_test,
        train_dataframe=_labels_of_test(config),
        mask_folder=config.mask_folder_test,
        data_folder_test=config.data_folder,
        test_dataframe="None",
        validation_dataframe="None",
        quarantine=True,
    )
    if labelled.train_dataframe == "None" and not mask_paths(labelled):
        return None
    found = read_training_images(labelled)
    if found.classes != classes:
        print(
            f"the test labels are of {', '.join(found.classes)}, those to train on of "
            f"{', '.join(classes)}: they are not scored"
        )
        return None
    tests = read_test_table(config, quarantined)
    names = {} if tests is None else dict(zip(tests["file"], tests["image"], strict=True))
    table = found.table.assign(image=found.table["file"].map(lambda file: names.get(file, "")))
    table = table[table["image"] != ""].reset_index(drop=True)
    print(f"test labels    {len(table)} test images: 04 scores them, and they choose nothing")
    return table


def _labels_of_test(config: Config) -> str:
    """test_dataframe with run lengths, or a labelling tool's files that tell of test images too."""
    if config.test_dataframe != "None" and _has_runs(Path(config.test_dataframe), config):
        return config.test_dataframe
    path = Path(config.train_dataframe)
    if config.train_dataframe != "None" and (reader := format_of(tree_of(path))):
        files = image_files(Path(config.data_folder_test), config.image_bits)
        if reader.read(path, files, config).by_image.keys() & files.keys():
            return config.train_dataframe
    return "None"


def _has_runs(path: Path, config: Config) -> bool:
    table = read_table(path, "test_dataframe")
    column = config.rle_mask_column
    return column in table.columns and bool((table[column] != "").any())
