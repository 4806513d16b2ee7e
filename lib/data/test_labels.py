"""The labels of the test set, where somebody gave them: they are scored, and choose nothing."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.config.fields import Config
from lib.data.masks import mask_paths
from lib.data.table import read_training_images
from lib.data.tables import read_table


def read_test_labels(config: Config, classes: list[str]) -> pd.DataFrame | None:
    """The test images that have a label, as `read_training_images` tells those to train on.

    Labels are masks in mask_folder_test, masks beside the test images, or run lengths in
    test_dataframe. None where there are none, or of other classes than `classes`, which is told.
    """
    if config.data_folder_test == "None" or config.data_folder_test == config.data_folder:
        return None
    table = config.test_dataframe
    labelled = replace(
        config,
        data_folder=config.data_folder_test,
        train_dataframe=table if table != "None" and _has_runs(Path(table), config) else "None",
        mask_folder=config.mask_folder_test,
        data_folder_test="None",
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
    print(f"test labels    {len(found.table)} test images: 04 scores them, and they choose nothing")
    return found.table


def _has_runs(path: Path, config: Config) -> bool:
    table = read_table(path, "test_dataframe")
    column = config.rle_mask_column
    return column in table.columns and bool((table[column] != "").any())
