"""The labels of the test set, where somebody gave them: they are scored, and choose nothing."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.config.fields import Config
from lib.data.formats import format_of
from lib.data.images_of_test import files_of_test_set, read_test_table
from lib.data.labels_of_tool import labels_of_tool
from lib.data.lists import is_list
from lib.data.masks.files import as_training_set, mask_paths
from lib.data.pictures.arrays import image_files
from lib.data.pictures.tree import tree_of
from lib.data.table import read_training_images
from lib.data.tables.cells import RUNS, is_nothing, read_table, small
from lib.runtime.errors import InputError


def read_test_labels(
    config: Config, classes: list[str], quarantined: Collection[str]
) -> pd.DataFrame | None:
    """The test images that have a label, as `read_training_images` tells those to train on.

    Labels are masks in mask_folder_test, masks beside the test images, run lengths in
    test_dataframe, or in a labelling tool's files. None where there are none, or none that can be
    used, which is told. `quarantined` are test images that cannot be used.
    """
    if config.data_folder_test == "None":
        return None
    table, shared = _labels_of_test(config), config.data_folder_test == config.data_folder
    listed = shared and is_list(Path(config.test_dataframe))
    labelled = replace(as_training_set(config), train_dataframe=table)
    if table == "None" and ((shared and not listed) or not mask_paths(labelled)):
        return None
    tests = read_test_table(config, quarantined)
    names = {} if tests is None else dict(zip(tests["file"], tests["image"], strict=True))
    try:
        only = names.keys() if listed else None
        found = read_training_images(labelled, "test labels", only, classes)
    except InputError as error:
        print(f"test labels    cannot be used: {error}")
        return None
    if found.classes != classes:
        print(
            f"test labels    are of {', '.join(found.classes)}, those to train on of "
            f"{', '.join(classes)}: they are not scored"
        )
        return None
    rows = found.table.assign(image=found.table["file"].map(lambda file: names.get(file, "")))
    rows = rows[rows["image"] != ""].reset_index(drop=True)
    if rows.empty:
        return None
    print(f"test labels    {len(rows)} test images: 04 scores them, and they choose nothing")
    return rows


def _labels_of_test(config: Config) -> str:
    """test_dataframe with run lengths, or the labels to train on where they tell of test images."""
    if config.test_dataframe != "None" and _has_runs(Path(config.test_dataframe), config):
        return config.test_dataframe
    path = Path(config.train_dataframe)
    if config.train_dataframe == "None" or is_list(path):
        return "None"
    if config.data_folder_test == config.data_folder:
        return config.train_dataframe if is_list(Path(config.test_dataframe)) else "None"
    if reader := format_of(tree_of(path)):
        turned = replace(as_training_set(config), train_dataframe=config.train_dataframe)
        no_images = files_of_test_set(turned)
        files = image_files(Path(turned.data_folder), config.image_bits, no_images)
        if labels_of_tool(reader, files, turned).by_image.keys() & files.keys():
            return config.train_dataframe
    return "None"


def _has_runs(path: Path, config: Config) -> bool:
    """Not those of a sample_submission, which are made up."""
    if path.name.startswith("sample_submission"):
        return False
    table = read_table(path, "test_dataframe")
    names = {config.rle_mask_column, *RUNS.names}
    columns = [column for column in table.columns if column in names or small(column) in names]
    cells = [cell for column in columns for cell in table[column]]
    return any(isinstance(cell, list) or not is_nothing(cell) for cell in cells)
