"""Which test set it is, and what of it was left out."""

from typing import Any

from lib.artifacts.audit import quarantined_tests
from lib.config.fields import Config
from lib.data.table import read_test_images
from lib.runtime.errors import InputError


def test_set(config: Config) -> list[str]:
    if config.test != "None":
        return [config.test]
    return [config.data_folder_test, config.test_dataframe]


def left_out_of_test(audit: dict[str, Any], config: Config) -> list[str]:
    """The test images in quarantine; InputError where they are of another test set.

    Those of `test`, if 01 did not see them, are read now, and the same InputError ends it.
    """
    if config.test != "None" and audit["test_set"] != test_set(config):
        new = read_test_images(config)
        return list(new.unusable) if new else []
    images = quarantined_tests(config)
    if images and audit["test_set"] != test_set(config):
        raise InputError(
            f"quarantine.csv is of the test set {audit['test_set']}, not of {test_set(config)}: "
            "run 01_prepare_folds.py"
        )
    return images
