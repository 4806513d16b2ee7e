"""Reads and checks all images and labels, finds near-duplicates, and makes folds that cannot leak.

data -> runs/<experiment_name>/folds.csv, labels.png, test_labels.csv, folds_audit.json,
second_reader.csv, duplicates.csv, contradictions.csv and .png, quarantine.csv, config.yaml
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lib.artifacts.alone import alone
from lib.artifacts.audit import save_audit, save_quarantine
from lib.artifacts.caveats import sentence
from lib.artifacts.folds import save_folds
from lib.artifacts.labels_of_test import save_test_labels
from lib.artifacts.run import Run, save_config, with_drawn_seed
from lib.artifacts.second_reader import save_second_reader
from lib.config.command_line import run
from lib.config.fields import Config
from lib.data.images_of_test import read_test_images
from lib.data.labels_of_test import read_test_labels
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from lib.folds import contradictions_sheet, labels_sheet
from lib.folds.assign import assign_folds, assign_groups
from lib.folds.audit import audited
from lib.folds.audit_text import folds_text, inventory_text
from lib.folds.contradictions import agreement, contradictions, weights
from lib.folds.duplicates import duplicates_table, find_duplicates
from lib.folds.outlined import save_sheet
from lib.readers.second import read_second_reader
from lib.runtime.files import save_table

if TYPE_CHECKING:
    import pandas as pd  # slow to load, so not before lib


def main(config: Config) -> None:
    with alone(config, "01_prepare_folds.py"):
        prepare(with_drawn_seed(config))


def prepare(config: Config) -> None:
    images, test = read_training_images(config), read_test_images(config)
    config, table = replace(config, **images.settled), images.table
    second = read_second_reader(config, images)
    pairs, test_pairs = find_duplicates(images.textures, test.textures if test else None)
    pairs = agreement(table, pairs)
    found = contradictions(table, pairs)
    table["group"] = assign_groups(table, pairs, config)
    table["fold"] = assign_folds(table, config)
    table["weight"] = weights(table, found, config.label_policy)
    path = Run.of(config).folds
    before = path.read_bytes() if path.is_file() else None
    save_config(config)
    save_folds(config, table)
    save_sheet(Run.of(config).labels_sheet, labels_sheet.sheet(table))
    labels = read_test_labels(config, images.classes, test.unusable) if test else None
    save_test_labels(config, labels)
    save_second_reader(config, second)
    save_quarantine(config, images.unusable, test.unusable if test else {})
    duplicates = duplicates_table(table, pairs, test.table if test else None, test_pairs)
    save_table(Run.of(config).duplicates, duplicates, summed=True)
    save_contradictions(table, found, config)
    audit = audited(images, test, pairs, found, config) | {"test_twins": len(test_pairs)}
    save_audit(config, audit)
    report(audit, config)
    if before not in (None, path.read_bytes()):
        print(f"{path} differs from the one before: networks of {path.parent} are trained again")
    print(f"{Run.of(config).labels_sheet}: do the outlines show what you marked?")
    print(f"{path}{' (unchanged)' if before == path.read_bytes() else ''}")


def save_contradictions(table: "pd.DataFrame", found: "pd.DataFrame", config: Config) -> None:
    """contradictions.csv, and contradictions.png of the worst, where there are any."""
    save_table(Run.of(config).contradictions, found, summed=True)
    picture = Run.of(config).contradictions_sheet
    if found.empty:
        picture.unlink(missing_ok=True)
        return
    save_sheet(picture, contradictions_sheet.sheet(table, found))


def report(audit: dict[str, Any], config: Config) -> None:
    """Prints the inventory, the folds, and everything that could flatter a score."""
    print(inventory_text(audit))
    print(folds_text(audit))
    if audit["contradictions"]:
        print(
            f"{audit['contradictions']} pairs of near-duplicates have labels that contradict each "
            f"other: {Run.of(config).contradictions_sheet}; label_policy: "
            f"{audit['label_policy']}"
        )
    for leak in audit["leaks"]:
        print(sentence(leak))


if __name__ == "__main__":
    run(main, __doc__, partial(load_settings, tell=print), begins=True)
