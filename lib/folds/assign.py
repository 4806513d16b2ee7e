"""A table of images -> the group and the fold of each."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.artifacts.folds import TRAINING_ONLY, mask_areas, masks_in
from lib.config.fields import DEFAULTS, Config
from lib.folds.balance import balance
from lib.runtime.errors import InputError

NAMES_SHOWN = 3


def assign_groups(table: pd.DataFrame, pairs: pd.DataFrame, config: Config) -> pd.Series:
    """What the folds may not split: the groups told, joined where near-duplicates cross them.

    Needs columns image, subject, loop, told_group; `pairs` has row numbers a, b of near-duplicates.
    Joined groups are named after their members, as in 17+18. Where neither group nor subject is
    told, each cluster of near-duplicates is a group, as is each cine loop. With kfold every image
    is its own, as it is with custom where nothing is told.
    """
    if config.validation_strategy == "kfold":
        return table["image"]
    told = _told_groups(table, config)
    if config.validation_strategy == "custom":
        return told
    group, names = pd.factorize(told, sort=True)
    links = coo_array(
        (np.ones(len(pairs)), (group[pairs["a"]], group[pairs["b"]])), shape=(len(names),) * 2
    )
    _, component = connected_components(links, directed=False)
    members = pd.Series(names).groupby(component).agg(_joined_name)
    return pd.Series(component[group], index=table.index).map(members)


def _told_groups(table: pd.DataFrame, config: Config) -> pd.Series:
    """The column of groups, else that of subjects, else each image by itself."""
    told = table["told_group"]
    column = config.group_fold_column
    if (told == "").all() and column == DEFAULTS.group_fold_column:
        told = table["subject"]
        if (told == "").all():
            return table["loop"].where(table["loop"] != "", table["image"])
    if config.validation_strategy == "custom":
        return told.where(told != "", table["image"])
    if (empty := told == "").any():
        names = ", ".join(table.loc[empty, "image"].head(NAMES_SHOWN))
        raise InputError(
            f"group_fold_column={column}: nobody tells it for {empty.sum()} images, such as "
            f"{names}: set it to a column that has a value in every row. (validation_strategy="
            "kfold goes without, but then frames of one person stand on both sides and flatter "
            "the score.)"
        )
    return told


def _joined_name(members: pd.Series) -> str:
    if len(members) <= NAMES_SHOWN:
        return "+".join(members)
    return f"{members.iloc[0]}+{len(members) - 1} more"


def assign_folds(table: pd.DataFrame, config: Config) -> npt.NDArray[np.int64]:
    """The fold 0..n_folds-1 of each row, or 0 and TRAINING_ONLY where one fold is held out.

    Depends on the rows and the settings of folds alone: on no order, seed or machine. Needs columns
    image, group, height, width, those of run lengths, and with custom told_fold and validation.
    Raises InputError where the groups do not suffice or the table tells no folds.
    """
    if config.validation_strategy == "custom":
        return _told_folds(table, config)
    if config.validation_strategy == "automatic":
        shares = [config.validation_size, 1 - config.validation_size]
        return np.where(_balanced(table, shares, "validation_size") == 0, 0, TRAINING_ONLY)
    return _balanced(table, [1 / config.n_folds] * config.n_folds, "n_folds")


def _balanced(table: pd.DataFrame, shares: list[float], name: str) -> npt.NDArray[np.int64]:
    group, names = pd.factorize(table["group"], sort=True)
    if len(names) == 1:
        of_one_file = "loop" in table and (table["loop"] == names[0]).all()
        pages = " (pages or frames of one file)" if of_one_file else ""
        raise InputError(
            f"all {len(table)} images are of one group, {names[0]!r}{pages}, which stays whole: "
            "name a column that tells people apart (group_fold_column), or split its frames with "
            "validation_strategy=kfold, whose scores flatter"
        )
    if len(names) < len(shares):
        joined = [group for group in names if "+" in group]
        raise InputError(
            f"{len(names)} groups cannot make {len(shares)} folds ({name}), of which none is empty"
            + (f": n_folds={len(names)} at most" if name == "n_folds" else "")
            + (f". Near-duplicates join {joined[0]}" if joined else "")
        )
    features = pd.DataFrame({"images": np.ones(len(table))})
    for column in masks_in(table):
        area = mask_areas(table, column)
        features[f"{column} there"] = area > 0
        features[f"{column} share"] = area / (table["height"] * table["width"]).to_numpy()
    return balance(features.groupby(group).sum().to_numpy(dtype=np.float64), shares)[group]


def _told_folds(table: pd.DataFrame, config: Config) -> npt.NDArray[np.int64]:
    """Of validation_dataframe, else of fold_column."""
    if config.validation_dataframe != "None":
        return np.where(table["validation"], 0, TRAINING_ONLY)
    told, known = table["told_fold"], [str(fold) for fold in range(config.n_folds)]
    whole = told.str.removesuffix(".0")  # what a column with gaps makes of whole numbers
    if (strange := ~whole.isin(known)).any():
        row = table[strange].iloc[0]
        raise InputError(
            f"fold_column={config.fold_column}: {strange.sum()} images have no fold of 0 to "
            f"{config.n_folds - 1} there, such as {row['image']}: {row['told_fold']!r}. Set "
            "fold_column to the column of the folds and n_folds to their number, or give "
            "validation_dataframe."
        )
    if missing := set(config.folds) - set(whole):
        raise InputError(
            f"fold_column={config.fold_column}: no image has the folds {sorted(missing)}: set "
            f"n_folds and folds to those there, {sorted(set(whole))}"
        )
    return whole.astype(np.int64).to_numpy()
