"""Reads and checks all images and labels, finds near-duplicates, and makes folds that cannot leak.

data -> runs/<experiment_name>/folds.csv, folds_audit.json, duplicates.csv, contradictions.csv and
.png, quarantine.csv, config.yaml
"""

from typing import Any

import numpy as np
import pandas as pd

from lib.artifacts.audit import save_audit, save_quarantine
from lib.artifacts.caveats import sentence
from lib.artifacts.folds import save_folds
from lib.artifacts.run import Run, save_config, with_drawn_seed
from lib.config.command_line import run
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.data.table import Images, read_test_images, read_training_images
from lib.folds.assign import assign_folds, assign_groups
from lib.folds.audit import audited, folds_text, inventory_text
from lib.folds.contradictions import agreement, contradictions, sheet, weights
from lib.folds.duplicates import near_duplicates
from lib.runtime.files import save_table, written_whole


def main(config: Config) -> None:
    config = with_drawn_seed(config)
    images, test = read_training_images(config), read_test_images(config)
    pairs, test_pairs = find_twins(images, test)
    pairs = agreement(images.table, pairs)
    found = contradictions(images.table, pairs)
    table = images.table
    table["group"] = assign_groups(table, pairs, config)
    table["fold"] = assign_folds(table, config)
    table["weight"] = weights(table, found, config.label_policy)
    path = Run.of(config).folds
    before = path.read_bytes() if path.is_file() else None
    save_config(config)
    save_folds(config, table)
    save_quarantine(config, images.unusable, test.unusable if test else {})
    save_twins(table, pairs, test, test_pairs, config)
    save_contradictions(table, found, config)
    audit = audited(images, test, pairs, found, config) | {"test_twins": len(test_pairs)}
    save_audit(config, audit)
    report(audit, config)
    print(f"{path}{' (unchanged)' if before == path.read_bytes() else ''}")


def find_twins(images: Images, test: Images | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Near-duplicates among the training images, and those of a training and a test image.

    Columns a, b, similarity; row numbers, b in the second table one of the test images. Images of
    one grey value are left out.
    """
    count = len(images.thumbnails)
    both = [images.thumbnails] + ([test.thumbnails] if test and len(test.table) else [])
    thumbnails = np.concatenate(both)
    pairs = near_duplicates(thumbnails)
    blank = thumbnails.min(axis=(1, 2)) == thumbnails.max(axis=(1, 2))
    pairs = pairs[~blank[pairs["a"]]]  # black frames of two people are alike and tell nothing
    across = pairs[(pairs["a"] < count) & (pairs["b"] >= count)]
    return pairs[pairs["b"] < count], across.assign(b=across["b"] - count)


def save_twins(
    table: pd.DataFrame,
    pairs: pd.DataFrame,
    test: Images | None,
    test_pairs: pd.DataFrame,
    config: Config,
) -> None:
    """duplicates.csv: a row a pair of near-duplicates."""
    parts = [named(pairs, table, table, "train")]
    if test and len(test_pairs):
        parts.append(named(test_pairs, table, test.table, "test"))
    save_table(Run.of(config).duplicates, pd.concat(parts))


def named(pairs: pd.DataFrame, table: pd.DataFrame, twins: pd.DataFrame, part: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": table["image"].iloc[pairs["a"]].to_numpy(),
            "twin": twins["image"].iloc[pairs["b"]].to_numpy(),
            "twin_part": part,
            "similarity": pairs["similarity"].to_numpy(),
        }
    )


def save_contradictions(table: pd.DataFrame, found: pd.DataFrame, config: Config) -> None:
    """contradictions.csv, and contradictions.png of the worst, where there are any."""
    save_table(Run.of(config).contradictions, found)
    picture = Run.of(config).contradictions_sheet
    if found.empty:
        picture.unlink(missing_ok=True)
        return
    with written_whole(picture) as file:
        sheet(table, found).save(file, "PNG")


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
    run(main, __doc__, load_settings)
